from __future__ import annotations

import pytest
import torch
from torch import Tensor

from impasto.grids.patch import allocate
from impasto.instant import finish
from impasto.instant.encoder import COLOR, DETAIL, Tap
from impasto.instant.finish import Aim, Place, finished, look, looks, strips_of
from impasto.instant.pyramid import pyramid
from impasto.instant.statistics import Sums
from impasto.instant.transport import Gaussian


def picture(seed: int, height: int = 40, width: int = 31, contrast: float = 0.1) -> Tensor:
    noise = torch.randn((1, 3, height, width), generator=torch.Generator().manual_seed(seed))
    return (0.5 + contrast * noise).clamp(0, 1)


def sums(x: Tensor, place: Place = None) -> Sums:
    half = pyramid(x, 2, allocate)[1]
    return Sums({tap: looks(x, half, tap, place) for tap in (COLOR, DETAIL)})


def aim(style: Tensor, amount: float = 1.0, place: Place = None) -> Aim:
    own = sums(style)
    return Aim({tap: own.gaussian(tap) for tap in own.by_tap}, amount, place)


def test_colors_and_details_get_the_strength_of_the_style() -> None:
    content, style = picture(0, contrast=0.05), picture(1)
    found = finished(content.clone(), [sums(content)], [aim(style)], allocate)
    ours, theirs, before = (sums(x) for x in (found, style, content))

    def spread(of: Sums, tap: Tap) -> Tensor:
        return of.gaussian(tap).covariance

    torch.testing.assert_close(spread(ours, COLOR), spread(theirs, COLOR), rtol=0, atol=5e-4)
    torch.testing.assert_close(ours.gaussian(COLOR).mean, theirs.gaussian(COLOR).mean)
    distances = [(spread(each, DETAIL) - spread(theirs, DETAIL)).norm() for each in (ours, before)]
    assert distances[0] < 0.2 * distances[1]


def test_its_own_style_changes_nothing() -> None:
    content = picture(0)
    found = finished(content.clone(), [sums(content)], [aim(content)], allocate)
    torch.testing.assert_close(found, content, rtol=0, atol=1e-5)


def test_an_amount_of_none_changes_nothing() -> None:
    content = picture(0)
    found = finished(content.clone(), [sums(content)], [aim(picture(1), 0.0)], allocate)
    torch.testing.assert_close(found, content, rtol=0, atol=1e-5)


def test_where_a_style_has_no_place_nothing_changes() -> None:
    content, place = picture(0), torch.zeros(1, 1, 40, 31)
    place[..., :10] = 1
    own = sums(content, place)
    found = finished(content.clone(), [own], [aim(picture(1, contrast=0.2), 1.0, place)], allocate)
    assert torch.equal(found[..., 10:], content[..., 10:])
    assert (found - content)[..., :10].abs().mean() > 0.02


def test_an_even_picture_is_not_amplified_without_bound() -> None:
    even = torch.full((1, 3, 20, 20), 0.5) + 1e-4 * torch.randn((1, 3, 20, 20))
    found = finished(even.clone(), [sums(even)], [aim(picture(1))], allocate)
    assert found.isfinite().all()
    assert found.std() < 0.02


@pytest.mark.parametrize("space", [(1, 1), (1, 9), (7, 2), (40, 31)])
def test_strips_give_what_the_whole_gives(
    space: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    content, style = picture(0, *space), picture(1)
    whole = finished(content.clone(), [sums(content)], [aim(style)], allocate)
    monkeypatch.setattr(finish, "STRIP", 1)
    assert len(strips_of(space)) == (space[0] + 1) // 2
    found = finished(content.clone(), [sums(content)], [aim(style)], allocate)
    torch.testing.assert_close(found, whole, rtol=0, atol=1e-5)


def test_details_are_what_the_half_lacks() -> None:
    x = picture(0)
    half = pyramid(x, 2, allocate)[1]
    detail = looks(x, half, DETAIL, None)
    assert float(Gaussian.of(detail).mean.abs().max()) < 0.01
    (strip,) = strips_of((40, 31))
    smooth = torch.linspace(0, 1, 40)[:, None].expand(1, 3, 40, 31).contiguous()
    rest = look(smooth, pyramid(smooth, 2, allocate)[1], DETAIL, strip)
    assert rest[..., 2:-2, :].abs().max() < 1e-5
