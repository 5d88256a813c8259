"""The kit's style as a plotly template: one font, a white page, grey axes."""

import plotly.graph_objects as go

from kit.show import theme
from kit.show.scene import Place

_AXIS = dict(
    showgrid=True,
    gridcolor=theme.GRID,
    zeroline=False,
    linecolor=theme.FAINT,
    ticks="",
    tickfont=dict(color=theme.MUTED, size=theme.TICK),
    title=dict(font=dict(color=theme.MUTED, size=theme.AXIS_TITLE)),
)
TEMPLATE = go.layout.Template(
    layout=dict(
        font=dict(family=theme.FONT, size=13, color=theme.INK),
        paper_bgcolor="white",
        plot_bgcolor="white",
        colorway=theme.SERIES,
        title=dict(
            x=0,
            xanchor="left",
            pad=dict(l=theme.LEFT),
            yanchor="top",
            font=dict(size=theme.TITLE, color=theme.INK),
            subtitle=dict(font=dict(size=theme.SUBTITLE, color=theme.MUTED)),
        ),
        legend=dict(
            itemsizing="constant", bgcolor="rgba(255,255,255,0.8)", font=dict(size=theme.LEGEND)
        ),
        xaxis=_AXIS,
        yaxis=_AXIS,
        hoverlabel=dict(
            bgcolor="white", bordercolor=theme.FAINT, font=dict(color=theme.INK, size=12)
        ),
    )
)


def add_heading(figure: go.Figure, text: str, place: Place) -> None:
    """Write the name of a panel above its place."""
    left, _, right, high = place
    figure.add_annotation(
        text=text,
        x=(left + right) / 2,
        y=high,
        xref="paper",
        yref="paper",
        xanchor="center",
        yanchor="bottom",
        yshift=theme.HEADING_GAP,
        showarrow=False,
        font=dict(size=theme.HEADING, color=theme.INK),
    )
