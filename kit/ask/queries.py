"""Ask features a question: clicks, a picture, a thing of the street or words become a direction.

    query = kit.Query.from_points(seen, positives=[...], negatives=[...])
    score = query.score(seen)  # (S,), above 0 where it is more like the positives

A query is a linear function of unit features, `feat @ weight + bias`. It remembers the space it
lives in and refuses another.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from kit.ask.prompts.image import Region, picture_features
from kit.features.linear import draw, fit
from kit.features.spaces import Features, Space, space_of
from kit.geometry import k_nearest
from kit.store import FeatureCache
from kit.teacher.teacher import Teacher

BACKGROUND = 1000  # points drawn to stand for everything else
NEAREST, WITHIN = 8, 0.5  # points and metres around a click, itself included


@dataclass(frozen=True, eq=False)
class Query:
    """A question to a feature space.

    Attributes:
        name: what is asked for.
        space: the space it lives in.
        weight: (D,) of the unit feature.
        bias: the score is `feat @ weight + bias`; above 0 a point is more like the examples.
        source: how it was made, in words.
    """

    name: str
    space: Space
    weight: Float[Tensor, " D"]
    bias: float
    source: str

    def __repr__(self) -> str:
        return f"Query {self.name!r} from {self.source}, in the space {self.space.name}"

    def score(self, features: Features) -> Float[Tensor, " S"]:
        """The score of every point that has a feature.

        Raises:
            ValueError: features of another space.
        """
        self.space.check(features.space, "these features")
        return features.unit @ self.weight + self.bias

    def named(self, name: str) -> "Query":
        """The same question under another name."""
        return replace(self, name=name)

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
        """Points like these and not like those.

        Args:
            features: of the keyframe that was clicked in.
            positives, negatives: point numbers in the keyframe.
            xyz: the keyframe's points, metres. If given, up to seven points within half a metre of
                a click are examples like it: neighbours mostly are of one thing.
            background: points drawn at random that stand for everything else, whatever they are.
            seed: of that draw.

        Raises:
            ValueError: no positive, a point in both, or one without a feature.
        """
        positives, negatives = _indices(positives), _indices(negatives)
        if len(positives) == 0:
            raise ValueError("a query needs at least one positive point, got none")
        if both := set(positives.tolist()) & set(negatives.tolist()):
            raise ValueError(f"points {sorted(both)[:5]} are both positive and negative")
        drawn = draw(features.unit, background, seed)
        examples = features.of_points(positives), features.of_points(negatives)
        if xyz is not None:
            examples = _around(features, positives, xyz), _around(features, negatives, xyz)
        weight, bias = fit(*examples, drawn)
        words = f"{len(positives)} clicked points"
        return cls(name, features.space, weight, bias, words)

    @classmethod
    def from_image(
        cls,
        teacher: Teacher,
        picture,
        region: Region | Sequence[Region] = None,
        *,
        name: str = "picture",
        background: Features | None = None,
    ) -> "Query":
        """What a region of any picture shows; the rest of the picture is what it is not.

        Args:
            picture: (3, H, W) in [0, 1], an image file, or several of them.
            region: (H, W) bool, or (left, top, right, bottom) in pixels; None is all of it. One for
                each picture if there are several.
            background: features of some keyframe; random ones of its points join the negatives.
                Needed where the region is the whole picture.

        Raises:
            ValueError: a picture that is too small, an empty region, or nothing to compare with.
        """
        inside, outside = picture_features(teacher, picture, region)
        space = space_of(teacher)
        drawn = inside[:0]
        if background is not None:
            space.check(background.space, "the background")
            drawn = draw(background.unit, BACKGROUND, 0)
        if len(outside) + len(drawn) == 0:
            raise ValueError(
                "the region is the whole picture, so there is nothing to tell it from: give a "
                "smaller region, or background=<features of a keyframe>"
            )
        weight, bias = fit(inside, outside, drawn)
        return cls(name, space, weight, bias, "a picture's region")

    @classmethod
    def from_asset(
        cls, teacher: Teacher, word: str, *, cache: FeatureCache | None = None, seed: int = 0
    ) -> "Query":
        """A thing of the simulated street by name: it is rendered, and the teacher looks at it.

        Args:
            word: of the catalogue, e.g. "traffic cone", "red car", or of `kit.ask.prompts.asset.GROUND`, e.g.
                "road".
            cache: keeps grids of the pictures.
            seed: of shapes, views and streets.

        Raises:
            ValueError: nothing of this name; lists what there is.

        Source: IGLOSS (its published code): balanced logistic regression on unit DINOv2 features
            of generated pictures. Differs: simulated pictures, every patch of the thing an example,
            the patches around it and of other streets the counter-examples, lbfgs.
        """
        from kit.ask.prompts.asset import asset_features

        cache = FeatureCache() if cache is None else cache
        inside, others, around = asset_features(teacher, word, cache, seed)
        weight, bias = fit(inside, others, around)
        return cls(word, space_of(teacher), weight, bias, "pictures of the street's own things")

    @classmethod
    def from_text(
        cls, teacher: Teacher, text: str, *, cache: FeatureCache | None = None
    ) -> "Query":
        """Words. With a text teacher (`kit.teacher.clip.ClipTeacher`) any, else those the street knows.

        Raises:
            ValueError: an empty text; or a word unknown to the street, with a teacher that knows
                no text: names the ways to one that does.
        """
        if not text.strip():
            raise ValueError("an empty text asks for nothing, give a word such as 'car'")
        from kit.ask.prompts import asset as words
        from kit.teacher import clip as clip

        if isinstance(teacher, clip.ClipTeacher):
            weight, bias = clip.text_direction(teacher, text)
            return cls(text, space_of(teacher), weight, bias, "text")
        word = words.known(text)
        if word is None:
            raise ValueError(
                f"the teacher {teacher.name} has no text encoder, and {text!r} is not among the "
                f"words of the street: {', '.join(words.all_words())}. For any text: a student of "
                f"kit.teacher.clip.ClipTeacher(). {clip.WAYS}"
            )
        return replace(cls.from_asset(teacher, word, cache=cache), name=text)


def _indices(points: Sequence[int] | Tensor) -> Tensor:
    return torch.as_tensor(points, dtype=torch.int64).flatten()


def _around(features: Features, clicks: Tensor, xyz: Float[Tensor, "N 3"]) -> Tensor:
    """Features of clicks and of the nearest points that have one; a point near two counts twice."""
    if len(clicks) == 0:
        return features.unit[:0]
    distance, near = k_nearest(xyz[features.index].double(), xyz[clicks].double(), NEAREST)
    return features.unit[near[distance < WITHIN]]
