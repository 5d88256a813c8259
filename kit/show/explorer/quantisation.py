"""Features as a few int8 numbers per point, small enough for a browser, with cosines kept close.

    feat (N, D) -> unit length -> minus the mean -> direction and length
    direction -> K coordinates (int8, one scale per point)      K is 32, or 64 if 32 is too coarse

Of what the K coordinates leave out, the length r is known, as a direction has length 1. Points that
agree in the K coordinates tend to agree in the rest too, so the cosine is estimated by

    cosine(a, b) = d + r_a r_b c^4,     d = q_a . q_b,     c = the cosine within the K coordinates

both in the shader of `explorer.js` and in `Quantised.cosine`. The cosine of a point to itself is
then exactly 1, and the error for similar pairs is about halved.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int8
from torch import Tensor

from kit.features.pca import main_directions
from kit.show.arrays import choose, to_numpy
from kit.show.features import FeatureArray

MAX_CHANNELS = 4096
CHUNK = 4096  # rows that are quantised at once; they stay in the cache of the processor
TOO_COARSE = 0.02  # cosine error above which 64 channels are kept instead of 32
MAX_ROWS = 3_000  # for a fit; more change the directions by less than the rounding does
SHORT = 0.05  # length of a centred feature, below which a difference of products is too inexact


@dataclass(frozen=True)
class Quantised:
    """Features as the browser gets them.

    Attributes:
        direction: (N, K) int8, coordinates of the centred unit feature's direction.
        scale: (N,) float32; `direction * scale` are the coordinates. 0 where there is no feature.
        length: (N,) float32 of the centred unit feature; 0 where there is no feature.
    """

    direction: Int8[np.ndarray, "N K"]
    scale: Float[np.ndarray, " N"]
    length: Float[np.ndarray, " N"]

    def coordinates(self) -> Float[np.ndarray, "N K"]:
        """The coordinates in the basis, as the browser computes them."""
        return self.direction * self.scale[:, None]

    def cosine(self, rows: np.ndarray, others: np.ndarray) -> Float[np.ndarray, "A B"]:
        """The mean-centred cosine as the shader computes it, between rows and other rows."""
        left = self.direction[rows] * self.scale[rows, None]
        right = self.direction[others] * self.scale[others, None]
        dot = left @ right.T
        norm, norm_right = np.linalg.norm(left, axis=1), np.linalg.norm(right, axis=1)
        rest = np.sqrt(np.clip(1 - norm**2, 0, None))
        rest_right = np.sqrt(np.clip(1 - norm_right**2, 0, None))
        power = np.outer(norm, norm_right)  # in place from here: there may be millions of pairs
        np.maximum(power, 1e-9, out=power)
        np.divide(dot, power, out=power)
        np.clip(power, 0, 1, out=power)
        for _ in range(2):
            np.square(power, out=power)
        power *= rest[:, None]
        power *= rest_right
        return dot + power


@dataclass(frozen=True)
class Quantiser:
    """How features of one set are quantised, fitted once for all keyframes of a sequence.

    Attributes:
        mean: (D,) of the unit features; zeros if all are equal, as then nothing can be centred.
        basis: (D, K) orthonormal columns.
        error_mean, error_99: error of the cosine, measured on pairs of features: its mean, and its
            99th percentile.
        step: one scale for all points, so that small coordinates become zeros, which compress
            well; None: a scale for each point, as fine as int8 allows.
    """

    mean: Float[Tensor, " D"]
    basis: Float[Tensor, "D K"]
    error_mean: float = 0.0
    error_99: float = 0.0
    step: float | None = None

    @property
    def channels(self) -> int:
        """Number of coordinates of a point, K."""
        return self.basis.shape[1]

    def quantise(self, feat: FeatureArray) -> Quantised:
        """Quantise (N, D) features; those without a direction (zero, or the mean) stay zero."""
        rows = torch.as_tensor(to_numpy(feat), dtype=torch.float32)
        parts = [self._quantise(part) for part in rows.split(CHUNK)] or [self._quantise(rows)]
        return Quantised(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    def _quantise(self, feat: Float[Tensor, "N D"]) -> tuple[np.ndarray, ...]:
        """Direction, scale and length of rows; a whole set at once would need much memory."""
        direction, length = self._centred(feat)
        direction /= torch.where(length > 0, length, 1.0)[:, None]
        finest = direction.abs().amax(1) / 127
        scale = finest if self.step is None else torch.full_like(finest, self.step)
        scale = torch.where(length > 0, scale, 0.0)
        steps = torch.where(scale[:, None] > 0, direction / scale.clamp(min=1e-12)[:, None], 0.0)
        return steps.round().to(torch.int8).numpy(), scale.numpy(), length.numpy()

    def _centred(self, feat: Float[Tensor, "N D"]) -> tuple[Tensor, Tensor]:
        """Coordinates (N, K) and length (N,) of centred unit features, from one matrix product.

        The length follows from |u - m|^2 = 1 - 2 u.m + m.m; short ones are computed directly.
        """
        norm = feat.norm(dim=1)
        product = feat @ torch.cat([self.basis, self.mean[:, None]], dim=1)  # (N, K + 1)
        product /= norm.clamp(min=1e-12)[:, None]
        coordinates, along = product[:, :-1] - self.mean_coordinates, product[:, -1]
        length = (1 - 2 * along + self.mean @ self.mean).clamp(min=0).sqrt()
        short = (length < SHORT).nonzero()[:, 0]
        if len(short):
            centred = torch.nn.functional.normalize(feat[short], dim=1) - self.mean
            coordinates[short], length[short] = centred @ self.basis, centred.norm(dim=1)
        length[(norm == 0) | (length < 1e-6)] = 0
        return coordinates, length

    @property
    def mean_coordinates(self) -> Float[Tensor, " K"]:
        """The mean in the basis: turns a centred cosine into a plain one, see `plain`."""
        return self.mean @ self.basis

    def plain(self, quantised: Quantised, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
        """The plain cosine between unit features x = m + n u: m.m + n m.u + n' m.u' + n n' u.u'."""
        along = quantised.length * (quantised.coordinates() @ self.mean_coordinates.numpy())
        lengths = np.outer(quantised.length[rows], quantised.length[others])
        dot = lengths * quantised.cosine(rows, others)
        return float(self.mean @ self.mean) + along[rows, None] + along[others] + dot


def unit_rows(feat: FeatureArray) -> Float[Tensor, "N D"]:
    """Rows as float32 of unit length; zero rows stay zero."""
    rows = torch.tensor(to_numpy(feat), dtype=torch.float32)
    return torch.nn.functional.normalize(rows, dim=1)


def fit_quantiser(feat: FeatureArray, channels: int | None = None) -> Quantiser:
    """Fit the quantiser of one feature set and measure the error of its cosines.

    Args:
        feat: (N, D), of all keyframes one after the other.
        channels: K, a multiple of 4; without, 32, or 64 where more than one in a hundred pairs
            would have an error above 0.02.

    Raises:
        ValueError: channels that are not a multiple of 4.

    Source: the directions that keep most of all dot products are the leading eigenvectors of the
        second-moment matrix (Eckart and Young, 1936), here of the centred rows at unit length.
    """
    if channels is not None and (not 4 <= channels <= MAX_CHANNELS or channels % 4):
        raise ValueError(
            f"channels must be a multiple of 4, at most {MAX_CHANNELS:,}, got {channels}"
        )
    unit = unit_rows(feat)
    unit = unit[(unit != 0).any(1)]
    unit = unit[torch.from_numpy(choose(max(len(unit), 1), MAX_ROWS))] if len(unit) else unit
    mean = unit.mean(0, dtype=torch.float64).float() if len(unit) else torch.zeros(unit.shape[1])
    if not len(unit) or (unit - mean).norm(dim=1).max() < 1e-5:
        mean = torch.zeros(unit.shape[1])  # one point, or all alike: a cosine without centring
    directions = main_directions(torch.nn.functional.normalize(unit - mean, dim=1))
    for number in (channels,) if channels else (32, 64):
        quantiser = measure(Quantiser(mean, _columns(directions, number)), unit)
        if quantiser.error_99 <= TOO_COARSE:
            break
    return quantiser


def measure(
    quantiser: Quantiser, feat: FeatureArray, num_pairs: tuple[int, int] = (200, 2000)
) -> Quantiser:
    """Return the quantiser with the errors of its cosine, on pairs drawn from the features."""
    if len(feat) < 2:
        return quantiser
    rows = np.random.default_rng(0).permutation(len(feat))
    some, others = rows[: num_pairs[0]], rows[-num_pairs[1] :]
    unit = unit_rows(feat[np.concatenate([some, others])])
    direction = torch.nn.functional.normalize(unit - quantiser.mean, dim=1)
    split = len(some)
    exact = (direction[:split] @ direction[split:].T).numpy()
    quantised = quantiser.quantise(unit)
    error = np.abs(quantised.cosine(np.arange(split), np.arange(split, len(unit))) - exact)
    error_99 = float(np.percentile(error, 99))
    return replace(quantiser, error_mean=float(error.mean()), error_99=error_99)


def _columns(directions: Tensor, number: int) -> Float[Tensor, "D K"]:
    """The first `number` columns; zero columns where features have fewer channels."""
    kept = directions[:, :number]
    return torch.nn.functional.pad(kept, (0, number - kept.shape[1]))
