"""Find the foreground without labels: things that stand on the ground and could be moved.

Every method gives each point a score, which is above 0 for foreground:

    principal_component_score   the direction of largest variance of the features
    seed_score                  features unlike a background seed (FOUND's first stage)
    cluster_score               clusters of features that are neither flat, nor tall, nor large
    shape_score                 the shape of the scan alone, in `kit.discover.shape`
    find_foreground             shape_score, then a linear layer on features that is trained on it;
                                its scores are averaged over connected components. A prior of
                                simulated streets corrects both steps

No method reads a label of a recording. `python -m kit bench discover` measures them all.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from sklearn.cluster import MiniBatchKMeans
from torch import Tensor

from kit.data.keyframe import Keyframe
from kit.discover.components import mean_of_components
from kit.discover.prior import change_initial, street_prior
from kit.discover.settings import DiscoverConfig
from kit.discover.shape import Geometry, shape_score
from kit.features.linear import draw, fit_classifier
from kit.features.spaces import Features
from kit.features.threshold import otsu

BACKGROUND = -0.5  # initial scores from here to 0 are undecided: they are no training examples


def find_foreground(
    keyframe: Keyframe,
    features: Features,
    config: DiscoverConfig = DiscoverConfig(),  # noqa: B008
) -> Float[Tensor, " S"]:
    """Score the foreground of a keyframe without labels: the shape of the scan, then features.

    Args:
        features: of this keyframe.
        config: settings of ground, components, shape, prior and training.

    Returns:
        One score for each row of `features`; above 0 for foreground.
    """
    return refined_score(features, Geometry.of(keyframe.points, config).restrict(features.index))


def refined_score(features: Features, geometry: Geometry) -> Float[Tensor, " S"]:
    """`find_foreground` for a geometry that is known.

    Args:
        geometry: of the points that have features; it holds the settings.
    """
    config, score = geometry.config, shape_score(geometry)
    prior = None if config.prior == "none" else street_prior(features.space)
    if prior is None:
        return refine(features, score, geometry.component, config)
    of_prior = mean_of_components(prior.score(features), geometry.component)
    score = change_initial(score, of_prior, config.prior)
    score = refine(features, score, geometry.component, config)
    return score + of_prior.clamp(max=0) if config.prior == "veto" else score


def all_points(features: Features, score: Float[Tensor, " S"]) -> Float[Tensor, " N"]:
    """Scores of all points of a keyframe; points without a feature get the lowest one."""
    everywhere = torch.full((features.num_points,), float(score.min()))
    everywhere[features.index] = score
    return everywhere


def refine(
    features: Features,
    initial: Float[Tensor, " S"],
    component: Int[Tensor, " S"] | None = None,
    config: DiscoverConfig = DiscoverConfig(),  # noqa: B008
) -> Float[Tensor, " S"]:
    """Train a linear layer on frozen features to predict initial scores; in later rounds, its own.

    Args:
        initial: above 0 foreground, below -0.5 background. Points between are undecided and are
            not used in the first round.
        component: connected component of each point, -1 for none (`Geometry.component`). After
            every round scores are averaged over components, so that a whole object is foreground
            or background.
        config: `rounds`, `examples` and `seed` are used. More rounds improve poor initial scores
            and spoil good ones.

    Returns:
        Log-odds; the initial scores if they have only one side.

    Source: FOUND (CVPR 2023), its second stage. Differs: one keyframe instead of a data set, solved
        by L-BFGS, and later rounds are optional. FOUND aligns its answer with the image's edges by
        a bilateral solver; here connected components do this.
    """
    score = initial
    for number in range(config.rounds):
        sides = score > 0, score < BACKGROUND if number == 0 else score <= 0
        if not all(side.any() for side in sides):
            return score
        seed = config.seed + number
        positive, negative = (draw(features.unit[side], config.examples, seed) for side in sides)
        weight, bias = fit_classifier(positive, negative)
        score = features.unit @ weight + bias
        score = score if component is None else mean_of_components(score, component)
    return score


def background_seed(
    features: Features,
    kind: str = "ground",
    geometry: Geometry | None = None,
    attention: Float[Tensor, " S"] | None = None,
) -> Float[Tensor, " D"]:
    """Choose one feature that is certainly background.

    Args:
        kind: "ground": the mean feature of the points on the ground. "typical": the feature most
            similar to all others. "attention": the feature of the point to which an image network
            attends least.
        geometry: for "ground", of the points that have features.
        attention: for "attention", of the points that have features; see
            `kit.features.attention.attention_of_points`.

    Raises:
        ValueError: an unknown kind, or the input that it needs is missing.

    Source: FOUND (CVPR 2023) takes the patch with the least attention. Students have no attention,
        so the other two kinds are ours. Differs: FOUND's descriptors are weighted keys; here any
        features are used.
    """
    feat = features.unit
    if kind == "typical":
        return feat[(feat @ feat.mean(0)).argmax()]
    if kind == "ground" and geometry is not None:
        lowest = geometry.height <= geometry.config.ground_tolerance
        chosen = geometry.ground if geometry.ground.any() else lowest
        return F.normalize(feat[chosen].mean(0), dim=0)
    if kind == "attention" and attention is not None:
        return feat[attention.argmin()]
    if kind in ("ground", "attention"):
        needed = "geometry" if kind == "ground" else "attention"
        raise ValueError(f'kind="{kind}" needs {needed}=, of the points that have features')
    raise ValueError(f'kind must be "ground", "typical" or "attention", got {kind!r}')


def seed_score(
    features: Features,
    seed: Float[Tensor, " D"],
    threshold: float | None = None,
    centred: bool = False,
) -> Float[Tensor, " S"]:
    """Score points by how little their features resemble a background seed.

    Args:
        seed: see `background_seed`.
        threshold: cosine above which a point is background. None: Otsu's threshold.
        centred: first subtract the mean feature from the features and from the seed.

    Source: FOUND (CVPR 2023): background where the cosine is above 0.3, foreground elsewhere. Its
        0.3 is for keys of a DINO ViT-S/8; other feature spaces need other values.
    """
    feat = features.unit
    if centred:
        mean = feat.mean(0)
        feat, seed = F.normalize(feat - mean, dim=1), seed - mean
    unlike = -(feat @ F.normalize(seed, dim=0))
    return unlike - (otsu(unlike) if threshold is None else -threshold)


def principal_component_score(features: Features, geometry: Geometry) -> Float[Tensor, " S"]:
    """Score points by the first principal component of their features.

    Its sign is the one for which standing points have the higher mean score.

    Args:
        geometry: of the points that have features. If none of them is standing, or all are, the
            smaller side is foreground.
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


def cluster_score(
    features: Features, geometry: Geometry, num_clusters: int = 16, seed: int = 0
) -> Float[Tensor, " S"]:
    """Score points by k-means clusters of their features.

    Background are clusters with a quarter of all points, and clusters in which more points are
    ground or tall than standing.

    Args:
        geometry: of the points that have features.
        num_clusters: at most so many; never more than points.
        seed: of k-means.

    Returns:
        Cosine to the nearest foreground centre minus cosine to the nearest background centre.
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
