"""The look that all pictures share, and how one becomes a PNG file."""

import io
from collections.abc import Sequence
from typing import Any

# The colour-blind safe palette of Okabe and Ito (https://jfly.uni-koeln.de/color/), darkest contrast first.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A7A7A", "#000000")
INK = "#222222"
FAINT = "#D9D9D9"
_DPI = 130


def new_figure(width: float, height: float) -> Any:
    """An empty figure of so many inches on a canvas of its own: pyplot, which keeps every figure, is not involved."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
    figure = Figure(figsize=(width, height), dpi=_DPI, layout=layout, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def as_png(figure: Any) -> bytes:
    """The figure's PNG file."""
    file = io.BytesIO()
    figure.canvas.print_png(file)
    return file.getvalue()


def tidy(axes: Any, *, title: str = "", x: str = "", y: str = "", grid: str = "") -> None:
    """Titles to the left, no box, a faint grid along one axis where that helps to read values."""
    axes.set_title(title, loc="left", fontsize=11, color=INK, fontweight="bold")
    axes.set_xlabel(x, fontsize=9, color=INK)
    axes.set_ylabel(y, fontsize=9, color=INK)
    axes.tick_params(labelsize=8, colors=INK, length=0)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_visible(True)
    axes.spines["bottom"].set_color(FAINT)
    if grid:
        axes.grid(axis=grid, color=FAINT, linewidth=0.6)
        axes.set_axisbelow(True)


def colours(count: int) -> list[str]:
    """So many colours; they come round again where there are more classes than the palette has."""
    return [COLOURS[index % len(COLOURS)] for index in range(count)]


def shortened(names: Sequence[str], most: int = 22) -> list[str]:
    """Names that fit beside an axis."""
    return [name if len(name) <= most else f"{name[: most - 1]}…" for name in names]
