"""The model card: what a version is, how good it is, and where it comes from, in Markdown.

Its sections follow Mitchell et al., "Model Cards for Model Reporting" (2019), as far as training can know them.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from common.bundles.manifest import Manifest
from services.train.report.evidence import Evidence

TITLES = {
    "confusion_matrix.png": "True and predicted classes of the test rows",
    "per_class.png": "Precision and recall by class",
    "calibration.png": "Whether probabilities mean what they say",
    "residuals.png": "Predicted and true numbers of the test rows",
    "permutation_importance.png": "How much depends on each feature",
    "feature_pairs.png": "The training rows",
    "categories.png": "Categories of the training rows",
    "search.png": "What the search tried",
}


def model_card(evidence: Evidence, *, pictures: list[str], decision: str, live: bool) -> str:
    """The card as Markdown; pictures are files beside it."""
    manifest = evidence.manifest
    parts = [
        f"# {manifest.model}, version {manifest.version}",
        _summary(manifest, decision=decision, live=live),
        *_section("How good it is", _metrics(manifest)),
        *_section("What it asks for", _features(evidence)),
        *_section("How it was made", _making(manifest)),
        *_section("Where it comes from", _lineage(manifest)),
        *_section("What to keep in mind", _limits(manifest)),
        *_section("Use it", _usage(manifest)),
        *_section("Pictures", [f"![{TITLES[name]}]({name})\n\n*{TITLES[name]}.*" for name in pictures]),
    ]
    return "\n\n".join(parts) + "\n"


def _summary(manifest: Manifest, *, decision: str, live: bool) -> str:
    what = (
        f"Tells which of {len(manifest.classes)} classes of `{manifest.target}` a record belongs to:"
        f" {_listed(manifest.classes)}."
        if manifest.classes
        else f"Predicts the number `{manifest.target}`."
    )
    state = "It went live" if live else "It was **held** and is not live"
    return f"{what} Trained on the data set `{manifest.dataset}`, family `{manifest.family}`. {state}: {decision}."


def _metrics(manifest: Manifest) -> list[str]:
    table = _table(("metric", "test rows"), [(f"`{name}`", f"{value:.4f}") for name, value in manifest.metrics.items()])
    if not manifest.classes:
        return [table]
    rows = []
    for name in manifest.classes:
        entry = manifest.report[name]
        figures = [f"{entry[key]:.4f}" for key in ("precision", "recall", "f1-score")]
        rows.append((name, *figures, f"{entry['support']:.0f}"))
    return [table, _table(("class", "precision", "recall", "F1", "test rows"), rows)]


def _features(evidence: Evidence) -> list[str]:
    losses = {entry.feature: entry.mean for entry in evidence.importance}
    rows = []
    for feature in evidence.manifest.features:
        if feature.kind == "categorical":
            seen = _listed(feature.levels)
        elif feature.minimum is None or feature.maximum is None:
            seen = ""
        else:
            seen = f"{feature.minimum:g} to {feature.maximum:g}"
        filled = "refused" if feature.fill is None else f"`{feature.fill}`"
        rows.append((f"`{feature.name}`", feature.kind, seen, filled, f"{losses[feature.name]:+.4f}"))
    return [_table(("feature", "type", "seen in training", "where missing", "importance"), rows)]


def _making(manifest: Manifest) -> list[str]:
    best = ", ".join(f"`{name} = {value}`" for name, value in manifest.best_params.items()) or "no parameters to choose"
    share = f"{manifest.rows_train} rows to train on, {manifest.rows_test} to test on"
    sampled = f" (a sample: {_pairs(manifest.sampling.items())})" if manifest.sampling else ""
    lines = [
        f"- Estimator: `{manifest.estimator}`; {best}, the best of {len(manifest.scores)} candidates.",
        f"- {share}{sampled}, of {manifest.rows} rows of the snapshot; {manifest.seconds:.2f} s.",
        f"- Served by: {_served(manifest)}.",
    ]
    return ["\n".join([*lines, *(f"- Training warned: {warning}" for warning in manifest.warnings)])]


def _served(manifest: Manifest) -> str:
    if manifest.predictor.why:
        return f"scikit-learn itself, since {manifest.predictor.why}"
    return f"plain arrays of kind `{manifest.predictor.kind}`, which answered as scikit-learn does on every row"


def _lineage(manifest: Manifest) -> list[str]:
    facts: list[tuple[str, Any]] = [
        ("trained", manifest.created_at.strftime("%Y-%m-%d %H:%M:%S UTC")),
        ("run", f"`{manifest.run_id}`"),
        ("event", f"`{manifest.event_id}`"),
        ("snapshot", f"{manifest.snapshot}, digest `{manifest.snapshot_digest}`"),
        ("spec digest", f"`{manifest.spec_digest}`"),
        ("libraries", _pairs(manifest.libraries.items())),
    ]
    if manifest.git_revision:
        facts.append(("code", f"`{manifest.git_revision}`"))
    return [_table(("", ""), facts)]


def _limits(manifest: Manifest) -> list[str]:
    lines = [
        (
            f"- The figures above come from {manifest.rows_test} test rows of the same source: they say nothing of"
            " records that come about otherwise."
        ),
        "- Numbers far outside of the ranges seen in training are answered all the same, by extrapolation.",
        "- A category that training has not seen is refused, not guessed.",
    ]
    if manifest.classes:
        lines.append(
            f"- Every record is given one of the {len(manifest.classes)} classes, also one that belongs to none."
        )
        rare = min(manifest.classes, key=lambda name: manifest.report[name]["support"])
        lines.append(f"- The least is known of {rare}: {manifest.report[rare]['support']:.0f} test rows.")
    return ["\n".join(lines)]


def _usage(manifest: Manifest) -> list[str]:
    record = manifest.samples.records[0] if manifest.samples.records else {}
    fields = ", ".join(f'"{name}": {_json(value)}' for name, value in record.items())
    return [
        (
            f"```sh\ncurl -s 'http://127.0.0.1:8000/predict?model={manifest.model}@{manifest.version}' \\\n"
            f"  -H 'content-type: application/json' -d '{{\"records\": [{{{fields}}}]}}'\n```"
        ),
        "Or without the server, with joblib and scikit-learn alone:",
        (
            "```python\nimport joblib\n\n"
            f'bundle = joblib.load("shared/models/versions/{manifest.model}/{manifest.version}/bundle.pkl")\n'
            'bundle["model"].predict(matrix)  # columns: bundle["feature_columns"]\n```'
        ),
    ]


def _section(title: str, parts: Iterable[str]) -> list[str]:
    return [f"## {title}", *parts]


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(_cell(value) for value in row)} |" for row in rows)])


def _cell(value: Any) -> str:
    """A table's cell: what would end it or the line is escaped."""
    return str(value).replace("|", "\\|").replace("\n", " ")


def _listed(names: Sequence[str], most: int = 12) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def _pairs(items: Iterable[tuple[str, Any]]) -> str:
    return ", ".join(f"{name} {value}" for name, value in items)


def _json(value: float | str) -> str:
    import json

    return json.dumps(value, ensure_ascii=False).replace("'", "'\\''")
