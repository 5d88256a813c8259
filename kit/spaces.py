"""Features that know which space they live in, so that nothing is compared across spaces.

Two vectors of 432 numbers can be multiplied whatever they mean. A teacher and the students
distilled from it share a space; another teacher, another layer or a student's own backbone is
another one.
"""

import hashlib
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from kit.data.keyframe import Keyframe
from kit.projection import find_pairs
from kit.store import FeatureCache
from kit.student import embed
from kit.student.inputs import point_features
from kit.teacher import Teacher, keyframe_features


@dataclass(frozen=True)
class Space:
    """Where features live: equal spaces may be compared, no others.

    Attributes:
        name: for messages.
        dim: channels D.
        key: a hash of what made the features.
    """

    name: str
    dim: int
    key: str

    def check(self, other: "Space", what: str) -> None:
        """Raise ValueError, naming both, unless `other` is this space."""
        if other != self:
            raise ValueError(
                f"{what} is of the space {other.name} ({other.dim} channels, {other.key[:8]}), "
                f"this is {self.name} ({self.dim} channels, {self.key[:8]}): features of different "
                "spaces cannot be compared. Make both with one teacher, or with a student "
                "distilled from it"
            )


@dataclass(frozen=True, eq=False)
class Features:
    """Unit features of some points of one keyframe.

    Attributes:
        space: the one they live in.
        feat: (S, D) float32 of unit length; zero stays zero.
        rows: (S,) the points they belong to, ascending.
        num_points: points N of the keyframe.
    """

    space: Space
    feat: Float[Tensor, "S D"]
    rows: Int[Tensor, " S"]
    num_points: int

    def __post_init__(self):
        if self.feat.shape != (len(self.rows), self.space.dim):
            raise ValueError(
                f"features must be ({len(self.rows)}, {self.space.dim}), one row a point in the "
                f"space {self.space.name}, got {tuple(self.feat.shape)}"
            )
        if not self.feat.isfinite().all():
            raise ValueError("features must be finite, some are NaN or infinite")
        object.__setattr__(self, "feat", F.normalize(self.feat.float(), dim=1))

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return (
            f"Features of {len(self):,} of {self.num_points:,} points in the space "
            f"{self.space.name}, {self.space.dim} channels"
        )

    def of_points(self, points: Int[Tensor, " M"]) -> Float[Tensor, "M D"]:
        """The features of the given points.

        Raises:
            ValueError: a point that is not there, or that has no feature: no camera sees it.
        """
        if len(points) and not (0 <= int(points.min()) and int(points.max()) < self.num_points):
            raise ValueError(f"points must be 0 to {self.num_points - 1}, got {points.tolist()}")
        position = torch.full((self.num_points,), -1)
        position[self.rows] = torch.arange(len(self))
        if (position[points] < 0).any():
            without = points[position[points] < 0].tolist()
            raise ValueError(
                f"points {without[:5]} have no feature here, no camera sees them; choose among "
                "features.rows, or use a student's features, which all points have"
            )
        return self.feat[position[points]]


def space_of(model: nn.Module) -> Space:
    """The space of a teacher's features, or of an untaught student's head.

    A distilled student's head lives in its teacher's space: take `space_of(teacher)` for it.
    """
    if isinstance(model, Teacher):
        return Space(model.name, model.dim, model.fingerprint)
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    dim = model.config.head[-1]
    return Space("of a student's own head", dim, digest.hexdigest()[:32])


def look(
    model: nn.Module,
    keyframe: Keyframe,
    space: Space | None = None,
    cache: FeatureCache | None = None,
) -> Features:
    """What a teacher or a student makes of a keyframe.

    Args:
        model: a teacher gives features to the points its cameras see (mean over cameras); a student
            gives those of its distillation head to all points.
        space: the space the student was distilled into, `space_of(teacher)`. None: its own, which
            no teacher shares.
        cache: keeps a teacher's grids.

    Raises:
        ValueError: a space of another width than the student's head.
    """
    if isinstance(model, Teacher):
        pairs = find_pairs(keyframe.points, keyframe.cameras)
        rows, feat = keyframe_features(model, keyframe, pairs, cache=cache)
        return Features(space_of(model), feat, rows, len(keyframe.points))
    feat = embed(model, keyframe)[1]
    return Features(space or space_of(model), feat, torch.arange(len(feat)), len(feat))


def backbone(student: nn.Module, keyframe: Keyframe) -> Features:
    """A student's features before its distillation head, a space of the student's own."""
    feat, own = embed(student, keyframe)[0], space_of(student)
    space = Space("of a student's backbone", feat.shape[1], f"backbone {own.key}")
    return Features(space, feat, torch.arange(len(feat)), len(feat))


def position(keyframe: Keyframe) -> Features:
    """The baseline every space must beat: intensity, x, y, z and range, each at unit spread."""
    feat = point_features(keyframe.points, keyframe.intensity, keyframe.sensor)
    feat = (feat - feat.mean(0)) / feat.std(0).clamp(min=1e-6)
    feat = torch.cat([feat, torch.ones(len(feat), 1)], 1)  # or the unit length would hide distance
    space = Space("position only", feat.shape[1], "position")
    return Features(space, feat, torch.arange(len(feat)), len(feat))
