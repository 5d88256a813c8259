"""Every picture of the kit as a plotly figure; `save_png` writes the same figure as a PNG.

`Explorer` is the one that can be touched.
"""

from kit.show.explorer.widget import Explorer
from kit.show.figures.charts import curves, iou_bars, loss_curve, points_from_above
from kit.show.figures.classes import errors, labels
from kit.show.figures.clouds import (
    feature_pca,
    points,
    side_by_side,
    similarity,
    similarity_side_by_side,
)
from kit.show.figures.images import feature_image, image_grid, overlay
from kit.show.pca import PcaBasis, fit_basis
from kit.show.png.static import save_png

__all__ = [
    "Explorer",
    "PcaBasis",
    "curves",
    "errors",
    "feature_image",
    "feature_pca",
    "fit_basis",
    "image_grid",
    "iou_bars",
    "labels",
    "loss_curve",
    "overlay",
    "points",
    "points_from_above",
    "save_png",
    "side_by_side",
    "similarity",
    "similarity_side_by_side",
]
