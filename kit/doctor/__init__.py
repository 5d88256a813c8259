"""Examination of a recording before a network is trained on it: what is wrong, how to correct it.

In: a data set of any format, its path, or keyframes. Out: a `Report` with facts, findings and a
measured alignment of every camera, as text and as a page. Read `examine.py` first, then
`alignment.py` (edges of scans against edges of images) and `causes.py` (usual mistakes).

`kit.doctor(...)` calls `kit.doctor.examine.doctor`.
"""

import sys
import types

_HOME = {
    "Alignment": "kit.doctor.alignment",
    "Finding": "kit.doctor.findings",
    "Report": "kit.doctor.report",
    "motion": "kit.doctor.camera_edges",
}


class _Room(types.ModuleType):
    """The package `kit.doctor`, which can be called like its main function."""

    def __call__(self, *args, **options):
        from kit.doctor.examine import doctor

        return doctor(*args, **options)


def __getattr__(name: str):
    import importlib

    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"kit.doctor has no {name!r}; it has {', '.join(_HOME)}")


sys.modules[__name__].__class__ = _Room
