"""Pictures of what a version was made from: its features, how it depends on them, and the search."""

from typing import Any

import numpy as np

from common.features import Floats
from services.train.report.canvas import COLOURS, FAINT, INK, colours, new_figure, shortened, tidy
from services.train.report.evidence import Evidence

_PAIRED = 4
_DRAWN_ROWS = 500
_BARS = 15
_BANDS = 4


def importance(evidence: Evidence) -> Any:
    """What shuffling each feature costs on the test rows."""
    shown = evidence.importance[:_BARS]
    figure = new_figure(7.5, 1.4 + 0.4 * len(shown))
    axes = figure.add_subplot()
    places = np.arange(len(shown))
    axes.barh(places, [entry.mean for entry in shown], color=COLOURS[0], height=0.6, alpha=0.85)
    for place, entry in zip(places, shown, strict=True):
        axes.plot([min(entry.losses), max(entry.losses)], [place, place], color=INK, linewidth=1.2)
    axes.set_yticks(places, shortened([entry.feature for entry in shown]))
    axes.invert_yaxis()
    axes.axvline(0, color=FAINT)
    measure = "accuracy" if evidence.classifies else "r2"
    tidy(axes, title="Permutation importance", x=f"loss of {measure} when shuffled (line: 10 repeats)", grid="x")
    return figure


def search_scores(evidence: Evidence) -> Any:
    """Each candidate's mean score and its folds, the best first."""
    scored = [entry for entry in evidence.manifest.scores if entry["mean"] is not None]
    shown = sorted(scored, key=lambda entry: (-entry["mean"], entry["place"]))[:_BARS]
    figure = new_figure(7.5, 1.4 + 0.42 * len(shown))
    axes = figure.add_subplot()
    for place, entry in enumerate(shown):
        folds = [fold for fold in entry["folds"] if fold is not None]
        axes.scatter(folds, [place] * len(folds), s=16, color=FAINT, edgecolors="#9A9A9A", linewidths=0.6, zorder=2)
        axes.scatter([entry["mean"]], [place], s=44, color=COLOURS[1 if place == 0 else 0], zorder=3)
        axes.annotate(
            f"{entry['mean']:.4f}", (entry["mean"], place), (0, 7), textcoords="offset points", fontsize=7, ha="center"
        )
    labels = [", ".join(f"{name}={value}" for name, value in entry["params"].items()) or "no grid" for entry in shown]
    axes.set_yticks(range(len(shown)), shortened(labels, 44))
    axes.set_ylim(len(shown) - 0.4, -0.7)
    rest = f", best {len(shown)} of {len(scored)}" if len(scored) > len(shown) else ""
    tidy(axes, title=f"The search{rest}", x="score in cross-validation (large: mean, small: folds)", grid="x")
    return figure


def feature_pairs(evidence: Evidence) -> Any:
    """The most important numeric features of the training rows against each other, by class."""
    import seaborn as sns

    names = _important(evidence, "numeric")[:_PAIRED]
    if not names:
        return None
    records = evidence.training_records(_DRAWN_ROWS)
    groups, palette, title = _groups(evidence, _DRAWN_ROWS)
    columns = {name: np.array([record[name] for record in records], dtype=np.float64) for name in names}
    size = len(names)
    figure = new_figure(max(4.5, 2.5 * size), max(3.5, 2.3 * size))
    grid = figure.subplots(size, size, squeeze=False)
    for row, y in enumerate(names):
        for column, x in enumerate(names):
            axes = grid[row][column]
            if row == column:
                _density(sns, axes, columns[x], groups, palette)
            else:
                for group, colour in enumerate(palette):
                    inside = groups == group
                    axes.scatter(columns[x][inside], columns[y][inside], s=9, alpha=0.65, color=colour, linewidths=0)
            tidy(axes, x=x if row == size - 1 else "", y=y if column == 0 else "")
            if column > 0:
                axes.set_yticks([])
            if row < size - 1:
                axes.set_xticks([])
    _legend(figure, title, palette)
    return figure


def categories(evidence: Evidence) -> Any:
    """For each level of the categorical features: how many training rows, and of which class."""
    names = _important(evidence, "categorical")[:_PAIRED]
    if not names:
        return None
    records = evidence.training_records(len(evidence.train_matrix))
    groups, palette, title = _groups(evidence, len(evidence.train_matrix))
    figure = new_figure(max(8.0, 3.4 * len(names)), 3.6)
    grid = figure.subplots(1, len(names), squeeze=False)[0]
    for axes, name in zip(grid, names, strict=True):
        levels = next(feature.levels for feature in evidence.manifest.features if feature.name == name)[:_BARS]
        values = np.array([str(record[name]) for record in records])
        bottom = np.zeros(len(levels))
        for group, colour in enumerate(palette):
            heights = np.array([((values == level) & (groups == group)).sum() for level in levels], dtype=np.float64)
            axes.bar(range(len(levels)), heights, bottom=bottom, color=colour, width=0.7)
            bottom += heights
        axes.set_xticks(range(len(levels)), shortened(levels, 14), rotation=30 if len(levels) > 4 else 0)  # noqa: PLR2004 - more overlap
        tidy(axes, title=name, y="training rows", grid="y")
    _legend(figure, title, palette)
    return figure


def _important(evidence: Evidence, kind: str) -> list[str]:
    """The features of a kind, the most important first."""
    kinds = {feature.name: feature.kind for feature in evidence.manifest.features}
    return [entry.feature for entry in evidence.importance if kinds[entry.feature] == kind]


def _groups(evidence: Evidence, most: int) -> tuple[Any, list[str], list[str]]:
    """The colour group of each training row, the colours, and the groups' names: classes, or quarters of the target."""
    target = evidence.training_targets(most)
    if evidence.classifies:
        names = list(evidence.manifest.classes)[: len(COLOURS)]
        return target.astype(np.int64), colours(len(names)), names
    edges = np.quantile(target, [0.25, 0.5, 0.75])
    names = [f"{evidence.manifest.target}: quarter {quarter} of 4" for quarter in range(1, _BANDS + 1)]
    return np.searchsorted(edges, target), ["#BDD7E7", "#6BAED6", "#3182BD", "#08519C"], names


def _density(seaborn: Any, axes: Any, values: Floats, groups: Any, palette: list[str]) -> None:
    """The distribution of one feature by group: smooth, or bars where a group has too little spread for that."""
    for group, colour in enumerate(palette):
        inside = values[groups == group]
        if len(np.unique(inside)) > 2:  # noqa: PLR2004 - a density needs a spread
            seaborn.kdeplot(x=inside, ax=axes, fill=True, alpha=0.35, color=colour, linewidth=1.2)
        elif len(inside):
            axes.hist(inside, color=colour, alpha=0.35, density=True)
    axes.set_yticks([])


def _legend(figure: Any, names: list[str], palette: list[str]) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=colour, label=name) for name, colour in zip(names, palette, strict=True)]
    figure.legend(handles=handles, loc="outside upper left", ncols=min(len(names), 4), fontsize=9, frameon=False)
