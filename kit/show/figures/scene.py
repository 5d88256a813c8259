"""The stage of a 3-D picture: the box of space it shows, from where, the ego and its rings."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from kit.show import arrays, theme
from kit.show.arrays import Number

# Eye and target of the first view in half box widths: behind and above the ego, looking forward.
EYE = (-0.16, -0.78, 0.50)
TARGET = (0.0, 0.06, -0.03)


@dataclass(frozen=True)
class Box:
    """The part of space a scene shows, metres, lidar frame; farther points are only cut off.

    Attributes:
        low, high: (3,) corners.
        ground: height z the range rings lie at.
        around_ego: the box is centred on the lidar.
    """

    low: Float[np.ndarray, "3"]
    high: Float[np.ndarray, "3"]
    ground: float
    around_ego: bool

    @property
    def half(self) -> float:
        """Half the width in x and y."""
        return float(self.high[0] - self.low[0]) / 2


@dataclass(frozen=True)
class Cloud:
    """One scene to draw: which rows of which points, in which colours."""

    name: str
    points: np.ndarray  # (N, 3)
    rows: np.ndarray  # (R,) the rows to draw
    marker: dict
    picked: int | None = None


def fit_box(points: Float[np.ndarray, "N 3"], limit: Number) -> Box:
    """Fit a box around the ego, at most `limit` metres to each side; z without its outliers.

    Where most points lie beyond the limit (a crop far away) the box is centred on their median.
    """
    if not limit > 0:
        raise ValueError(f"limit must be a positive number of metres, got {limit}")
    centre = np.zeros(2)
    around_ego = bool((np.abs(points[:, :2]).max(1) <= limit).mean() >= 0.5)
    if not around_ego:
        centre = np.median(points[:, :2], axis=0).astype(np.float64)
    off = np.abs(points[:, :2] - centre).max(1)  # (N,) metres to the side or ahead
    half = float(np.clip(off.max() * 1.02, 0.5, limit))
    z = points[off <= half, 2]
    z_low, z_high = np.percentile(z, [0.2, 99.8])
    pad = max(0.05 * (z_high - z_low), 0.05 * half)
    low = np.array([centre[0] - half, centre[1] - half, z_low - pad])
    high = np.array([centre[0] + half, centre[1] + half, z_high + pad])
    return Box(low, high, float(np.percentile(z, 5)), around_ego)


def scene_of(box: Box, column: int, num_columns: int) -> dict:
    """Build plotly's scene: equal aspect, no axes, seen from `EYE`; one of several columns.

    The aspect ratio is written out: plotly's aspectmode "data" follows the farthest points, even
    those the ranges cut off, and would stretch the picture.
    """
    gap = 0.012 if num_columns > 1 else 0.0
    width = (1 - gap * (num_columns - 1)) / num_columns
    start = column * (width + gap)
    axes = {
        name: dict(visible=False, range=[float(box.low[i]), float(box.high[i])])
        for i, name in enumerate(("xaxis", "yaxis", "zaxis"))
    }
    return dict(
        domain=dict(x=[start, min(start + width, 1.0)], y=[0, 1]),
        aspectmode="manual",
        aspectratio=_xyz((box.high - box.low) / box.half),
        camera=_camera(box, farther=1 + 0.28 * (num_columns - 1)),
        dragmode="orbit",
        **axes,
    )


def _camera(box: Box, farther: Number) -> dict:
    """Place plotly's camera: half box widths from the middle of the box."""
    middle = (box.low + box.high) / 2
    floor = np.array([0, 0, (box.ground - middle[2]) / box.half])
    target = floor + np.array(TARGET)
    eye = target + (np.array(EYE) - np.array(TARGET)) * farther
    return dict(eye=_xyz(eye), center=_xyz(target), up=_xyz((0, 0, 1)))


def _xyz(values) -> dict:
    return {name: round(float(value), 5) for name, value in zip("xyz", values, strict=True)}


def add_ego(figure: go.Figure, box: Box, scene: str) -> None:
    """Mark the lidar and draw range rings on the ground, where the box is centred on it."""
    if not box.around_ego:
        return
    step = next(s for s in (50, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0) if box.half / 2.4 >= s)
    radii = np.arange(1, 5) * step
    radii = radii[(radii > 0) & (radii < 0.97 * box.half)]
    turn = np.append(np.linspace(0, 2 * np.pi, 97), np.nan)  # NaN lifts the pen between rings
    figure.add_trace(
        go.Scatter3d(
            x=np.outer(radii, np.sin(turn)).ravel().astype(np.float32),
            y=np.outer(radii, np.cos(turn)).ravel().astype(np.float32),
            z=np.full(len(radii) * len(turn), box.ground, dtype=np.float32),
            mode="lines",
            line=dict(color=theme.FAINT, width=2),
            **_decor("range rings", scene),
        )
    )
    figure.add_trace(
        go.Scatter3d(
            x=radii * np.sin(np.pi / 4),
            y=radii * np.cos(np.pi / 4),
            z=np.full(len(radii), box.ground),
            mode="text",
            text=[f"{radius:g} m" for radius in radii],
            textfont=dict(color=theme.QUIET, size=11),
            **_decor("range", scene),
        )
    )
    figure.add_trace(
        go.Scatter3d(
            x=[0.0],
            y=[0.0],
            z=[0.0],
            mode="markers",
            marker=dict(size=3, color=theme.QUIET, symbol="diamond"),
            hovertemplate="ego: the lidar, 0, 0, 0<extra></extra>",
            **_decor("ego", scene, hoverinfo=None),
        )
    )


def _decor(name: str, scene: str, hoverinfo: str | None = "skip") -> dict:
    return dict(name=name, scene=scene, showlegend=False, hoverinfo=hoverinfo)


def colour_markers(colours: Sequence[np.ndarray], size: Number) -> tuple[list[dict], dict]:
    """Build a plotly marker for each set of colours, and the palette they share, for the layout.

    Numbers lie on the figure's first colour axis. Red, green, blue (uint8) become indices into one
    palette on the second, so equal colours are drawn equal in every cloud of the figure.
    """
    rgb = [colour for colour in colours if colour.ndim == 2]
    if not rgb:
        return [dict(size=size, color=c, coloraxis="coloraxis") for c in colours], {}
    index, table = arrays.palette(np.concatenate(rgb))
    parts = iter(np.split(index, np.cumsum([len(colour) for colour in rgb])[:-1]))
    markers = [
        dict(size=size, color=c, coloraxis="coloraxis")
        if c.ndim == 1
        else dict(size=size, color=next(parts), coloraxis="coloraxis2")
        for c in colours
    ]
    last = max(len(table) - 1, 1)
    stops = [[i / last, theme.hex_of(colour)] for i, colour in enumerate(table)]
    stops = stops if len(stops) > 1 else [stops[0], [1.0, stops[0][1]]]
    return markers, dict(coloraxis2=dict(colorscale=stops, cmin=0, cmax=last, showscale=False))


def add_cloud(
    figure: go.Figure, cloud: Cloud, scene: str, words: str, showlegend: bool = False, text=None
) -> None:
    """Add a cloud's points to a scene; hovering says `words`, place (m) and number of a point."""
    row_type = np.uint16 if len(cloud.points) <= 65536 else np.int32  # they travel in every page
    x, y, z = cloud.points[cloud.rows].T
    lines = [words] if words else []
    lines += ["x %{x:.1f}  y %{y:.1f}  z %{z:.1f} m", "point %{customdata}"]
    figure.add_trace(
        go.Scatter3d(
            x=x,
            y=y,
            z=z,
            mode="markers",
            marker=cloud.marker | dict(line=dict(width=0)),
            customdata=cloud.rows.astype(row_type),
            text=text,
            name=cloud.name,
            scene=scene,
            showlegend=showlegend,
            hovertemplate="<br>".join(lines) + "<extra></extra>",
        )
    )


def add_pin(figure: go.Figure, point: np.ndarray, scene: str, box: Box) -> None:
    """Add a pin that stands on a picked point (3,) in metres."""
    x, y, z = (float(value) for value in point)
    figure.add_trace(
        go.Scatter3d(
            x=[x, x],
            y=[y, y],
            z=[z, z + 0.07 * box.half],
            mode="lines+markers",
            line=dict(color=theme.INK, width=4),
            marker=dict(size=[4, 7], color=theme.INK),
            name="picked point",
            scene=scene,
            showlegend=False,
            hovertemplate=f"picked point: x {x:.1f}  y {y:.1f}  z {z:.1f} m<extra></extra>",
        )
    )


def finish(figure: go.Figure, scenes: list[tuple[str, Box]]) -> None:
    """Add the stage of every scene, its name above it, and the place of the legend."""
    for i, (name, box) in enumerate(scenes):
        scene = f"scene{i + 1 if i else ''}"
        layout = scene_of(box, i, len(scenes))
        figure.update_layout({scene: layout})
        add_ego(figure, box, scene)
        if name:
            theme.add_heading(figure, name, sum(layout["domain"]["x"]) / 2, 0.985)
    figure.update_layout(
        margin=dict(l=8, r=8, b=8) | theme.room_for_bar(figure),
        legend=dict(x=0.995, xanchor="right", y=0.99, yanchor="top"),
    )
