"""A `Scene` as plotly's 3-D traces: clouds, the ego with its range rings, pins."""

import numpy as np
import plotly.graph_objects as go

from kit.show import theme
from kit.show.figures.colours import Markers
from kit.show.figures.template import add_heading
from kit.show.scene import PIN_HEIGHT, Box, Cloud, Scene, Viewpoint


def add_scene(figure: go.Figure, scene: Scene, number: int, markers: Markers) -> None:
    """Add a scene as the figure's panel of this number, counted from 0."""
    name = f"scene{number + 1 if number else ''}"
    for cloud in scene.clouds:
        _add_cloud(figure, cloud, name, markers)
    for pin in scene.pins:
        _add_pin(figure, pin, name, scene.box)
    figure.update_layout({name: _layout(scene)})
    if scene.box.around_ego:
        _add_rings(figure, scene.box, name)
        figure.update_layout({name: dict(annotations=_ring_labels(scene.box))})
        _add_ego(figure, name)
    if scene.name:
        add_heading(figure, scene.name, scene.place)


def _layout(scene: Scene) -> dict:
    """Plotly's scene: equal axes, which are not drawn.

    The aspect ratio is written out: plotly's aspectmode "data" follows the farthest points, even
    those the ranges cut off, and would stretch the picture.
    """
    box, (left, low, right, high) = scene.box, scene.place
    axes = {
        name: dict(visible=False, range=[float(box.low[i]), float(box.high[i])])
        for i, name in enumerate(("xaxis", "yaxis", "zaxis"))
    }
    return dict(
        domain=dict(x=[left, right], y=[low, high]),
        aspectmode="manual",
        aspectratio=_xyz((box.high - box.low) / box.half),
        camera=_camera(scene.view, box),
        dragmode="orbit",
        **axes,
    )


def _camera(view: Viewpoint, box: Box) -> dict:
    """Plotly's camera: in half box widths from the middle of the box.

    Source: plotly.js (gl3d) stretches the ranges of the axes to the aspect ratio, centred on the
        origin, and places the camera in these units.
    """
    middle = (box.low + box.high) / 2
    eye, centre = ((place - middle) / box.half for place in (view.eye, view.centre))
    return dict(eye=_xyz(eye), center=_xyz(centre), up=_xyz(view.up))


def _xyz(values) -> dict:
    return {name: round(float(value), 5) for name, value in zip("xyz", values, strict=True)}


def _add_cloud(figure: go.Figure, cloud: Cloud, scene: str, markers: Markers) -> None:
    """Add points; hovering tells the cloud's text, the value, place (m) and index of a point."""
    x, y, z = cloud.points.T
    hover, text = cloud.hover, None
    if not isinstance(hover, str):
        hover, text = "%{text}", cloud.hover
    by_value = not isinstance(cloud.colour, str) and cloud.colour.ndim == 1
    lines = [hover, "%{marker.color:.3g}" if by_value else ""]
    lines += ["x %{x:.1f}  y %{y:.1f}  z %{z:.1f} m", "point %{customdata}"]
    listed = {trace.name for trace in figure.data if trace.showlegend}
    figure.add_trace(
        go.Scatter3d(
            x=x,
            y=y,
            z=z,
            mode="markers",
            marker=markers.marker(cloud.colour, cloud.size) | dict(line=dict(width=0)),
            customdata=cloud.index.astype(_index_type(cloud.index)),
            text=text,
            name=cloud.name,
            legendgroup=cloud.name if cloud.in_legend else None,
            scene=scene,
            showlegend=cloud.in_legend and cloud.name not in listed,
            hovertemplate="<br>".join(filter(None, lines)) + "<extra></extra>",
        )
    )


def _index_type(index: np.ndarray) -> type:
    """The smaller integer type that holds an index: a page stores every point's."""
    return np.uint16 if index.max(initial=0) < 65536 else np.int32


def _add_rings(figure: go.Figure, box: Box, scene: str) -> None:
    radii = box.rings()
    turn = np.append(np.linspace(0, 2 * np.pi, 97), np.nan)  # NaN: no line between two rings
    figure.add_trace(
        go.Scatter3d(
            x=np.outer(radii, np.sin(turn)).ravel().astype(np.float32),
            y=np.outer(radii, np.cos(turn)).ravel().astype(np.float32),
            z=np.full(len(radii) * len(turn), box.ground, dtype=np.float32),
            mode="lines",
            line=dict(color=theme.FAINT, width=2),
            **_unlisted("range rings", scene),
        )
    )


def _ring_labels(box: Box) -> list[dict]:
    """Notes, which plotly draws over the points; a text trace would lie among them."""
    font = dict(color=theme.MUTED, size=theme.SMALL)
    style = dict(showarrow=False, font=font, bgcolor=theme.LABEL_BACKGROUND, borderpad=0)
    texts, places = box.ring_labels()
    return [dict(text=text, **_xyz(at), **style) for text, at in zip(texts, places, strict=True)]


def _add_ego(figure: go.Figure, scene: str) -> None:
    figure.add_trace(
        go.Scatter3d(
            x=[0.0],
            y=[0.0],
            z=[0.0],
            mode="markers",
            marker=dict(size=3, color=theme.MUTED, symbol="diamond"),
            hovertemplate="ego: the lidar, 0, 0, 0<extra></extra>",
            **_unlisted("ego", scene, hoverinfo=None),
        )
    )


def _add_pin(figure: go.Figure, point: np.ndarray, scene: str, box: Box) -> None:
    x, y, z = (float(value) for value in point)
    figure.add_trace(
        go.Scatter3d(
            x=[x, x],
            y=[y, y],
            z=[z, z + PIN_HEIGHT * box.half],
            mode="lines+markers",
            line=dict(color=theme.INK, width=4),
            marker=dict(size=[4, 7], color=theme.INK),
            name="picked point",
            scene=scene,
            showlegend=False,
            hovertemplate=f"picked point: x {x:.1f}  y {y:.1f}  z {z:.1f} m<extra></extra>",
        )
    )


def _unlisted(name: str, scene: str, hoverinfo: str | None = "skip") -> dict:
    return dict(name=name, scene=scene, showlegend=False, hoverinfo=hoverinfo)
