"""Rooms whose names are loaded when they are first used (PEP 562), and rooms that can be called.

So `import kit` takes no time, and a room exports functions of modules that import other rooms.
"""

import importlib
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any


def lazy(package: str, home: Mapping[str, str]) -> Callable[[str], Any]:
    """Make the function `__getattr__` of a package.

    Args:
        package: its name, e.g. "kit.ask".
        home: the module of each exported name.
    """

    def getattr_of_package(name: str) -> Any:
        if name in home:
            return getattr(importlib.import_module(home[name]), name)
        raise AttributeError(f"{package} has no {name!r}; it has {', '.join(sorted(home))}")

    return getattr_of_package


def make_callable(package: str, module: str, name: str) -> None:
    """Let a package be called like one of its functions: `kit.distill(...)`.

    Args:
        package: its name, e.g. "kit.distill".
        module: of the function; it is imported at the first call.
        name: of the function.
    """

    class Room(ModuleType):
        """A package that can be called like its main function."""

        def __call__(self, *args, **options):
            return getattr(importlib.import_module(module), name)(*args, **options)

    sys.modules[package].__class__ = Room
