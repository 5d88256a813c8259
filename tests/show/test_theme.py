"""Colours: text that can be read on white, series that everyone can tell apart."""

import itertools

import numpy as np
import pytest

from kit.show import theme

# Linear red, green, blue as seen with a colour vision deficiency.
# Source: Machado, Oliveira, Fernandes, A physiologically-based model for simulation of color vision
# deficiency, 2009, severity 1.0.
SEEN = {
    "usual": np.eye(3),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(colour: str) -> np.ndarray:
    """sRGB without its gamma, in [0, 1]."""
    c = np.array(theme.rgb_of(colour)) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def contrast_to_white(colour: str) -> float:
    """As the Web Content Accessibility Guidelines define it, 1 to 21."""
    return 1.05 / (float(XYZ[1] @ linear(colour)) + 0.05)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIELAB of linear red, green, blue."""
    x, y, z = np.cbrt(XYZ @ rgb.clip(1e-3, 1) / (XYZ @ np.ones(3)))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("colour", [theme.INK, theme.MUTED])
def test_text_can_be_read_on_white(colour):
    assert contrast_to_white(colour) >= 4.5


@pytest.mark.parametrize("eyes", SEEN)
def test_series_can_be_told_apart_by_everyone(eyes):
    seen = [lab(SEEN[eyes] @ linear(colour)) for colour in theme.SERIES]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 15
    assert min(map(contrast_to_white, theme.SERIES)) >= 3
