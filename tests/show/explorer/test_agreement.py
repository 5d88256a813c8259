"""The cosine of two sets' features, and quantised coordinates, against plain numpy."""

import explorer_scene as scene
import numpy as np
import pytest
import torch

from kit.show.explorer.agreement import agreement
from kit.show.explorer.quantisation import fit_quantiser


def unit(rows: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)


@pytest.mark.parametrize("common", [0.0, 3.0, 300.0])  # with a large one, differences are short
def test_cosines_are_those_of_numpy(common):
    frame = scene.keyframe()
    generator = torch.Generator().manual_seed(4)
    every = torch.randn(900, 40, generator=generator) + common
    index = torch.arange(0, 900, 3)
    some = every[index] + 0.5 * torch.randn(300, 40, generator=generator)
    every[6], some[5] = 0, 0  # no direction
    content = scene.Explorer(frame, {"a": every, "b": scene.features_of(some, index, 900)}).content
    found, has = agreement(content, 0, (0, 1))
    means = [content.quantisers[name].mean.numpy().astype(np.float64) for name in "ab"]
    centred = [
        unit(unit(rows.numpy().astype(np.float64)) - mean)
        for rows, mean in zip((every[index], some), means, strict=True)
    ]
    expected = (centred[0] * centred[1]).sum(1)
    there = np.ones(300, dtype=bool)
    there[[2, 5]] = False
    assert (has[index.numpy()] == there).all() and has.sum() == 298
    assert np.abs(found[index.numpy()] - expected)[there].max() < 2e-3
    assert (found[~has] == 0).all()


@pytest.mark.parametrize("common", [0.0, 300.0])
def test_one_product_gives_the_coordinates_of_centred_features(common):
    feat = torch.randn(500, 40, generator=torch.Generator().manual_seed(4)) + common
    feat[7] = 0
    quantiser = fit_quantiser(feat, 32)
    coordinates, length = quantiser._centred(feat)
    mean, basis = (each.numpy().astype(np.float64) for each in (quantiser.mean, quantiser.basis))
    centred = unit(feat.numpy().astype(np.float64)) - mean
    expected = np.linalg.norm(centred, axis=1)
    expected[7] = 0
    np.testing.assert_allclose(length.numpy(), expected, rtol=2e-3)
    rest = np.arange(500) != 7
    error = np.abs(coordinates.numpy() - centred @ basis)[rest].max(1) / expected[rest]
    assert error.max() < 2e-3  # of the length; int8 rounds by four times as much
