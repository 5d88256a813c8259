"""Open-vocabulary queries: find points by clicks, image regions, names of assets, or texts.

In: features of a keyframe, and examples of what is searched. Out: a score for every point, above 0
if the point resembles the examples; or, for several queries at once, the best query of every point.
Read `queries.py` first, then `segmentation.py` and `prompts/` (where examples come from).
"""

from kit._lazy import lazy
from kit.ask.queries import Query
from kit.ask.segmentation import Segmentation, segment

__getattr__ = lazy(__name__, {"asset_names": "kit.ask.prompts.asset"})
__all__ = ["Query", "Segmentation", "segment"]
