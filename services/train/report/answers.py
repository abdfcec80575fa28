"""Pictures of what a version answers for the test rows: confusion, precision and recall, calibration, residuals."""

from typing import Any

import numpy as np

from common.features import Floats
from services.train.report.canvas import COLOURS, FAINT, INK, colours, new_figure, shortened, tidy
from services.train.report.evidence import Evidence

_MOST_CLASSES = 20
_FEWEST_IN_A_BIN = 10
_WRITTEN_CELLS = 15


def confusion_matrix(evidence: Evidence) -> Any:
    """Counts of true against predicted classes, shaded by the share of the true class."""
    from sklearn import metrics

    names = list(evidence.manifest.classes)
    size = len(names)
    counts = metrics.confusion_matrix(evidence.test_target, evidence.found.labels, labels=list(range(size)))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(2.6 + 0.75 * size, 14)
    figure = new_figure(side + 1.2, side)
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    if size <= _WRITTEN_CELLS:
        for row in range(size):
            for column in range(size):
                colour = "white" if shares[row, column] > 0.55 else INK  # noqa: PLR2004 - where the shade gets dark
                weight = "bold" if row == column else "normal"
                axes.text(column, row, f"{counts[row, column]}", ha="center", va="center", color=colour, weight=weight)
    # The more there are, the steeper they must stand not to lie on each other.
    turned = 0 if size <= 3 else 30 if size <= _WRITTEN_CELLS else 90  # noqa: PLR2004 - likewise
    axes.set_xticks(range(size), shortened(names), rotation=turned)
    axes.set_yticks(range(size), shortened(names))
    wrong = int(counts.sum() - np.trace(counts))
    tidy(axes, title=f"{wrong} of {counts.sum()} test rows wrong", x="predicted", y="true")
    axes.spines["bottom"].set_visible(False)
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label("share of the true class", fontsize=8, color=INK)
    bar.ax.tick_params(labelsize=7, length=0)
    bar.outline.set_visible(False)
    return figure


def per_class(evidence: Evidence) -> Any:
    """Precision, recall and F1 of each class, with the number of its test rows."""
    report, names = evidence.manifest.report, list(evidence.manifest.classes)[:_MOST_CLASSES]
    figure = new_figure(7.5, max(2.6, 1.0 + 0.75 * len(names)))
    axes = figure.add_subplot()
    places = np.arange(len(names))
    total = len(evidence.manifest.classes)
    shown = f" (the first {len(names)} of {total})" if total > len(names) else ""
    for offset, (measure, colour) in enumerate(zip(("precision", "recall", "f1-score"), COLOURS, strict=False)):
        values = [report[name][measure] for name in names]
        bars = axes.barh(places + (offset - 1) * 0.26, values, height=0.24, color=colour, label=measure)
        axes.bar_label(bars, fmt="%.3f", padding=3, fontsize=7, color=INK)
    supports = [f"{report[name]['support']:.0f} rows" for name in names]
    labels = [f"{name}\n{support}" for name, support in zip(shortened(names), supports, strict=True)]
    axes.set_yticks(places, labels)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 1.12)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1.0])
    tidy(axes, title=f"Precision and recall by class, test rows{shown}", grid="x")
    axes.legend(
        fontsize=8, frameon=False, ncols=3, loc="upper left", bbox_to_anchor=(0, -0.6 / (1.0 + 0.75 * len(names)))
    )
    return figure


def calibration(evidence: Evidence) -> Any:
    """How often a class was the true one, against the probability that was given to it; and how sure answers were.

    Bins hold equally many rows: few test rows would leave most bins of equal width empty.
    """
    probabilities = evidence.found.probabilities
    if probabilities is None:
        raise ValueError("a calibration needs probabilities")
    names = shortened(evidence.manifest.classes)
    figure = new_figure(9.0, 4.2)
    left, right = figure.subplots(1, 2, width_ratios=[1.15, 1])
    left.plot([0, 1], [0, 1], color=FAINT, linewidth=1.2, linestyle="--", label="perfect")
    for index, colour in zip(range(min(len(names), len(COLOURS))), colours(len(names)), strict=False):
        given, occurred = reliability(probabilities[:, index], evidence.test_target == index)
        left.plot(given, occurred, marker="o", markersize=4, linewidth=1.4, color=colour, label=names[index])
    left.set_xlim(-0.03, 1.03)
    left.set_ylim(-0.03, 1.03)
    tidy(left, title="Calibration", x="probability given to the class", y="share of rows that had it", grid="both")
    left.legend(fontsize=8, frameon=False)
    surest = probabilities.max(axis=1)
    right_ones = evidence.found.labels == evidence.test_target
    bins = [float(edge) for edge in np.linspace(1.0 / len(names), 1.0, 16)]
    parts = [surest[right_ones], surest[~right_ones]]
    right.hist(parts, bins=bins, stacked=True, color=[COLOURS[0], COLOURS[1]], label=["right", "wrong"])
    tidy(right, title="How sure the answers were", x="highest probability", y="test rows", grid="y")
    right.legend(fontsize=8, frameon=False, loc="upper left")
    return figure


def reliability(given: Floats, occurred: Any) -> tuple[Floats, Floats]:
    """Mean probability and share of occurrences in bins of equally many rows, at most ten of them."""
    order = np.argsort(given, kind="stable")
    bins = np.array_split(order, max(2, min(10, len(order) // _FEWEST_IN_A_BIN)))
    bins = [rows for rows in bins if len(rows)]
    return np.array([given[rows].mean() for rows in bins]), np.array([occurred[rows].mean() for rows in bins])


def residuals(evidence: Evidence) -> Any:
    """Predicted against true numbers, and the spread of what lies between."""
    from matplotlib.ticker import EngFormatter

    true, predicted = evidence.test_target, evidence.found.labels
    off = predicted - true
    figure = new_figure(9.0, 4.2)
    left, right = figure.subplots(1, 2)
    low, high = min(true.min(), predicted.min()), max(true.max(), predicted.max())
    left.plot([low, high], [low, high], color=FAINT, linewidth=1.4, linestyle="--")
    left.scatter(true, predicted, s=14, alpha=0.6, color=COLOURS[0], linewidths=0)
    tidy(left, title=f"Predicted {evidence.manifest.target}", x="true", y="predicted", grid="both")
    right.hist(off, bins=30, color=COLOURS[0])
    right.axvline(0, color=FAINT, linestyle="--")
    middle = f"median {np.median(off):+.3g}, half within {np.median(np.abs(off)):.3g}"
    for axis in (left.xaxis, left.yaxis, right.xaxis):
        # 10 M rather than 1.0 with a 1e7 in a corner, where it lies on the axis' label.
        axis.set_major_formatter(EngFormatter())
    tidy(right, title="Residuals", x=f"predicted - true ({middle})", y="test rows", grid="y")
    return figure
