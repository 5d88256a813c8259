"""A `Picture` as a plotly figure, which keeps its description for `save_png`."""

import base64
import warnings
from collections.abc import Iterator

import plotly.graph_objects as go
from IPython.display import display

from kit.show import theme
from kit.show.figures.colours import Markers
from kit.show.figures.render_chart import add_chart
from kit.show.figures.render_scene import add_scene
from kit.show.figures.template import TEMPLATE
from kit.show.picture import PAGE_WIDTH, Picture, Scale
from kit.show.scene import Scene
from kit.show.text import for_plotly, map_texts

LEAST_HEIGHT = 100  # pixels of a PNG
LEGENDS = {
    "beside": dict(x=1.005, xanchor="left", y=1, yanchor="top"),
    "above": dict(orientation="h", x=0, xanchor="left", y=1, yanchor="bottom"),
}


class PicturedFigure(go.Figure):
    """A plotly figure that a notebook stores with a PNG beside it.

    Pages that run no scripts show the PNG: HTML and PDF of nbconvert, nbviewer, GitHub.
    """

    def _repr_mimebundle_(self, *arguments, **options) -> dict:
        bundle = super()._repr_mimebundle_(*arguments, **options)
        picture = getattr(self, "_picture", None)
        if picture is not None and self.to_json() == figure_of(picture).to_json():
            from kit.show.png.render import draw_picture  # it imports this module

            png = draw_picture(picture, PAGE_WIDTH, max(picture.height, LEAST_HEIGHT))
            bundle["image/png"] = base64.b64encode(png).decode()
        return bundle

    def _ipython_display_(self) -> None:
        bundle = self._repr_mimebundle_()
        if set(bundle) - {"image/png"}:
            display(bundle, raw=True)
        else:  # plotly shows its figures elsewhere, e.g. in a browser
            super()._ipython_display_()


def figure_of(picture: Picture) -> go.Figure:
    """Draw a description as a plotly figure; the width adapts to the page."""
    figure = PicturedFigure()
    figure._picture = picture  # plotly leaves names that begin with _ alone
    height, top_margin, right_margin = picture.height, picture.top_margin, picture.right_margin
    picture = map_texts(picture, for_plotly)
    margins = picture.margins
    figure.update_layout(
        template=TEMPLATE,
        title=dict(
            text=picture.title,
            subtitle=dict(text=picture.subtitle),
            y=1 - theme.TOP / height,
        ),
        height=height,
        margin=dict(l=margins.left, r=right_margin, t=top_margin, b=margins.bottom),
    )
    markers = Markers(mark.colour for panel in picture.panels for mark in _coloured(panel))
    for number, panel in enumerate(picture.panels):
        add_panel = add_scene if isinstance(panel, Scene) else add_chart
        add_panel(figure, panel, number, markers)
    if picture.scale is not None:
        figure.update_layout(coloraxis=_colour_axis(picture.scale))
        _mark_zero(figure, picture.scale)
    figure.update_layout(markers.layout)
    if picture.legend:
        figure.update_layout(legend=LEGENDS[picture.legend], showlegend=True)
        figure.update_layout(legend_title_text=picture.legend_title or None)
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
    return (
        mark for mark in panel.marks if hasattr(mark, "colour") and not isinstance(mark.colour, str)
    )


def _colour_axis(scale: Scale) -> dict:
    """A plotly colour axis with a slim bar right of the plot area."""
    last, bar = len(scale.colours) - 1, theme.COLOUR_BAR
    return dict(
        colorscale=[[i / last, colour] for i, colour in enumerate(scale.colours)],
        cmin=scale.low,
        cmax=scale.high,
        colorbar=dict(
            title=dict(text=scale.label, side="right"),
            x=1,
            xanchor="left",
            xpad=bar["gap"],
            y=bar["y"],
            ypad=0,
            len=bar["length"],
            thickness=bar["width"],
            outlinewidth=0,
            tickfont=dict(color=theme.MUTED, size=theme.SMALL),
        ),
    )


def _mark_zero(figure: go.Figure, scale: Scale) -> None:
    """A line across the colour bar at 0, where the scale has one."""
    if scale.zero is None:
        return
    bar = theme.COLOUR_BAR
    y = bar["y"] + (scale.zero - 0.5) * bar["length"]
    figure.add_shape(
        type="line",
        xref="paper",
        yref="paper",
        xsizemode="pixel",
        xanchor=1,
        x0=bar["gap"] - 5,  # beyond the bar, which is drawn over it
        x1=bar["gap"] + bar["width"] + 2,
        y0=y,
        y1=y,
        line=dict(color=theme.INK, width=2),
    )
