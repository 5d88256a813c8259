"""k-nearest-neighbour averaging against scikit-learn's neighbours."""

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors

from kit.features.knn import knn_mean

GENERATOR = torch.Generator().manual_seed(0)
POINTS, VALUES = torch.rand(80, 3, generator=GENERATOR), torch.rand(80, 2, generator=GENERATOR)
PLACES = torch.rand(7, 3, generator=GENERATOR)


def test_the_neighbours_are_those_of_scikit_learn():
    theirs = NearestNeighbors(n_neighbors=5).fit(POINTS.numpy())
    for at in (None, PLACES):
        index = theirs.kneighbors((POINTS if at is None else at).numpy())[1]
        wanted = VALUES.numpy()[index].mean(1)
        assert np.allclose(knn_mean(POINTS, VALUES, at, 5), wanted, atol=1e-6)


def test_one_neighbour_is_the_point_itself_and_few_points_are_all_taken():
    assert torch.equal(knn_mean(POINTS, VALUES, k=1), VALUES)
    of_all = VALUES[:3].mean(0).expand(7, 2)
    assert torch.allclose(knn_mean(POINTS[:3], VALUES[:3], PLACES, 16), of_all)
