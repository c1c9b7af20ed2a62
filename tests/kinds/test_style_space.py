"""The grids that styles are brought to."""

from __future__ import annotations

import numpy as np

from impasto.kinds import ARRAY, PICTURE
from impasto.media.pictures.picture import Picture
from impasto.media.sample import Sample


def picture(height: int, width: int) -> Picture:
    return Picture(np.zeros((3, height, width), np.float32))


def test_pictures_as_styles_follow_the_scale_but_are_never_enlarged() -> None:
    content, styles = picture(100, 150), [picture(90, 60), picture(150, 75)]
    assert [PICTURE.style_space(content, style, (50, 75)) for style in styles] == [
        (75, 50),
        (75, 38),
    ]
    assert [PICTURE.style_space(content, style, (100, 150)) for style in styles] == [
        (90, 60),
        (150, 75),
    ]


def test_signals_and_volumes_as_styles_are_scaled_as_the_content_is() -> None:
    content = Sample(np.zeros((1, 1000), np.float32))
    style = Sample(np.zeros((1, 300), np.float32))
    assert ARRAY.style_space(content, style, (500,)) == (150,)
    assert ARRAY.style_space(content, style, (1000,)) == (300,)
