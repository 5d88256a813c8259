"""Queries: linear scores of features, fitted to examples of what is searched.

    query = kit.Query.from_points(features, positives=[...], negatives=[...])
    score = query.score(features)  # (S,), above 0 where a point resembles the positives

Examples are clicked points, image regions, assets of the street, or a text. The score is a linear
function of unit features, `feat @ weight + bias`. A query belongs to one feature space and refuses
features of any other.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from kit.ask.prompts.image import ImageSource, Region, image_features
from kit.features.linear import draw, fit_classifier
from kit.features.spaces import Features, Space, space_of
from kit.geometry import k_nearest
from kit.store import FeatureCache
from kit.teacher.teacher import Teacher

BACKGROUND = 1000  # points drawn at random that represent everything else
NEIGHBOURS, RADIUS = 8, 0.5  # points (the click included) and metres around a click


@dataclass(frozen=True, eq=False)
class Query:
    """A linear score of the features of one space.

    Attributes:
        name: what is searched.
        space: the feature space it belongs to.
        weight: (D,) of the unit feature.
        bias: the score is `feat @ weight + bias`; above 0 a point resembles the examples.
        origin: what it was made from, for messages.

    Raises:
        ValueError: a weight of another length than the space has channels, or one that is not
            finite.
    """

    name: str
    space: Space
    weight: Float[Tensor, " D"]
    bias: float
    origin: str

    def __post_init__(self):
        if self.weight.shape != (self.space.dim,):
            raise ValueError(
                f"the weight of a query in the space {self.space.name} must have {self.space.dim} "
                f"numbers, got {tuple(self.weight.shape)}"
            )
        if not (self.weight.isfinite().all() and math.isfinite(self.bias)):
            raise ValueError(f"weight and bias of the query {self.name!r} must be finite")

    def __repr__(self) -> str:
        return f"Query {self.name!r} from {self.origin}, in the space {self.space.name}"

    def score(self, features: Features) -> Float[Tensor, " S"]:
        """Score every point that has a feature.

        Raises:
            ValueError: features of another space.
        """
        self.space.check(features.space, "these features")
        return features.unit @ self.weight + self.bias

    @classmethod
    def from_points(
        cls,
        features: Features,
        positives: Sequence[int] | Tensor,
        negatives: Sequence[int] | Tensor = (),
        *,
        name: str = "clicked",
        xyz: Float[Tensor, "N 3"] | None = None,
        background: int = BACKGROUND,
        seed: int = 0,
    ) -> "Query":
        """Find points that resemble clicked points.

        Args:
            features: of the keyframe that was clicked in.
            positives: points of the keyframe that show what is searched.
            negatives: points of the keyframe that do not.
            name: of the query.
            xyz: the keyframe's points, metres. If given, up to seven points within half a metre of
                a click are examples too, because neighbours mostly belong to the same thing.
            background: number of points that are drawn at random, to represent everything else.
            seed: of this draw.

        Raises:
            ValueError: no positive, a point in both, a point without a feature, a number that is
                no index, or a background below 0.
        """
        if background < 0:
            raise ValueError(f"background must be at least 0 points, got {background}")
        positives, negatives = _indices(positives), _indices(negatives)
        if len(positives) == 0:
            raise ValueError("a query needs at least one positive point, got none")
        if both := set(positives.tolist()) & set(negatives.tolist()):
            raise ValueError(f"points {sorted(both)[:5]} are both positive and negative")
        drawn = draw(features.unit, background, seed)
        examples = features.of_points(positives), features.of_points(negatives)
        if xyz is not None:
            examples = _around(features, positives, xyz), _around(features, negatives, xyz)
        weight, bias = fit_classifier(*examples, drawn)
        return cls(name, features.space, weight, bias, f"{len(positives)} clicked points")

    @classmethod
    def from_image(
        cls,
        teacher: Teacher,
        image: ImageSource | Sequence[ImageSource],
        region: Region | Sequence[Region] = None,
        *,
        name: str = "image",
        background: Features | None = None,
    ) -> "Query":
        """Find what a region of any image shows; the rest of the image is the counter-example.

        Args:
            teacher: the query belongs to its feature space.
            image: (3, H, W) in [0, 1], an image file, or several of them.
            region: (H, W) bool, or (left, top, right, bottom) in pixels; None: the whole image. One
                for each image if there are several.
            name: of the query.
            background: features of some keyframe; points drawn from it are counter-examples too.
                Needed where the region is the whole image.

        Raises:
            ValueError: an image that is too small, an empty region, or no counter-example.
        """
        inside, outside = image_features(teacher, image, region)
        space = space_of(teacher)
        drawn = inside[:0]
        if background is not None:
            space.check(background.space, "the background")
            drawn = draw(background.unit, BACKGROUND, 0)
        if len(outside) + len(drawn) == 0:
            raise ValueError(
                "the region is the whole image, so there is no counter-example: give a smaller "
                "region, or background=<features of a keyframe>"
            )
        weight, bias = fit_classifier(inside, outside, drawn)
        return cls(name, space, weight, bias, "an image region")

    @classmethod
    def from_asset(
        cls, teacher: Teacher, asset: str, *, cache: FeatureCache | None = None, seed: int = 0
    ) -> "Query":
        """Find what an asset of the simulated street shows; the asset is rendered for this.

        Args:
            teacher: the query belongs to its feature space.
            asset: a name such as "traffic cone", "red car" or "road"; see
                `kit.ask.prompts.asset.asset_names`.
            cache: keeps the features of the rendered images. None: the user's cache.
            seed: of shapes, views and streets.

        Raises:
            ValueError: no such asset; lists all names.

        Source: IGLOSS (its published code): balanced logistic regression on unit DINOv2 features
            of generated images. Differs: simulated images; all samples of the asset are positive,
            those around it and of other streets are negative; L-BFGS.
        """
        from kit.ask.prompts.asset import asset_features

        cache = FeatureCache() if cache is None else cache
        inside, others, around = asset_features(teacher, asset, cache, seed)
        weight, bias = fit_classifier(inside, others, around)
        return cls(asset, space_of(teacher), weight, bias, "an asset of the street")

    @classmethod
    def from_text(
        cls, teacher: Teacher, text: str, *, cache: FeatureCache | None = None
    ) -> "Query":
        """Find what a text describes: any text with a CLIP teacher, otherwise the name of an asset.

        Args:
            teacher: a `kit.teacher.clip.ClipTeacher` encodes any text.
            text: such as "a cyclist".
            cache: for assets, see `from_asset`.

        Raises:
            ValueError: an empty text; or a teacher without a text encoder and a text that names no
                asset.
        """
        if not text.strip():
            raise ValueError("a query needs a text, got an empty one; try a word such as 'car'")
        from kit.ask.prompts.asset import asset_names, find_asset
        from kit.ask.prompts.text import text_direction
        from kit.teacher.clip import WAYS, ClipTeacher

        if isinstance(teacher, ClipTeacher):
            weight, bias = text_direction(teacher, text)
            return cls(text, space_of(teacher), weight, bias, "text")
        asset = find_asset(text)
        if asset is None:
            raise ValueError(
                f"the teacher {teacher.name} has no text encoder, and {text!r} is no asset of the "
                f"street: {', '.join(asset_names())}. For any text, use a student of "
                f"kit.build_teacher('clip_vitb16'). {WAYS}"
            )
        return replace(cls.from_asset(teacher, asset, cache=cache), name=text)


def _indices(points: Sequence[int] | Tensor) -> Tensor:
    index = torch.as_tensor(points).flatten()
    if len(index) and (
        index.is_floating_point() or index.is_complex() or index.dtype == torch.bool
    ):
        raise ValueError(f"points must be whole numbers, indices of points, got {index.dtype}")
    return index.long()


def _around(features: Features, clicks: Tensor, xyz: Float[Tensor, "N 3"]) -> Tensor:
    """Unit features of the points around clicks; a point near two clicks counts twice."""
    if len(clicks) == 0:
        return features.unit[:0]
    distance, row = k_nearest(xyz[features.index].double(), xyz[clicks].double(), NEIGHBOURS)
    return features.unit[row[distance < RADIUS]]
