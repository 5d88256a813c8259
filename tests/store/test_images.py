"""Images as bytes: without loss as PNG, within limits as JPEG, never wider than asked for."""

import base64

import numpy as np
import pytest

from kit.store.images import data_uri, decode, jpeg_bytes, png_bytes, shrink

RAMP = np.linspace(0, 255, 60 * 80 * 3).astype(np.uint8).reshape(60, 80, 3)


@pytest.mark.parametrize(
    "pixels",
    [RAMP, RAMP[..., 0], np.arange(60 * 80, dtype=np.uint16).reshape(60, 80)],
    ids=["colour", "grey", "16 bits"],
)
def test_png_there_and_back(pixels):
    back = decode(png_bytes(pixels))
    assert back.dtype == pixels.dtype and np.array_equal(back, pixels)


def test_a_better_jpeg_is_nearer_and_larger():
    few, many = jpeg_bytes(RAMP, 10), jpeg_bytes(RAMP, 95)
    near, far = (np.abs(decode(data) - RAMP.astype(float)).mean() for data in (many, few))
    assert near < far and near < 2 and len(few) < len(many)


def test_wide_images_shrink_in_proportion_and_others_stay():
    assert shrink(RAMP, 40).shape == (30, 40, 3)
    assert shrink(RAMP, 80) is RAMP
    quick, slow = (shrink(RAMP, 10, quickly=each).astype(int) for each in (True, False))
    assert quick.shape == slow.shape and np.abs(quick - slow).max() <= 6
    assert shrink(RAMP[:1], 8).shape == (1, 8, 3)


def test_a_data_uri_holds_the_file():
    kind, _, text = data_uri(b"abc", "png").partition(",")
    assert kind == "data:image/png;base64" and base64.b64decode(text) == b"abc"
