"""What the kernels share: activations and their derivatives, the number of warps, dense inputs."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import triton
import triton.language as tl
from torch import Tensor


@triton.jit
def activated(value, GELU: tl.constexpr):
    """The activation: GELU, or ReLU."""
    if GELU:
        return 0.5 * value * (1.0 + tl.erf(value * 0.7071067811865476))
    return tl.where(value < 0, 0.0, value)  # keeps NaN, as torch does


@triton.jit
def slope(value, GELU: tl.constexpr):
    """The derivative of the activation."""
    if GELU:
        density = 0.3989422804014327 * tl.exp(-0.5 * value * value)
        return 0.5 * (1.0 + tl.erf(value * 0.7071067811865476)) + value * density
    return tl.where(value > 0, 1.0, 0.0)


def warps(numbers: int) -> int:
    """Warps for a program that holds so many numbers at once: a power of two from 1 to 8."""
    return max(1, min(8, numbers // 256))


def dense_inputs(launch: Callable) -> Callable:
    """The same function for tensors of any strides: kernels read rows that lie side by side."""

    @wraps(launch)
    def of_dense(*arguments, **options):
        options = {name: _dense(value) for name, value in options.items()}
        return launch(*map(_dense, arguments), **options)

    return of_dense


def _dense(value: Any) -> Any:
    return value.contiguous() if isinstance(value, Tensor) else value
