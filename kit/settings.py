"""One switch for everything that takes long: `KIT_FAST=1` in the environment."""

import os
from typing import TypeVar

T = TypeVar("T")


def fast(normal: T, small: T) -> T:
    """Choose a setting: `normal` for a reader, `small` where `KIT_FAST` is set, as tests do.

    Notebooks name both values where a setting is chosen, so that one file serves both:

        STEPS = kit.fast(300, 20)

    An empty `KIT_FAST` and `KIT_FAST=0` count as not set.
    """
    return small if os.environ.get("KIT_FAST", "") not in ("", "0") else normal
