"""A decoder that is trained for one style."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from impasto.errors import SampleError
from impasto.instant.decoder import load_decoder
from impasto.instant.encoder import COLOR, encode
from impasto.instant.instant import Goal, Instant
from impasto.instant.objective import (
    LOOKS,
    StyleGoal,
    decoded_terms,
    sums_of,
    unit,
)
from impasto.instant.transport import Gaussian
from impasto.instant.tuning import Tuning, TuningStep

pytestmark = pytest.mark.usefixtures("one_thread")


def pictures(count: int, height: int = 80, width: int = 96) -> list[Tensor]:
    generator = torch.Generator().manual_seed(count)
    small = torch.rand((count, 3, 10, 12), generator=generator)
    large = torch.nn.functional.interpolate(small, (height, width), mode="bicubic").clamp(0, 1)
    return [each[None] for each in large]


@pytest.fixture(scope="module")
def instant() -> Instant:
    return Instant(load_decoder())


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("impasto.instant.tuning.SIDE", 64)


STYLE, *CONTENTS = pictures(3)


def _spread(picture: Tensor) -> Tensor:
    """The covariance of the colors."""
    return torch.cov(picture[0].flatten(1), correction=0)


def begun(instant: Instant, output: Path, steps: int = 6) -> Tuning:
    return Tuning(instant, STYLE, CONTENTS, output, steps=steps)


def test_the_parts_are_least_where_the_style_is_the_picture(instant: Instant) -> None:
    activations = encode(instant.network, STYLE)
    taps = activations | {COLOR: STYLE}
    goal = StyleGoal({tap: Gaussian.of(sums_of(f)) for tap, f in taps.items()})
    same = decoded_terms(instant.network, STYLE, activations, goal, 3.0)
    assert all(abs(float(term)) < 1e-6 for term in same.values())
    other = decoded_terms(instant.network, CONTENTS[0] + 0.5, activations, goal, 3.0)
    assert all(float(term) > 1e-2 for term in other.values())
    colored = goal.colored(CONTENTS[0])
    for own, theirs in (
        (colored.mean((2, 3)), STYLE.mean((2, 3))),
        (_spread(colored), _spread(STYLE)),
    ):
        torch.testing.assert_close(own, theirs, rtol=0.01, atol=0.001)


def test_looks_see_no_contrast(instant: Instant) -> None:
    """Lengths of activations count nothing, as in LPIPS; beside NumPy in double precision."""
    activations = encode(instant.network, STYLE)
    taps = activations | {COLOR: STYLE}
    goal = StyleGoal({tap: Gaussian.of(sums_of(f)) for tap, f in taps.items()})
    others = encode(instant.network, CONTENTS[0])
    found = decoded_terms(instant.network, STYLE, others, goal, 3.0)["looks"]
    expected = 0.0
    for tap in LOOKS:
        a, b = (f[tap][0].double().numpy() for f in (activations, others))
        a, b = (f / (np.sqrt((f**2).sum(0)) + 1e-3) for f in (a, b))
        expected += 3.0 * ((a - b) ** 2).sum(0).mean()
    assert float(found) == pytest.approx(expected, rel=1e-4)
    louder = {tap: 1000 * f for tap, f in others.items()}
    again = decoded_terms(instant.network, STYLE, louder, goal, 3.0)["looks"]
    assert float(again) == pytest.approx(float(found), rel=0.05)
    assert not unit(torch.zeros(1, 3, 2, 2)).any()


@pytest.mark.slow
def test_j_falls_and_the_given_decoder_stays(instant: Instant, tmp_path: Path) -> None:
    before = {name: tensor.clone() for name, tensor in instant.decoder.state_dict().items()}
    told: list[TuningStep] = []
    tuning = begun(instant, tmp_path / "style.safetensors", steps=25)
    assert tuning.run(lambda step: told.append(step))
    assert sum(step.value for step in told[-5:]) < sum(step.value for step in told[:5])
    assert [step.step for step in told] == list(range(1, 26))
    assert told[-1].saved
    assert sum(told[0].terms.values()) == pytest.approx(told[0].value)
    after = instant.decoder.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    picture = told[-1].picture(CONTENTS[0])
    tuned = Instant(load_decoder(tmp_path / "style.safetensors"), instant.network)
    expected = tuned.render(CONTENTS[0], [Goal([tuned.statistics(STYLE)])])
    torch.testing.assert_close(picture, expected, atol=0.02, rtol=0)  # weights are kept in fp16
    assert picture.shape == CONTENTS[0].shape
    assert not tuning.checkpoint.exists()


def test_an_interrupted_tuning_comes_to_the_same_bytes(instant: Instant, tmp_path: Path) -> None:
    whole, parts = (tmp_path / name for name in ("whole.safetensors", "parts.safetensors"))
    assert begun(instant, whole).run()
    first = begun(instant, parts)
    assert not first.resume()
    assert not first.run(lambda step: step.step < 3)
    assert parts.exists()
    second = begun(instant, parts)
    assert second.resume()
    assert second.step == 3
    assert second.run()
    assert parts.read_bytes() == whole.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"whole.safetensors", "parts.safetensors"}


def test_a_checkpoint_of_something_else_is_left_alone(instant: Instant, tmp_path: Path) -> None:
    output = tmp_path / "style.safetensors"
    assert not begun(instant, output).run(lambda step: False)
    assert not begun(instant, output, steps=7).resume()
    assert not Tuning(instant, STYLE, CONTENTS, output, steps=6, likeness=1.0).resume()
    begun(instant, output).checkpoint.write_bytes(b"damaged")
    assert not begun(instant, output).resume()


def test_control_c_leaves_a_checkpoint(instant: Instant, tmp_path: Path) -> None:
    def interrupt(step: TuningStep) -> None:
        raise KeyboardInterrupt

    tuning = begun(instant, tmp_path / "style.safetensors")
    assert not tuning.run(interrupt)
    assert tuning.checkpoint.exists()


@pytest.mark.parametrize("contents", [[], pictures(1, 40, 200)])
def test_contents_are_checked(instant: Instant, tmp_path: Path, contents: list[Tensor]) -> None:
    with pytest.raises(SampleError) as refused:
        Tuning(instant, STYLE, contents, tmp_path / "style.safetensors")
    assert refused.value.subject == "--contents"
