"""Find the foreground without a label: what stands around and could be moved.

Every method gives a score per point that is above 0 where it says foreground:

    first_component   the direction along which features differ most, its sign chosen by geometry
    from_seed         what is unlike a background seed (FOUND's steps, three ways to the seed)
    by_clusters       clusters that are neither flat, nor tall, nor large
    by_shape          geometry alone: low, free-standing and smooth
    find_foreground   by_shape, then a linear layer on features trained on that, whose answer is
                      averaged over the connected pieces of the scan

No label is read here. What each is worth is measured by `python -m kit bench discover`; constants
are what simulated streets chose in `python -m kit bench discover_settings`.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from sklearn.cluster import MiniBatchKMeans
from torch import Tensor

from kit.data.keyframe import Keyframe
from kit.discover.components import connected_pieces, mean_of_pieces, roughness
from kit.discover.ground import height_above_ground, top_of_column
from kit.features.linear import draw, fit
from kit.features.spaces import Features

FLAT = 0.2  # metres; nearer to the ground's plane is ground
LOW, HIGH = 0.5, 2.0  # metres; between them a low thing is judged, elsewhere it is undecided
TOP = 3.2  # metres; nothing of a movable thing is higher, most of the time
TALL = 4.0  # metres; what reaches higher is a house, a tree, a pole
ROUGH = 0.07  # mean roughness of a piece; leaves are above it, vehicles and barriers below


@dataclass(frozen=True)
class Geometry:
    """What the shape of the scan alone says of each point.

    Attributes:
        height: (N,) above the ground, metres.
        top: (N,) of the highest point above the same place, metres.
        piece: (N,) number of the connected piece it is part of, -1 near the ground.
        rough: (N,) mean roughness of that piece, or its own, 0 for a plane, at most 1/3.
    """

    height: Float[Tensor, " N"]
    top: Float[Tensor, " N"]
    piece: Int[Tensor, " N"]
    rough: Float[Tensor, " N"]

    @classmethod
    def of(cls, points: Float[Tensor, "N 3"]) -> "Geometry":
        height = height_above_ground(points)
        piece = connected_pieces(points, height)
        rough = mean_of_pieces(roughness(points), piece)
        return cls(height, top_of_column(points, height), piece, rough)

    def of_rows(self, rows: Int[Tensor, " S"]) -> "Geometry":
        return Geometry(self.height[rows], self.top[rows], self.piece[rows], self.rough[rows])

    @property
    def standing(self) -> Bool[Tensor, " N"]:
        """Low and with nothing above: a car, a person, a bin; but also a hedge."""
        return (self.height > LOW) & (self.height < HIGH) & (self.top < TOP)

    @property
    def ground(self) -> Bool[Tensor, " N"]:
        return self.height.abs() < FLAT

    @property
    def tall(self) -> Bool[Tensor, " N"]:
        return self.top > TALL


def height_band(height: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """The baseline to beat: above 0 between 0.2 and 1.8 m above the ground, most at 1 m."""
    return 0.8 - (height - 1.0).abs()


def by_shape(geometry: Geometry) -> Float[Tensor, " N"]:
    """Geometry alone: 1.3 to 2 where something low and smooth stands free.

    It is -1 on the ground, on tall things and on low rough ones, which are plants.

    Elsewhere it is -0.1: it does not know.
    """
    score = torch.full_like(geometry.height, -0.1)
    score[geometry.ground | geometry.tall] = -1.0
    standing = geometry.standing
    score[standing] = 2.0 - (geometry.height[standing] - 1.0).abs() / 1.5
    score[standing & (geometry.rough > ROUGH)] = -1.0
    return score


def background_seed(
    features: Features,
    how: str = "ground",
    geometry: Geometry | None = None,
    attention: Float[Tensor, " S"] | None = None,
) -> Float[Tensor, " D"]:
    """One feature that is surely background.

    Args:
        how: "ground": the mean of points on the ground's plane. "typical": the point most similar
            to all others. "attention": the point an image network attends to least.
        geometry: for "ground", of the points that have features.
        attention: for "attention", of the points that have features; see
            `kit.teacher.attention.attention_of_points`.

    Raises:
        ValueError: another word, or what it needs is not given.

    Source: FOUND (CVPR 2023) takes the patch with the least attention; students have none, so the
        other two are ours. Differs: its descriptors are weighted keys, here it is any feature.
    """
    feat = features.unit
    if how == "typical":
        return feat[(feat @ feat.mean(0)).argmax()]
    if how == "ground" and geometry is not None:
        chosen = geometry.ground if geometry.ground.any() else geometry.height <= FLAT
        return F.normalize(feat[chosen].mean(0), dim=0)
    if how == "attention" and attention is not None:
        return feat[attention.argmin()]
    if how in ("ground", "attention"):
        needed = "geometry" if how == "ground" else "attention"
        raise ValueError(f'a seed by "{how}" needs {needed}=, of the points that have features')
    raise ValueError(f'how must be "ground", "typical" or "attention", got {how!r}')


def from_seed(
    features: Features,
    seed: Float[Tensor, " D"],
    threshold: float | None = None,
    centred: bool = False,
) -> Float[Tensor, " S"]:
    """What is unlike the background seed.

    Args:
        threshold: cosine above which a point is background. None: Otsu's.
        centred: subtract the mean feature first, from the seed too.

    Source: FOUND (CVPR 2023): background where the cosine is above 0.3, foreground the complement.
        Its 0.3 is for keys of a DINO ViT-S/8 and hardly fits another space.
    """
    feat = features.unit
    if centred:
        mean = feat.mean(0)
        feat, seed = F.normalize(feat - mean, dim=1), seed - mean
    unlike = -(feat @ F.normalize(seed, dim=0))
    return unlike - (otsu(unlike) if threshold is None else -threshold)


def first_component(features: Features, geometry: Geometry) -> Float[Tensor, " S"]:
    """The first principal component; its sign is the one on which low standing things lie.

    Args:
        geometry: of the points that have features. Without a standing thing the smaller side is
            foreground.
    """
    centred = features.unit - features.unit.mean(0)
    _, directions = torch.linalg.eigh(centred.T @ centred / len(centred))  # ascending
    score = centred @ directions[:, -1]
    standing = geometry.standing
    if standing.any() and not standing.all():
        sign = score[standing].mean() - score[~standing].mean()
    else:
        sign = 0.5 - (score > 0).float().mean()
    return score if sign >= 0 else -score


def by_clusters(
    features: Features, geometry: Geometry, num_clusters: int = 16, seed: int = 0
) -> Float[Tensor, " S"]:
    """k-means; background are clusters with more flat or tall than standing points, and large ones.

    Returns:
        Cosine to the nearest foreground centre minus that to the nearest background centre.
    """
    feat = features.unit - features.unit.mean(0)
    num_clusters = min(num_clusters, len(feat))
    means = MiniBatchKMeans(num_clusters, random_state=seed, n_init=1, batch_size=4096)
    means.fit(draw(feat, 20_000, seed).numpy())
    centres = torch.from_numpy(means.cluster_centers_).float()
    cluster = torch.cdist(feat, centres).argmin(1)
    background = torch.tensor([_is_background(cluster == i, geometry) for i in range(len(centres))])
    cosine = F.normalize(feat, dim=1) @ F.normalize(centres, dim=1).T  # (S, K)
    if background.all() or not background.any():
        return cosine.amax(1) * (-1.0 if background.all() else 1.0)
    return cosine[:, ~background].amax(1) - cosine[:, background].amax(1)


def _is_background(members: Bool[Tensor, " S"], geometry: Geometry) -> bool:
    if not members.any():
        return True
    flat_or_tall = (geometry.ground | geometry.tall)[members].float().mean()
    standing = geometry.standing[members].float().mean()
    return bool(members.float().mean() > 0.25 or flat_or_tall > standing)


def refine(
    features: Features,
    first: Float[Tensor, " S"],
    rounds: int = 1,
    examples: int = 3000,
    seed: int = 0,
    piece: Int[Tensor, " S"] | None = None,
) -> Float[Tensor, " S"]:
    """A linear layer on frozen features, trained on a first answer, in later rounds on its own.

    The first answer may be undecided: what is from -0.5 to 0 teaches nothing in the first round.

    Args:
        first: above 0 foreground, below -0.5 background.
        rounds: trainings; from the second on, on its own thresholded answer. That mends a poor
            first answer and spoils a good one.
        examples: drawn of each side in every round.
        piece: of each point, -1 for none (`Geometry.piece`): after every round the answer is
            averaged over pieces, so that a thing is foreground as a whole or not at all.

    Returns:
        Log-odds; the first answer as it came if that has only one side.

    Source: FOUND (CVPR 2023), its second stage. Differs: one keyframe instead of a data set, solved
        by lbfgs, and learning from its own answer is optional; where its bilateral solver draws the
        answer to the image's edges, pieces of the scan do.
    """
    score = first
    for number in range(rounds):
        sides = (score > 0, score < -0.5) if number == 0 else (score > 0, score <= 0)
        if not all(side.any() for side in sides):
            return score
        positive, negative = (draw(features.unit[s], examples, seed + number) for s in sides)
        weight, bias = fit(positive, negative)
        score = features.unit @ weight + bias
        score = score if piece is None else mean_of_pieces(score, piece)
    return score


def find_foreground(keyframe: Keyframe, features: Features, rounds: int = 1) -> Float[Tensor, " S"]:
    """Score the foreground of a keyframe, no label used: geometry's guess, refined by features.

    Args:
        features: of this keyframe; the score is for the points that have some.
        rounds: see `refine`; 0 is geometry alone.
    """
    geometry = Geometry.of(keyframe.points).of_rows(features.index)
    return refine(features, by_shape(geometry), rounds, piece=geometry.piece)


def otsu(score: Float[Tensor, " S"], bins: int = 256) -> float:
    """The threshold that splits scores into two groups with the least variance inside each.

    The outermost half percent on either side is left out. All equal: that value, nothing is above.

    Source: Otsu, A Threshold Selection Method from Gray-Level Histograms (1979).
    """
    values = score.double().numpy()
    low, high = np.percentile(values, [0.5, 99.5])
    if not high > low:
        return float(values.max())
    counts, edges = np.histogram(values.clip(low, high), bins)
    centres = (edges[1:] + edges[:-1]) / 2
    share = counts.cumsum() / counts.sum()
    partial = (counts * centres).cumsum() / counts.sum()
    inside = (share > 0) & (share < 1)
    between = np.zeros(bins)
    between[inside] = (partial[-1] * share - partial)[inside] ** 2 / (share * (1 - share))[inside]
    return float(edges[1:][between.argmax()])
