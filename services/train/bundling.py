"""Puts a fitted model into a version's files and says in its manifest what they are."""

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from common.bundles.layout import BUNDLE, EVALUATION, ROWS
from common.bundles.libraries import installed_libraries
from common.bundles.manifest import FORMAT, Manifest, PredictorEntry
from common.datasets import DatasetSpec, FamilySpec, model_name
from common.events.model import Event
from common.features import Floats
from common.predictors.arrays import pack
from services.train.dataset import Split, TrainingData, row_hashes
from services.train.evaluation import answer, evaluate, make_predictor, make_samples
from services.train.search import Fit

# What the report is drawn from: enough rows for every picture, whatever the size of the data set.
_REPORT_ROWS = 5_000


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One training: what for, of what, and the version it makes."""

    spec: DatasetSpec
    family: str
    event: Event
    version: int
    data: TrainingData
    split: Split

    @property
    def model(self) -> str:
        """The name it is served under."""
        return model_name(self.spec, self.family)

    @property
    def family_spec(self) -> FamilySpec:
        """The family's part of the spec."""
        return self.spec.families[self.family]


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """A version that is ready to be written, and the report of its log line."""

    manifest: Manifest
    files: dict[str, bytes]
    text: str


def make_product(job: Job, fit: Fit, *, seconds: float, sampling: dict[str, Any] | None = None) -> Product:
    """Evaluates a fit on the test rows and packs it: blocks for as long as that takes.

    `sampling` says which rows it was fitted on where those are not the job's training part.
    """
    data, split, classifies = job.data, job.split, bool(job.data.classes)
    entry, files, predictor = make_predictor(fit.model, data.matrix, classifies=classifies)
    found = answer(predictor, data.matrix[split.test], classifies=classifies)
    evaluation = evaluate(data.target[split.test], found, data.classes)
    manifest = msgspec.structs.replace(
        _lineage(job, entry),
        metrics=evaluation.metrics,
        best_params=fit.best_params,
        report=evaluation.report,
        scores=[msgspec.to_builtins(score) for score in fit.scores],
        seconds=round(seconds, 3),
        warnings=fit.warnings,
        samples=make_samples(data, split, predictor),
        **({"sampling": sampling, "rows_train": sampling["rows"]} if sampling else {}),
    )
    files |= {BUNDLE: _bundle(fit.model, data, manifest), EVALUATION: _evaluation(data, split)}
    return Product(manifest=manifest, files=files | {ROWS: _rows(data, split)}, text=evaluation.text)


def _lineage(job: Job, predictor: PredictorEntry) -> Manifest:
    """The manifest as far as it is known before anything is measured."""
    spec, data, split = job.spec, job.data, job.split
    return Manifest(
        format=FORMAT,
        model=job.model,
        version=job.version,
        dataset=spec.name,
        family=job.family,
        task=spec.task,
        created_at=datetime.now(UTC),
        event_id=str(job.event.id),
        run_id=str(job.event.correlationid),
        snapshot=data.snapshot,
        snapshot_digest=data.digest,
        spec_digest=spec.digest,
        target=spec.target,
        rows=data.rows,
        rows_train=len(split.train),
        rows_test=len(split.test),
        estimator=job.family_spec.estimator,
        features=data.features,
        feature_columns=data.columns,
        classes=data.classes,
        libraries=installed_libraries(),
        git_revision=git_revision(Path(__file__).parents[2]),
        sampling={} if len(data.target) == data.rows else {"rows": len(data.target), "of": data.rows},
        predictor=predictor,
        default=spec.default and job.family == spec.default_model,
    )


def _bundle(model: Any, data: TrainingData, manifest: Manifest) -> bytes:
    """What people load: `joblib.load(...)["model"]` needs scikit-learn alone.

    Compressed, and not only for its size: zlib notices a flipped bit, where an unpacked forest crashes the process.
    """
    import joblib
    from sklearn.preprocessing import LabelEncoder

    content = {
        "model": model,
        "label_encoder": LabelEncoder().fit(list(data.classes)) if data.classes else None,
        "feature_columns": list(data.columns),
        "features": [msgspec.to_builtins(feature) for feature in data.features],
        "target": manifest.target,
        "classes": list(data.classes),
        "name": manifest.model,
        "version": manifest.version,
        "metrics": manifest.metrics,
        "best_params": manifest.best_params,
        "libraries": manifest.libraries,
    }
    file = io.BytesIO()
    joblib.dump(content, file, compress=3)
    return file.getvalue()


def _evaluation(data: TrainingData, split: Split) -> bytes:
    """The rows that the report is drawn from, so that it can be drawn when the snapshot is gone."""
    train, test = split.train[:_REPORT_ROWS], split.test[:_REPORT_ROWS]
    return pack(
        {
            "train_matrix": data.matrix[train],
            "train_target": data.target[train],
            "test_matrix": data.matrix[test],
            "test_target": data.target[test],
        }
    )


def _rows(data: TrainingData, split: Split) -> bytes:
    """Hashes of the rows trained on, sorted: a later version is compared on others."""
    file = io.BytesIO()
    np.save(file, np.unique(row_hashes(data.matrix[split.train], data.target[split.train])), allow_pickle=False)
    return file.getvalue()


def seen_rows(content: bytes, matrix: Floats, target: Floats) -> list[bool]:
    """Which rows a version was trained on, by its file of hashes."""
    known = np.load(io.BytesIO(content), allow_pickle=False)
    return [bool(found) for found in np.isin(row_hashes(matrix, target), known)]


def git_revision(folder: Path) -> str:
    """The commit that is checked out in a folder, read from Git's own files; empty where there is none."""
    try:
        head = (folder / ".git" / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head[:40]
        return (folder / ".git" / head.removeprefix("ref: ")).read_text().strip()[:40]
    except OSError:
        return ""
