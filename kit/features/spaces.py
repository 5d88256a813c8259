"""Features with the feature space they belong to, so that only comparable features are compared.

Any two vectors of the same length can be multiplied, whatever they mean. A teacher and the students
that were distilled from it share a feature space. Another teacher, another layer of a teacher, and
a layer of a student before its head each have another one.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from kit.student.student import Student
from kit.teacher.teacher import Teacher


@dataclass(frozen=True)
class Space:
    """A feature space: features of equal spaces may be compared, others may not.

    Attributes:
        name: for messages.
        dim: channels D.
        key: identifies what made the features; of a network, a hash.
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
    """Features of some points of one keyframe.

    Attributes:
        space: the feature space.
        feat: (S, D) float32, as the network gives them.
        index: (S,) the point of each row, ascending.
        num_points: points N of the keyframe.

    Raises:
        ValueError: shapes that do not match, or a feature that is not finite.
    """

    space: Space
    feat: Float[Tensor, "S D"]
    index: Int[Tensor, " S"]
    num_points: int

    def __post_init__(self):
        if self.feat.shape != (len(self.index), self.space.dim):
            raise ValueError(
                f"features must be ({len(self.index)}, {self.space.dim}), one row a point in the "
                f"space {self.space.name}, got {tuple(self.feat.shape)}"
            )
        if self.feat.numel() and not torch.stack(self.feat.aminmax()).isfinite().all():
            bad = (~self.feat.isfinite()).any(1).nonzero()[:, 0]
            raise ValueError(
                f"features must be finite: {len(bad)} of {len(self.feat)} in the space "
                f"{self.space.name} are not, the first one of point {int(self.index[bad[0]])}. Are "
                "the network's weights or its inputs very large?"
            )
        object.__setattr__(self, "feat", self.feat.float())

    @cached_property
    def unit(self) -> Float[Tensor, "S D"]:
        """The features scaled to unit length; a zero feature stays zero."""
        return F.normalize(self.feat, dim=1)

    @cached_property
    def centred(self) -> Float[Tensor, "S D"]:
        """The unit features minus their mean, at unit length again.

        Features of one network have a large common part, so plain cosines are all high. Without it,
        cosines show what differs between points. A zero feature stays zero, and so does a feature
        that equals the mean.
        """
        differences = self.unit - self.unit.mean(0)
        there = (self.unit != 0).any(1) & (differences.norm(dim=1) > 1e-6)
        return F.normalize(differences, dim=1) * there[:, None]

    def __len__(self) -> int:
        return len(self.index)

    def __repr__(self) -> str:
        return (
            f"Features of {len(self):,} of {self.num_points:,} points in the space "
            f"{self.space.name}, {self.space.dim} channels"
        )

    def row_of(self, points: Int[Tensor, " M"]) -> Int[Tensor, " M"]:
        """The row of each point in `feat` and `index`; -1 where it has no feature."""
        row = torch.full((self.num_points,), -1)
        row[self.index] = torch.arange(len(self))
        return row[points]

    def of_points(self, points: Int[Tensor, " M"]) -> Float[Tensor, "M D"]:
        """The unit features of the given points.

        Raises:
            ValueError: a point outside of the keyframe, or without a feature because no camera
                sees it.
        """
        if len(points) and not (0 <= int(points.min()) and int(points.max()) < self.num_points):
            raise ValueError(f"points must be 0 to {self.num_points - 1}, got {points.tolist()}")
        row = self.row_of(points)
        if (row < 0).any():
            without = points[row < 0].tolist()
            raise ValueError(
                f"points {without[:5]} have no feature here, no camera sees them; choose among "
                "features.index, or use a student's features, which all points have"
            )
        return self.unit[row]

    def restrict(self, points: Int[Tensor, " M"]) -> "Features":
        """Keep the features of the given points; points without a feature are skipped."""
        inside = torch.isin(self.index, points)
        return Features(self.space, self.feat[inside], self.index[inside], self.num_points)


def space_of(model: Teacher | Student) -> Space:
    """The feature space of a teacher, or of a student's distillation head.

    The head of a distilled student has the space of its teacher. The head of an untrained student
    has a space of its own.
    """
    if isinstance(model, Teacher):
        return Space(model.name, model.dim, model.fingerprint)
    teacher, dim = model.distilled_from, model.config.head[-1]
    if teacher is not None:
        return Space(teacher.name, dim, teacher.fingerprint)
    return Space("an untrained student's head", dim, digest_of(model))


def layer_space(student: Student, layer: str, dim: int) -> Space:
    """The feature space of a layer before the distillation head: it is the student's own."""
    return Space(f"{layer} of a student", dim, f"{layer} {digest_of(student)}")


def baseline_space(baseline: Callable, dim: int) -> Space:
    """The feature space of a baseline; its module and its name identify it."""
    name = getattr(baseline, "__name__", type(baseline).__name__)
    path = getattr(baseline, "__qualname__", type(baseline).__qualname__)
    return Space(name, dim, f"{baseline.__module__}.{path}")


_DIGESTS: WeakKeyDictionary = WeakKeyDictionary()  # module -> (state of its tensors, digest)


def digest_of(module: nn.Module) -> str:
    """A hash of a network's weights; computed again only after the weights changed.

    PyTorch counts changes of a tensor, except those through `tensor.data`.
    """
    weights = module.state_dict()
    state = tuple((tensor.data_ptr(), tensor._version) for tensor in weights.values())
    stored = _DIGESTS.get(module)
    if stored is None or stored[0] != state:
        digest = hashlib.sha256()
        for name, tensor in sorted(weights.items()):
            digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
        stored = _DIGESTS[module] = state, digest.hexdigest()[:32]
    return stored[1]
