"""How every picture of the kit looks: one font, one white page, colour scales that survive print.

The scales can be told apart with the common colour vision deficiencies: viridis for heights and
other numbers, plasma for depth on photographs, blue to red through grey for similarity, never green
against red.
"""

import plotly.graph_objects as go

INK = "#22272e"  # text
QUIET = "#7b8490"  # second text, axes
FAINT = "#d5d9df"  # grid, range rings
RIGHT = "#b4bac2"  # a correct prediction, or a point nobody asks about
WRONG = "#d62839"
UNSCORED = "#e3e5e9"
SERIES = ("#3b6fb6", "#e07b39", "#3a9d86", "#8a5fbf", "#c2476b", "#7a8b2f", "#5b6472", "#c9a227")

VIRIDIS = ("#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#e6d11f")
PLASMA = ("#f0e425", "#fdb42f", "#ed7953", "#cc4778", "#9c179e", "#5c01a6", "#0d0887")
BLUE_RED = ("#2446a8", "#5f86d8", "#aab9d8", "#c9c6c4", "#e3a488", "#d75f4c", "#a50f22")

# What a colour can mean: its scale, and the words beside the colour bar.
SCALES = {
    "value": (VIRIDIS, ""),
    "height": (VIRIDIS, "height z (m)"),
    "depth": (PLASMA, "depth (m)"),
    "intensity": (VIRIDIS, "intensity"),
    "similarity": (BLUE_RED, "cosine"),
}

FONT = "Inter, 'Source Sans 3', 'Helvetica Neue', Arial, sans-serif"
_AXIS = dict(
    showgrid=True,
    gridcolor="#eceef1",
    zeroline=False,
    linecolor=FAINT,
    ticks="",
    tickfont=dict(color=QUIET, size=12),
    title=dict(font=dict(color=QUIET, size=13)),
)
TEMPLATE = go.layout.Template(
    layout=dict(
        font=dict(family=FONT, size=13, color=INK),
        paper_bgcolor="white",
        plot_bgcolor="white",
        colorway=SERIES,
        title=dict(
            x=0.016,
            xanchor="left",
            y=0.975,
            yanchor="top",
            font=dict(size=19, color=INK),
            subtitle=dict(font=dict(size=13, color=QUIET)),
        ),
        margin=dict(l=20, r=20, t=76, b=20),
        legend=dict(itemsizing="constant", bgcolor="rgba(255,255,255,0.8)", font=dict(size=12)),
        xaxis=_AXIS,
        yaxis=_AXIS,
        hoverlabel=dict(bgcolor="white", bordercolor=FAINT, font=dict(color=INK, size=12)),
    )
)


def new_figure(title: str, subtitle: str = "", height: int = 600) -> go.Figure:
    """Start an empty figure in the kit's style; the height is in pixels, the width adapts."""
    figure = go.Figure()
    figure.update_layout(
        template=TEMPLATE,
        title=dict(text=title, subtitle=dict(text=subtitle)),
        height=height,
    )
    return figure


def colour_scale(name: str) -> tuple[list[list], str]:
    """Look up a scale for plotly and the words for its colour bar.

    Raises:
        ValueError: no scale has this name; lists those there are.
    """
    if name not in SCALES:
        raise ValueError(f"no colour scale is called {name!r}; there are {', '.join(SCALES)}")
    stops, words = SCALES[name]
    return [[i / (len(stops) - 1), stop] for i, stop in enumerate(stops)], words


def colour_axis(scale: str, low: float | int, high: float | int, words: str | None = None) -> dict:
    """Build a plotly colour axis from `low` to `high` its slim bar right of the plot area."""
    stops, own_words = colour_scale(scale)
    return dict(
        colorscale=stops,
        cmin=low,
        cmax=high,
        colorbar=dict(
            title=dict(text=own_words if words is None else words, side="right"),
            x=1.012,
            xanchor="left",
            y=0.5,
            len=0.8,
            thickness=11,
            outlinewidth=0,
            tickfont=dict(color=QUIET, size=11),
        ),
    )


def room_for_bar(figure: go.Figure) -> dict:
    """The right margin a colour bar needs, as a part of plotly's margin; nothing without a bar."""
    return dict(r=92) if figure.layout.coloraxis.cmin is not None else {}


def hex_of(rgb) -> str:
    """Write (red, green, blue) in 0..255 as "#rrggbb"."""
    red, green, blue = (int(value) for value in rgb)
    return f"#{red:02x}{green:02x}{blue:02x}"


def add_heading(
    figure: go.Figure, text: str, x: float | int, y: float | int, above: bool = False
) -> None:
    """Write the name of a panel at (x, y) of the plot area, hanging below y or standing on it."""
    figure.add_annotation(
        text=text,
        x=x,
        y=y,
        xref="paper",
        yref="paper",
        xanchor="center",
        yanchor="bottom" if above else "top",
        showarrow=False,
        font=dict(size=15, color=INK),
    )
