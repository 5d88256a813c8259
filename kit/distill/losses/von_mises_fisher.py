"""Von Mises-Fisher distributions of unit vectors around a mean direction.

With the concentration k, the expected length of the mean of vectors is A(k), and the logarithm of
the normaliser C(k) has the derivative -A(k). Exactly, A is a ratio of Bessel functions. Here

    A(k) = k / (a + sqrt(b^2 + k^2)),  a = (D - 1) / 2,  b = (D + 1) / 2

which is Amos' lower bound of that ratio. It is exact to first order for small and for large k, and
its integral and its inverse are elementary.

Source: D. E. Amos, Computation of Modified Bessel Functions and Their Ratios (1974).
"""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

LONGEST = 0.95  # of a mean; a class of few similar vectors would get a concentration without limit


class VonMisesFisher(NamedTuple):
    """G distributions in D dimensions."""

    direction: Float[Tensor, "G D"]
    concentration: Float[Tensor, " G"]


def fitted(mean: Float[Tensor, "G D"]) -> VonMisesFisher:
    """The distributions whose means of unit vectors these are."""
    length = mean.norm(dim=1).clamp(1e-6, LONGEST)
    dim, rest = mean.shape[1], 1 - length.square()
    a = (dim - 1) / 2
    concentration = length * (a + (a**2 + dim * rest).sqrt()) / rest  # the inverse of A
    return VonMisesFisher(mean / mean.norm(dim=1, keepdim=True).clamp(min=1e-6), concentration)


def mean_length(concentration: Float[Tensor, " G"], dim: int) -> Float[Tensor, " G"]:
    """A(k): the length of the mean of unit vectors in `dim` dimensions."""
    a, b = (dim - 1) / 2, (dim + 1) / 2
    return concentration / (a + (b**2 + concentration.square()).sqrt())


def log_normaliser(concentration: Float[Tensor, " G"], dim: int) -> Float[Tensor, " G"]:
    """log C(k) - log C(0)."""
    a, b = (dim - 1) / 2, (dim + 1) / 2
    root = (b**2 + concentration.square()).sqrt()
    return a * ((a + root) / (a + b)).log() - (root - b)


def kl_divergence(one: VonMisesFisher, other: VonMisesFisher) -> Float[Tensor, " G"]:
    """KL divergence of each distribution from the one with the same index; zero if equal."""
    dim = one.direction.shape[1]
    cosine = (one.direction * other.direction).sum(1)
    gap = one.concentration - other.concentration * cosine
    normalisers = log_normaliser(one.concentration, dim) - log_normaliser(other.concentration, dim)
    return mean_length(one.concentration, dim) * gap + normalisers
