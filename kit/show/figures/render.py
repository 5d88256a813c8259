"""A `Picture` as a plotly figure, which keeps its description for `save_png`."""

import warnings
from collections.abc import Iterator

import plotly.graph_objects as go

from kit.show import theme
from kit.show.figures.colours import Markers
from kit.show.figures.render_chart import add_chart
from kit.show.figures.render_scene import add_scene
from kit.show.figures.template import TEMPLATE
from kit.show.picture import Picture, Scale
from kit.show.scene import Scene

LEGENDS = {
    "inside": dict(x=0.995, xanchor="right", y=0.99, yanchor="top"),
    "above": dict(orientation="h", x=0, xanchor="left", y=1.01, yanchor="bottom"),
}


def figure_of(picture: Picture) -> go.Figure:
    """Draw a description as a plotly figure; the width adapts to the page."""
    figure = go.Figure()
    margins = picture.margins
    figure.update_layout(
        template=TEMPLATE,
        title=dict(text=picture.title, subtitle=dict(text=picture.subtitle)),
        height=picture.height,
        margin=dict(l=margins.left, r=picture.right_margin, t=margins.top, b=margins.bottom),
    )
    markers = Markers(mark.colour for panel in picture.panels for mark in _coloured(panel))
    for number, panel in enumerate(picture.panels):
        add_panel = add_scene if isinstance(panel, Scene) else add_chart
        add_panel(figure, panel, number, markers)
    if picture.scale is not None:
        figure.update_layout(coloraxis=_colour_axis(picture.scale))
    figure.update_layout(markers.layout)
    if picture.legend:
        figure.update_layout(legend=LEGENDS[picture.legend])
        figure.update_layout(showlegend=True if picture.legend == "above" else None)
    figure._picture = picture  # plotly leaves names that begin with _ alone
    return figure


def picture_of(figure: go.Figure) -> Picture:
    """Return the description a figure of kit.show was drawn from.

    Warns if the figure was changed afterwards, because the description does not follow.

    Raises:
        ValueError: the figure has no description.
    """
    picture = getattr(figure, "_picture", None)
    if picture is None:
        raise ValueError(
            "save_png draws the figures that functions of kit.show return; this one was made or "
            "copied elsewhere. Save it with figure.write_html(path), or make it with kit.show"
        )
    if figure.to_json() != figure_of(picture).to_json():
        warnings.warn(
            "this figure was changed after kit.show made it; the PNG shows it as it was made. "
            "Save it with figure.write_html(path) to keep the changes",
            stacklevel=3,
        )
    return picture


def _coloured(panel) -> Iterator:
    """The marks of a panel that have a colour for each point."""
    marks = panel.clouds if isinstance(panel, Scene) else panel.marks
    return (mark for mark in marks if hasattr(mark, "colour") and not isinstance(mark.colour, str))


def _colour_axis(scale: Scale) -> dict:
    """A plotly colour axis with a slim bar right of the plot area."""
    last, bar = len(scale.colours) - 1, theme.COLOUR_BAR
    return dict(
        colorscale=[[i / last, colour] for i, colour in enumerate(scale.colours)],
        cmin=scale.low,
        cmax=scale.high,
        colorbar=dict(
            title=dict(text=scale.label, side="right"),
            x=bar["x"],
            xanchor="left",
            y=bar["y"],
            len=bar["length"],
            thickness=bar["width"],
            outlinewidth=0,
            tickfont=dict(color=theme.MUTED, size=theme.SMALL),
        ),
    )
