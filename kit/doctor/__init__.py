"""Examination of a recording before a network is trained on it: what is wrong, how to correct it.

In: a data set of any format, its path, or keyframes. Out: a `Report` with facts, findings and a
measured alignment of every camera, as text and as a page. Read `examine.py` first, then
`alignment.py` (edges of scans against edges of images) and `causes.py` (usual mistakes).

`kit.doctor(...)` calls `kit.doctor.examine.doctor`.
"""

from kit._lazy import lazy, make_callable

_HOME = {
    "Alignment": "kit.doctor.alignment",
    "Finding": "kit.doctor.findings",
    "Report": "kit.doctor.report",
    "motion": "kit.doctor.camera_edges",
}
__getattr__ = lazy(__name__, _HOME)
make_callable(__name__, "kit.doctor.examine", "doctor")
