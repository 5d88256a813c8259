import numpy as np
import pytest
import torch

from kit import show
from kit.show.figures.superpixels import _painted


def test_a_region_has_its_mean_colour_and_dark_borders():
    image = np.zeros((3, 2, 4), dtype=np.float32)
    image[0, :, 1] = 1.0  # red in half of the left region
    regions = np.array([[7, 7, 2, 2]] * 2)
    painted = _painted(image, regions)
    assert painted[:, 0, 0].tolist() == pytest.approx([0.5, 0, 0])
    assert painted[:, 1, 1].tolist() == pytest.approx([0.5, 0, 0])
    image[2, :, 2:] = 0.8
    assert _painted(image, regions)[2, 0, 2:].tolist() == pytest.approx([0.28, 0.8])  # border


def test_every_kind_has_a_panel_with_its_number_of_regions(tmp_path):
    image = torch.rand(3, 8, 12)
    cells = torch.tensor([[0, 0, 1], [5, 5, 1]])
    figure = show.superpixels(image, {"cells": cells, "one": torch.zeros(8, 12, dtype=torch.int64)})
    names = [note.text for note in figure.layout.annotations]
    assert names == ["image", "cells, 3 regions", "one, 1 regions"]
    assert show.save_png(figure, tmp_path / "s.png", 600, 300).exists()
    with pytest.raises(ValueError, match="at least one division"):
        show.superpixels(image, {})
