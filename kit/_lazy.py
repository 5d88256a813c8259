"""Packages whose names are loaded when they are first used (PEP 562).

So `import kit` takes no time, and a room exports functions of modules that import other rooms.
"""

import importlib
from collections.abc import Callable, Mapping
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
