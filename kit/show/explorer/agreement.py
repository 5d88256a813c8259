"""The cosine of each point's features in two sets, for the mode agreement."""

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kit.features.spaces import Features
from kit.show.explorer.quantisation import SHORT, unit_rows
from kit.show.explorer.state import Content

CHUNK = 1024  # rows at once; they stay in the cache of the processor


def agreement(
    content: Content, index: int, pair: tuple[int, int]
) -> tuple[Float[np.ndarray, " N"], Bool[np.ndarray, " N"]]:
    """Cosine of each point's features in two sets, each minus the mean of its set.

    Args:
        content: what the explorer shows.
        index: number of the keyframe.
        pair: numbers of the sets.

    Returns:
        cosine: (N,); 0 where a point lacks one of the features.
        has: (N,) whether it has both.
    """
    both = [content.features[content.sets[number]][index] for number in pair]
    means = torch.stack([content.quantisers[content.sets[number]].mean for number in pair])
    points = torch.arange(both[0].num_points)
    rows = [each.row_of(points) for each in both]
    common = ((rows[0] >= 0) & (rows[1] >= 0)).nonzero()[:, 0]
    cosine, has = torch.zeros(len(points)), torch.zeros(len(points), dtype=torch.bool)
    for some in common.split(CHUNK):
        parts = [_rows(each, row[some]) for each, row in zip(both, rows, strict=True)]
        cosine[some], has[some] = _cosine(parts[0], parts[1], means)
    return cosine.numpy(), has.numpy()


def _rows(features: Features, rows: Tensor) -> Float[Tensor, "R D"]:
    """Ascending rows of features, without a copy where they follow one another."""
    first, last = int(rows[0]), int(rows[-1])
    part = features.feat[first : last + 1] if last - first + 1 == len(rows) else features.feat[rows]
    return part.float()


def _cosine(
    one: Float[Tensor, "R D"], other: Float[Tensor, "R D"], means: Float[Tensor, "2 D"]
) -> tuple[Float[Tensor, " R"], Bool[Tensor, " R"]]:
    """Cosines of centred unit features, from products of the rows as they are.

    (u - m).(v - n) = u.v - u.n - v.m + m.n, and |u - m|^2 = 1 - 2 u.m + m.m; short differences are
    computed directly.
    """
    norms = torch.stack([one.norm(dim=1), other.norm(dim=1)])
    safe = norms.clamp(min=1e-12)
    along = torch.stack([one @ means.T, other @ means.T]) / safe[:, :, None]  # (2, R, 2)
    square = (means @ means.T).diagonal()[:, None] + 1 - 2 * along[[0, 1], :, [0, 1]]
    length = square.clamp(min=0).sqrt()  # (2, R)
    product = (one * other).sum(1) / (safe[0] * safe[1])
    product += means[0] @ means[1] - along[0, :, 1] - along[1, :, 0]
    cosine = product / (length[0] * length[1]).clamp(min=1e-12)
    short = (length < SHORT).any(0).nonzero()[:, 0]
    if len(short):
        centred = [
            torch.nn.functional.normalize(part[short], dim=1) - mean
            for part, mean in zip((one, other), means, strict=True)
        ]
        length[:, short] = torch.stack([part.norm(dim=1) for part in centred])
        cosine[short] = (unit_rows(centred[0]) * unit_rows(centred[1])).sum(1)
    has = ((norms > 0) & (length >= 1e-6)).all(0)
    return torch.where(has, cosine, 0.0), has
