"""Features as colours, through one basis for teacher and student.

Colours tuned per cloud look fine and prove nothing. A `PcaBasis` is fitted once, on the teacher's
features, and everything that is compared is drawn with it: equal features, equal colours.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from kit.show.arrays import check_finite, choose, to_numpy

Rows = Float[Tensor, "N D"] | Float[np.ndarray, "N D"]
MAX_ROWS = 30_000  # enough for three directions; a fit takes less than a second
AnyRows = Float[Tensor, "_ _"] | Float[np.ndarray, "_ _"]  # sizes differ from set to set


@dataclass(frozen=True)
class PcaBasis:
    """The directions along which features differ most, and how far they reach.

    Attributes:
        mean: (D,) of the features it was fitted on.
        components: (D, K) orthonormal columns, the largest variance first. The largest entry of
            each is positive, so the same features always give the same colours.
        low, high: (K,) 2nd and 98th percentile along each component: black and full colour.
        unit: rows are brought to unit length first.
    """

    mean: Float[Tensor, " D"]
    components: Float[Tensor, "D K"]
    low: Float[Tensor, " K"]
    high: Float[Tensor, " K"]
    unit: bool = True

    def project(self, feat: Rows) -> Float[Tensor, "N K"]:
        """Return the coordinates of features (N, D) in this basis.

        Raises:
            ValueError: not (N, D) with the basis's D, or NaN among the numbers.
        """
        rows = _rows(feat, self.unit, "features")
        if rows.shape[1] != len(self.mean):
            raise ValueError(
                f"features have {rows.shape[1]} channels, the basis was fitted on "
                f"{len(self.mean)}; compare features of one space (the student's after its head)"
            )
        return (rows - self.mean) @ self.components

    def colours(self, feat: Rows) -> UInt8[Tensor, "N 3"]:
        """Return red, green, blue: the first three coordinates, `low` to `high` as 0 to 255.

        A component without any variance gives the middle value.

        Raises:
            ValueError: as `project`, or the basis has fewer than three components.
        """
        if self.components.shape[1] < 3:
            raise ValueError(
                f"colours need 3 components, the basis has {self.components.shape[1]}; "
                "fit it with num_components=3"
            )
        reach = (self.high - self.low)[:3]
        flat = reach <= 1e-6
        share = (self.project(feat)[:, :3] - self.low[:3]) / torch.where(flat, 1.0, reach)
        share = torch.where(flat, 0.5, share)  # (N, 3)
        return (share.clamp(0, 1) * 255).round().to(torch.uint8)


def fit_basis(*feature_sets: AnyRows, num_components: int = 3, unit: bool = True) -> PcaBasis:
    """Fit one basis on all rows of the feature sets together.

    Args:
        feature_sets: one or more (N_i, D); for a comparison the teacher's alone, or the fit follows
            whatever the student does. Of more than 30,000 rows so many are used.
        num_components: K, at most D.
        unit: bring rows to unit length first, because the distillation loss compares directions.

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
    rows = rows[torch.from_numpy(choose(len(rows), MAX_ROWS))]  # (N, D)
    mean = rows.double().mean(0)
    components = _main_directions(rows.double() - mean, num_components)
    coordinates = ((rows - mean.float()) @ components).numpy()
    low, high = np.percentile(coordinates, [2, 98], axis=0).astype(np.float32)
    return PcaBasis(mean.float(), components, torch.tensor(low), torch.tensor(high), unit)


def _main_directions(centred: Tensor, num_components: int) -> Tensor:
    """Return (D, K) float32 directions of largest variance, with a fixed sign."""
    _, directions = torch.linalg.eigh(centred.T @ centred / len(centred))  # ascending
    directions = directions.flip(1)[:, :num_components]
    largest = directions.abs().argmax(0, keepdim=True)
    return (directions * directions.gather(0, largest).sign()).float()


def _rows(feat: AnyRows, unit: bool, name: str) -> Tensor:
    """Return (N, D) float32 rows, of unit length if asked; zero rows stay zero."""
    array = to_numpy(feat)
    if array.ndim != 2:
        raise ValueError(f"{name} must be (N, D), got {array.shape}")
    check_finite(array, name)
    rows = torch.tensor(array, dtype=torch.float32)
    return torch.nn.functional.normalize(rows, dim=1) if unit else rows
