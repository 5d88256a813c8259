import numpy as np
import pytest
import torch

from kit.show import arrays


def test_a_palette_of_few_colours_is_exact():
    rng = np.random.default_rng(0)
    few = rng.integers(0, 256, (200, 3), dtype=np.uint8)
    rgb = few[rng.integers(0, 200, 5000)]
    index, colours = arrays.palette(rgb)
    assert index.dtype == np.uint8
    np.testing.assert_array_equal(colours[index], rgb)


def test_a_palette_of_many_colours_is_close_and_equal_stays_equal():
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (30_000, 3), dtype=np.uint8)
    rgb[:3] = [0, 0, 0], [255, 255, 255], [8, 9, 247]
    index, colours = arrays.palette(rgb)
    assert index.dtype == np.uint16 and len(colours) <= 4096
    error = np.abs(colours[index].astype(int) - rgb)
    assert error.max() <= 8 and error.mean() < 4.5
    assert colours[index[:3]].tolist() == [[0, 0, 0], [255, 255, 255], [0, 17, 255]]
    other = np.concatenate([rng.integers(0, 256, (9000, 3), dtype=np.uint8), rgb[:500]])
    index_there, colours_there = arrays.palette(other)
    np.testing.assert_array_equal(colours_there[index_there[-500:]], colours[index[:500]])


def test_thinning_is_repeatable_spread_out_and_in_order():
    index = arrays.choose(100_000, 1000)
    assert len(index) == 1000 == len(np.unique(index))
    np.testing.assert_array_equal(index, np.sort(index))
    np.testing.assert_array_equal(index, arrays.choose(100_000, 1000))
    quarters = np.histogram(index, 4, (0, 100_000))[0]
    assert quarters.min() > 200
    np.testing.assert_array_equal(arrays.choose(5, 5), np.arange(5))
    with pytest.raises(ValueError, match="max_points"):
        arrays.choose(5, 0)


def test_an_image_keeps_its_pixels():
    image = torch.zeros(3, 2, 4)
    image[0, 1, 3], image[2, 0, 1] = 1.0, 0.5
    pixels = arrays.check_image(image)
    assert pixels.shape == (2, 4, 3)
    assert pixels[1, 3].tolist() == [255, 0, 0]
    assert pixels[0, 1].tolist() == [0, 0, 128]


def test_a_normalised_image_is_named():
    with pytest.raises(ValueError, match="-2.00 to 2.00"):
        arrays.check_image(torch.linspace(-2, 2, 12).reshape(3, 2, 2))


def test_constant_values_get_limits_that_are_not_equal():
    assert arrays.robust_limits(np.full(10, 3.0)) == (2.5, 3.5)
    assert arrays.robust_limits(np.arange(101.0)) == (1.0, 99.0)
