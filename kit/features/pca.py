"""Principal components of features as colours, with one basis for teacher and student.

Colours tuned for each cloud cannot be compared. A `PcaBasis` is fitted once, on the teacher's
features, and colours everything that is compared: equal features get equal colours.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from kit.features.spaces import Features

Given = Features | Float[Tensor, "_ _"] | Float[np.ndarray, "_ _"]
MAX_ROWS = 30_000  # enough for three directions; a fit takes less than a second
ROWS_AT_ONCE = 1024  # whose products are added up in the precision of the rows


@dataclass(frozen=True)
class PcaBasis:
    """The directions of largest variance of features, and the range along each.

    Attributes:
        mean: (D,) of the features it was fitted on.
        components: (D, K) orthonormal columns, the largest variance first. The largest entry of
            each is positive, so the same features always give the same colours.
        low, high: (K,) 2nd and 98th percentile along each component: black and full colour.
        unit: features are brought to unit length first.
    """

    mean: Float[Tensor, " D"]
    components: Float[Tensor, "D K"]
    low: Float[Tensor, " K"]
    high: Float[Tensor, " K"]
    unit: bool = True

    def project(self, feat: Given) -> Float[Tensor, "N K"]:
        """Return the coordinates of features (N, D) in this basis.

        Raises:
            ValueError: not (N, D) with the basis's D, or NaN among the numbers.
        """
        rows = _rows(feat, False, "features")
        if rows.shape[1] != len(self.mean):
            raise ValueError(
                f"features have {rows.shape[1]} channels, the basis was fitted on "
                f"{len(self.mean)}; compare features of one space (the student's after its head)"
            )
        # To scale and to move the rows themselves would take longer than all the rest.
        coordinates = rows @ self.components
        if self.unit:
            coordinates /= rows.norm(dim=1, keepdim=True).clamp(min=1e-12)
        return coordinates - self.mean @ self.components

    def ratios(self, feat: Given) -> Float[Tensor, "N K"]:
        """Return the coordinates with `low` at 0 and `high` at 1, cut to this range.

        A component without any variance gives 0.5.

        Raises:
            ValueError: as `project`.
        """
        span, flat = self._span()
        return torch.where(flat, 0.5, (self.project(feat) - self.low) / span).clamp(0, 1)

    def to_ratio(self) -> tuple[Float[Tensor, " K"], Float[Tensor, " K"]]:
        """Return weight and start: a ratio is `start + weight * coordinate`, then cut to [0, 1]."""
        span, flat = self._span()
        return torch.where(flat, 0.0, 1 / span), torch.where(flat, 0.5, -self.low / span)

    def _span(self) -> tuple[Tensor, Tensor]:
        """Return the range of each component, 1 where it has no variance, and where that is."""
        span = self.high - self.low
        flat = span <= 1e-6
        return torch.where(flat, 1.0, span), flat

    def colours(
        self, feat: Given, components: tuple[int, int, int] = (0, 1, 2)
    ) -> UInt8[Tensor, "N 3"]:
        """Return red, green and blue: three coordinates, from `low` to `high` as 0 to 255.

        A component without any variance gives the middle value.

        Args:
            feat: (N, D), or `Features`.
            components: which coordinates are red, green and blue.

        Raises:
            ValueError: as `project`, or the basis lacks one of the components.
        """
        if max(components) >= self.components.shape[1]:
            raise ValueError(
                f"colours need {max(components) + 1} components, the basis has "
                f"{self.components.shape[1]}; fit it with num_components={max(components) + 1}"
            )
        return to_bytes(self.ratios(feat)[:, list(components)])


def to_bytes(ratios: Float[Tensor, "N K"]) -> UInt8[Tensor, "N K"]:
    """Write ratios in [0, 1] as 0 to 255."""
    return (ratios * 255).round().to(torch.uint8)


def fit_basis(*feature_sets: Given, num_components: int = 3, unit: bool = True) -> PcaBasis:
    """Fit one basis on all rows of the feature sets together.

    Args:
        feature_sets: one or more `Features` or (N_i, D). For a comparison give the teacher's alone:
            otherwise the basis depends on the student too. Of more than 30,000 rows so many are
            used.
        num_components: K, at most D.
        unit: bring features to unit length first, because the distillation loss compares
            directions.

    Raises:
        ValueError: no rows, different widths, more components than channels, or NaN.

    Source: principal component analysis, Jolliffe (2nd ed.), chapter 1; the eigenvectors of the
        covariance matrix in float64, so that no random number is involved.
    """
    sets = [_rows(feat, unit, f"feature set {i}") for i, feat in enumerate(feature_sets)]
    widths = [rows.shape[1] for rows in sets]
    if len(set(widths)) > 1:
        raise ValueError(f"feature sets must be equally wide, got {' and '.join(map(str, widths))}")
    if sum(len(rows) for rows in sets) == 0:
        raise ValueError("fit_basis needs features, got 0 rows")
    if not 1 <= num_components <= widths[0]:
        raise ValueError(f"num_components must be 1 to {widths[0]} channels, got {num_components}")
    rows = torch.cat(sets)
    if len(rows) > MAX_ROWS:
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
        rows = rows[order[:MAX_ROWS]]
    mean = rows.double().mean(0)
    components = main_directions(rows.double() - mean)[:, :num_components].contiguous()
    coordinates = ((rows - mean.float()) @ components).numpy()
    low, high = np.percentile(coordinates, [2, 98], axis=0).astype(np.float32)
    return PcaBasis(mean.float(), components, torch.tensor(low), torch.tensor(high), unit)


def main_directions(rows: Float[Tensor, "N D"]) -> Float[Tensor, "D D"]:
    """Return the eigenvectors of the second moment of rows as columns, the largest first.

    The largest entry of each is positive, so that equal rows give equal directions. Products are
    computed in the precision of the rows, sums over parts of them and eigenvectors in float64.
    """
    moment = torch.zeros(rows.shape[1], rows.shape[1], dtype=torch.float64)
    for part in rows.split(ROWS_AT_ONCE):
        moment += part.T @ part
    _, directions = torch.linalg.eigh(moment / max(len(rows), 1))  # ascending
    directions = directions.flip(1)
    largest = directions.abs().argmax(0, keepdim=True)
    return (directions * directions.gather(0, largest).sign()).float()


def _rows(feat: Given, unit: bool, name: str) -> Tensor:
    """Return (N, D) float32 rows, of unit length if asked; zero rows stay zero."""
    given = torch.as_tensor(feat.feat if isinstance(feat, Features) else feat)
    rows = given.detach().cpu().float()
    if rows.ndim != 2:
        raise ValueError(f"{name} must be (N, D), got {tuple(rows.shape)}")
    if num_bad := int((~rows.isfinite()).sum()):
        raise ValueError(f"{name}: {num_bad:,} of {rows.numel():,} numbers are NaN or infinite")
    return torch.nn.functional.normalize(rows, dim=1) if unit else rows
