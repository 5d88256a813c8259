"""Several teachers as one: the student learns the features of all of them."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from kit.teacher.feature_maps import height_by_width, join_layers
from kit.teacher.teacher import Teacher


class JointTeacher(Teacher):
    """The feature maps of several teachers, all given the same image.

    A sampled feature has the vectors of all maps, each at unit length, one after the other, so that
    no teacher outweighs another because its features are longer. A teacher with two layers counts
    twice.

    Args:
        teachers: two or more, for images of the same size.

    Raises:
        ValueError: fewer than two teachers, one teacher twice, or images of different sizes.

    Source: ScaLR+, the later version of arXiv:2310.17504, reports that several teachers help; how
        they are joined is our choice.
    """

    def __init__(self, teachers: Sequence[Teacher]):
        names = [teacher.name for teacher in teachers]
        if len(names) < 2 or len(set(names)) < len(names):
            raise ValueError(f"expected two or more different teachers, got {', '.join(names)}")
        if len({teacher.image_size for teacher in teachers}) > 1:
            sizes = ", ".join(f"{t.name}: {height_by_width(t.image_size)}" for t in teachers)
            raise ValueError(
                f"the teachers take images of different sizes ({sizes}): give image_size= with a "
                "multiple of all their strides, e.g. (224, 448)"
            )
        size, dim = teachers[0].image_size, sum(teacher.dim for teacher in teachers)
        unchanged = ((0.0,) * 3, (1.0,) * 3)  # each teacher normalises the images itself
        super().__init__("+".join(names), nn.ModuleList(teachers), dim, size, *unchanged)

    def choices(self) -> str:
        return repr([teacher.choices() for teacher in self.network])

    @property
    def has_class_token(self) -> bool:
        return all(teacher.has_class_token for teacher in self.network)

    def tokens(self, normalised: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D"]:
        """Those of all teachers, each at unit length."""
        return join_layers([teacher.class_tokens(normalised) for teacher in self.network])

    def maps(self, normalised: Float[Tensor, "B 3 H W"]) -> list[Float[Tensor, "B _ _ _"]]:
        return [
            each
            for teacher in self.network
            for each in teacher.maps((normalised - teacher.mean) / teacher.std)
        ]

    def __repr__(self) -> str:
        return " + ".join(map(repr, self.network))
