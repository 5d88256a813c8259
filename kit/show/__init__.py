"""Pictures: plotly figures, the same as PNG files, and the explorer.

In: arrays, keyframes, features. Out: plotly figures to turn and zoom, PNG files (`save_png`), an
interactive widget or a self-contained HTML page. Read `picture.py` first (a picture as data, which
`figures/` draws with plotly and `png/` without a browser), then `figures/clouds.py` (public
functions) and `explorer/widget.py` (the explorer).
"""

from kit.features.pca import PcaBasis, fit_basis
from kit.show.explorer.linking import link
from kit.show.explorer.steps import Steps
from kit.show.explorer.widget import Explorer
from kit.show.figures.ablation import ablation
from kit.show.figures.charts import curves, iou_bars, loss_curve, points_from_above
from kit.show.figures.classes import errors, labels
from kit.show.figures.clouds import feature_pca, points, side_by_side, similarity
from kit.show.figures.images import feature_image, image_grid, overlay
from kit.show.figures.superpixels import superpixels
from kit.show.png.render import save_png

__all__ = [
    "Explorer",
    "PcaBasis",
    "Steps",
    "ablation",
    "curves",
    "errors",
    "feature_image",
    "feature_pca",
    "fit_basis",
    "image_grid",
    "iou_bars",
    "labels",
    "link",
    "loss_curve",
    "overlay",
    "points",
    "points_from_above",
    "save_png",
    "side_by_side",
    "similarity",
    "superpixels",
]
