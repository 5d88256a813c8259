"""Pictures: functions that return plotly figures, `save_png` for the same as a PNG, the explorer.

In: arrays, keyframes, features. Out: figures to turn and zoom, PNG files, an interactive widget or
a self-contained HTML page. The public functions are in `figures/`. Each makes a `Picture`
(`picture.py`), a description of point clouds (`scene.py`) and charts (`chart.py`), and draws it
with plotly. `png/` draws the same `Picture` as a PNG file with numpy and matplotlib, without a
browser. `text.py` prepares names for both. `explorer/` is the widget, drawn with WebGL. Read
`picture.py` and `figures/clouds.py` first, then `explorer/widget.py`.
"""

from kit.show.explorer.steps import Steps
from kit.show.explorer.widget import Explorer
from kit.show.figures.ablation import ablation
from kit.show.figures.charts import curves, iou_bars, loss_curve, points_from_above
from kit.show.figures.classes import errors, labels
from kit.show.figures.clouds import feature_pca, points, side_by_side, similarity
from kit.show.figures.images import feature_image, image_grid, overlay
from kit.show.figures.superpixels import superpixels
from kit.show.pca import PcaBasis, fit_basis
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
    "loss_curve",
    "overlay",
    "points",
    "points_from_above",
    "save_png",
    "side_by_side",
    "similarity",
    "superpixels",
]
