"""Which pictures a report has, as PNG files. Matplotlib's objects only, no pyplot: nothing global is left behind."""

from collections.abc import Callable, Mapping
from typing import Any

from common.logs import get_logger
from services.train.report import answers, inputs
from services.train.report.canvas import as_png
from services.train.report.evidence import Evidence

log = get_logger(__name__)

# A picture is a function from evidence to a figure, or None where there is nothing to show.
Picture = Callable[[Evidence], Any]

CLASSIFICATION: Mapping[str, Picture] = {
    "confusion_matrix.png": answers.confusion_matrix,
    "per_class.png": answers.per_class,
    "calibration.png": answers.calibration,
}
REGRESSION: Mapping[str, Picture] = {"residuals.png": answers.residuals}
ALWAYS: Mapping[str, Picture] = {
    "permutation_importance.png": inputs.importance,
    "feature_pairs.png": inputs.feature_pairs,
    "categories.png": inputs.categories,
    "search.png": inputs.search_scores,
}


def draw(evidence: Evidence) -> dict[str, bytes]:
    """Every picture by file name, in the order they are shown in."""
    chosen = {**(CLASSIFICATION if evidence.classifies else REGRESSION), **ALWAYS}
    drawn = {}
    for name, picture in chosen.items():
        figure = picture(evidence)
        if figure is not None:
            drawn[name] = as_png(figure)
    log.info("report drawn", model=evidence.manifest.model, version=evidence.manifest.version, pictures=len(drawn))
    return drawn
