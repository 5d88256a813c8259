"""The kit's style as a plotly template: one font, a white page, grey axes."""

import plotly.graph_objects as go

from kit.show import theme

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
            x=theme.TITLE_PLACE[0],
            xanchor="left",
            y=theme.TITLE_PLACE[1],
            yanchor="top",
            font=dict(size=theme.TITLE, color=theme.INK),
            subtitle=dict(font=dict(size=theme.SUBTITLE, color=theme.MUTED)),
        ),
        margin=dict(l=20, r=20, t=76, b=20),
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


def add_heading(figure: go.Figure, text: str, x: float, y: float, above: bool = False) -> None:
    """Write the name of a panel at (x, y) of the plot area, below y or on it."""
    figure.add_annotation(
        text=text,
        x=x,
        y=y,
        xref="paper",
        yref="paper",
        xanchor="center",
        yanchor="bottom" if above else "top",
        showarrow=False,
        font=dict(size=theme.HEADING, color=theme.INK),
    )
