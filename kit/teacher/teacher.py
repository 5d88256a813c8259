"""The interface of every teacher: a frozen image network that gives feature maps.

    images (B, 3, H, W) in [0, 1] -> network, frozen -> FeatureMaps -> sample -> (M, D)

The maps are never up-sampled. Bilinear sampling at a pixel gives the value that ScaLR's up-sampled
map has there, with much less memory.

A new teacher is one file with a subclass of `Teacher`, and one line in
`kit.teacher.presets.TEACHERS`.
"""

import copy
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from numbers import Integral

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kit.teacher.feature_maps import FeatureMaps, height_by_width

MAX_PIXELS = 2**14  # of an image's height or width
EXACT, TF32 = "32-true", "tf32"
AUTOCAST = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
PRECISIONS = (EXACT, TF32, *AUTOCAST)


class Teacher(nn.Module, ABC):
    """A frozen image network: `teacher(images)` gives the `FeatureMaps` of a batch.

    It is never trained and computes no gradient. Give it images in [0, 1]: it normalises them with
    the mean and standard deviation of its network.

    Args:
        name: for messages.
        network: the image network.
        dim: channels D of a feature.
        image_size: (height, width) in pixels of the images it takes.
        mean: of red, green and blue, in [0, 1].
        std: standard deviation of red, green and blue, in [0, 1].

    Attributes:
        precision: number format of the computation, see `in_precision`.

    Source: ScaLR (arXiv:2310.17504): frozen and in eval mode.
    """

    precision: str = EXACT

    def __init__(
        self,
        name: str,
        network: nn.Module,
        dim: int,
        image_size: tuple[int, int],
        mean: tuple[float, ...],
        std: tuple[float, ...],
    ):
        super().__init__()
        self.name, self.dim, self.image_size = name, dim, tuple(image_size)
        self.network = network.requires_grad_(False)
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)
        self.eval()

    @abstractmethod
    def maps(self, normalised: Float[Tensor, "B 3 H W"]) -> list[Float[Tensor, "B _ _ _"]]:
        """Compute the feature maps of normalised images; one map (B, D_i, h_i, w_i) per layer."""

    @abstractmethod
    def choices(self) -> str:
        """Everything that features depend on besides the weights and the image, as text."""

    @property
    def has_class_token(self) -> bool:
        """Whether the network has a class token, one vector for the whole image."""
        return False

    def check_class_token(self) -> None:
        """Raise ValueError unless the network has a class token."""
        if not self.has_class_token:
            raise ValueError(
                f"the teacher {self.name} has no class token; use a transformer such as "
                "dinov2_vits14"
            )

    def tokens(self, normalised: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D"]:
        """Compute the class tokens of normalised images; only if there are any."""
        raise NotImplementedError

    @property
    def device(self) -> torch.device:
        """The device that the network is on."""
        return self.mean.device

    @cached_property
    def fingerprint(self) -> str:
        """A hash of everything that features depend on besides the image."""
        digest = hashlib.sha256(self.choices().encode())
        if self.precision != EXACT:  # keeps the hashes from before there were others
            digest.update(self.precision.encode())
        for name, tensor in sorted(self.network.state_dict().items()):
            digest.update(f"{name} {tuple(tensor.shape)}".encode())
            digest.update(tensor.cpu().flatten().view(torch.uint8).numpy())
        return digest.hexdigest()[:32]

    def in_precision(self, precision: str) -> "Teacher":
        """The same network, computed in another number format; its features are rounded.

        Args:
            precision: "32-true", or on a GPU faster: "tf32" for matrix products of 10 bits,
                "bf16-mixed" or "16-mixed" for autocast.

        Raises:
            ValueError: no such precision.
        """
        if precision not in PRECISIONS:
            raise ValueError(f"precision must be one of {list(PRECISIONS)}, got {precision!r}")
        if precision == self.precision:
            return self
        other = copy.copy(self)
        other.precision = precision
        vars(other).pop("fingerprint", None)
        return other

    @contextmanager
    def _computing(self) -> Iterator[None]:
        """Compute a block in the teacher's precision."""
        if self.precision in AUTOCAST:
            with torch.autocast(self.device.type, AUTOCAST[self.precision]):
                yield
        elif self.precision == TF32:
            before = torch.get_float32_matmul_precision()
            torch.set_float32_matmul_precision("high")
            try:
                yield
            finally:
                torch.set_float32_matmul_precision(before)
        else:
            yield

    def at_layer(self, layer: int) -> "Teacher":
        """The same network, read at another block or stage.

        Raises:
            ValueError: no such layer, or this teacher has only one output.
        """
        raise ValueError(f"the teacher {self.name} has only one output, leave out layer={layer}")

    def train(self, mode: bool = True) -> "Teacher":
        """Refuse train mode: batch statistics and dropout would make features random.

        Raises:
            RuntimeError: `mode` is True.
        """
        if mode:
            raise RuntimeError(
                "a teacher is frozen and stays in eval mode: keep it out of the module you train"
            )
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Float[Tensor, "B 3 H W"]) -> FeatureMaps:
        """Compute the feature maps of a batch of images in [0, 1].

        Raises:
            ValueError: images of another size than `image_size`, or not in [0, 1].
        """
        normalised = self.normalise(images)
        with self._computing():
            maps = self.maps(normalised)
        return FeatureMaps(tuple(each.float().contiguous() for each in maps), self.image_size)

    @torch.no_grad()
    def class_tokens(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D"]:
        """Compute the class token of each of a batch of images in [0, 1].

        Raises:
            ValueError: the network has none, or see `normalise`.
        """
        self.check_class_token()
        normalised = self.normalise(images)
        with self._computing():
            return self.tokens(normalised).float()

    def normalise(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
        """Check images, and normalise them with the network's mean and standard deviation.

        Raises:
            ValueError: images of another size than `image_size`, or not in [0, 1].
        """
        if tuple(images.shape[-2:]) != self.image_size:
            raise ValueError(
                f"images are {height_by_width(images.shape[-2:])} (height x width), the teacher "
                f"{self.name} takes {height_by_width(self.image_size)}: use "
                "camera.resized(teacher.image_size), or build the teacher with image_size="
            )
        low, high = (bound.item() for bound in images.aminmax())
        if not (low >= -1e-4 and high <= 1 + 1e-4):
            raise ValueError(
                f"images must be in [0, 1], got {low:.3g} to {high:.3g}: divide bytes by 255, and "
                "leave the normalisation to the teacher"
            )
        return (images.to(self.device) - self.mean) / self.std


def check_image_size(image_size: tuple[int, int], stride: int, model: str, where: str = "") -> None:
    """Raise ValueError, naming the nearest size, unless both lengths are multiples of `stride`."""
    if not all(isinstance(n, Integral) and 0 < n <= MAX_PIXELS for n in image_size):
        raise ValueError(
            f"image_size must be whole numbers from 1 to {MAX_PIXELS:,} (height, width), got "
            f"{height_by_width(image_size)}{where}"
        )
    nearest = tuple(max(round(length / stride), 1) * stride for length in image_size)
    if tuple(image_size) != nearest:
        raise ValueError(
            f"image_size must be multiples of {stride} for {model}, got "
            f"{height_by_width(image_size)}{where}; the nearest is {height_by_width(nearest)} "
            "(height x width)"
        )
