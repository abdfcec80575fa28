"""From a version's folder to something that answers: verify, load, let it answer its samples, warm up."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import numpy as np

from common.bundles.layout import BUNDLE
from common.bundles.libraries import installed_libraries
from common.bundles.manifest import Manifest, incompatibility
from common.bundles.reader import predictor_files, read_manifest, verify_files
from common.errors import BundleError, RecordError
from common.features import Encoder, Floats
from common.predictors import Predictor, load_predictor
from services.inference.batching import Batcher, Outcome
from services.inference.envelope import Envelope
from services.inference.rows import RowReader
from services.inference.serving.pickled import PickledPredictor, load_pickle
from services.inference.serving.serving_map import Served
from services.inference.serving.trial import Trial

PICKLE = "pickle"
# A plain-data predictor does the same arithmetic as training did; scikit-learn may be another patch release.
_TOLERANCE = {PICKLE: 1e-6}
_EXACT = 1e-9
_WARM_UP_SIZES = (1, 2, 32)


class Loader:
    """Loads versions, one at a time, away from the loop."""

    def __init__(
        self,
        models_dir: Path,
        keys: Sequence[bytes],
        *,
        executor: Executor,
        workers: Executor,
        trial: Trial,
        observe: Callable[[str, int], None] | None = None,
    ) -> None:
        """Takes the folder, the keys that verify, where to load, where pickles answer, and where they are tried."""
        self._models_dir = models_dir
        self._keys = tuple(keys)
        self._executor = executor
        self._workers = workers
        self._trial = trial
        self._observe = observe or (lambda _model, _records: None)

    async def load(self, model: str, version: int) -> Served:
        """A version that has proven itself. Raises BundleError with the reason where it has not."""
        started = perf_counter()
        loop = asyncio.get_running_loop()
        try:
            manifest, files = await loop.run_in_executor(self._executor, self._verified, model, version)
            samples = await loop.run_in_executor(self._executor, _encoded_samples, manifest)
            if manifest.predictor.kind == PICKLE:
                tried = await self._trial.answers(files[BUNDLE], samples, len(manifest.classes))
                _compare(manifest, np.array(tried, dtype=np.float64))
            predictor = await loop.run_in_executor(self._executor, _proven, manifest, files, samples)
        except (BundleError, asyncio.CancelledError):
            raise
        except Exception as error:
            raise BundleError(f"the version cannot be loaded: {type(error).__name__}: {error}") from error
        encoder = Encoder(manifest.features)
        return Served(
            model=model,
            version=version,
            manifest=manifest,
            encoder=encoder,
            reader=RowReader(encoder),
            batcher=Batcher(
                evaluator(predictor, manifest.classes),
                executor=self._workers if manifest.predictor.kind == PICKLE else None,
                observe=lambda records: self._observe(model, records),
            ),
            envelope=Envelope(model, version, manifest.classes),
            loaded_at=datetime.now(UTC),
            load_ms=round((perf_counter() - started) * 1000, 2),
        )

    def _verified(self, model: str, version: int) -> tuple[Manifest, Mapping[str, bytes]]:
        """The manifest and exactly the bytes that were verified."""
        manifest = read_manifest(self._models_dir, model, version, self._keys)
        if manifest.task == "classification" and not manifest.classes:
            raise BundleError("the manifest of a classifier names no classes")
        if Encoder(manifest.features).columns != manifest.feature_columns:
            raise BundleError("the manifest's columns are not those of its features")
        if manifest.predictor.kind != PICKLE:
            return manifest, predictor_files(self._models_dir, manifest)
        reason = incompatibility(manifest, installed_libraries())
        if reason is not None:
            raise BundleError(reason)
        return manifest, verify_files(self._models_dir, manifest, [BUNDLE])


def evaluator(predictor: Predictor | PickledPredictor, classes: Sequence[str]) -> Callable[[Floats], Outcome]:
    """The function from records to answers. A label is that of the largest probability: they never contradict."""
    names = list(classes)

    def classify(matrix: Floats) -> Outcome:
        probabilities = predictor.predict_proba(matrix)
        labels = probabilities.argmax(axis=1).tolist()
        return Outcome([names[label] for label in labels], probabilities.tolist())

    def name(matrix: Floats) -> Outcome:
        return Outcome([names[int(label)] for label in predictor.predict(matrix).tolist()], None)

    def estimate(matrix: Floats) -> Outcome:
        return Outcome(predictor.predict(matrix).tolist(), None)

    if not names:
        return estimate
    return classify if getattr(predictor, "has_probabilities", True) else name


def _proven(manifest: Manifest, files: Mapping[str, bytes], samples: Floats) -> Predictor | PickledPredictor:
    """The predictor, once its answers to the samples are those of training; warm."""
    predictor: Predictor | PickledPredictor
    predictor = load_pickle(files[BUNDLE]) if manifest.predictor.kind == PICKLE else load_predictor(files, manifest)
    if manifest.classes and getattr(predictor, "has_probabilities", True):
        _compare(manifest, predictor.predict_proba(samples))
    else:
        _compare(manifest, predictor.predict(samples).reshape(-1, 1))
    evaluate = evaluator(predictor, manifest.classes)
    for size in _WARM_UP_SIZES:
        evaluate(np.resize(samples, (size, samples.shape[1])))
    return predictor


def _encoded_samples(manifest: Manifest) -> Floats:
    """The samples as a matrix. Raises BundleError where there is none, or one cannot be encoded."""
    if not manifest.samples.records:
        raise BundleError("the manifest has no sample records to check the model with")
    try:
        return Encoder(manifest.features).encode(manifest.samples.records)
    except RecordError as error:
        raise BundleError(f"a sample record of the manifest cannot be encoded: {error.message}") from error


def _compare(manifest: Manifest, values: Floats) -> None:
    """Raises BundleError where answers, `(n, k)` probabilities or `(n, 1)` numbers, differ from those of training."""
    expected = manifest.samples
    tolerance = _TOLERANCE.get(manifest.predictor.kind, _EXACT)
    count = len(expected.records)
    if len(values) != count or len(expected.labels) != count:
        raise BundleError(f"the model answers {len(values)} of its {count} sample records")
    if not np.isfinite(values).all():
        raise BundleError("the model answers its sample records with what is no finite number")
    labels = np.array(expected.labels, dtype=np.float64)
    if values.shape[1] == 1:
        agree = np.isclose(values[:, 0], labels, rtol=tolerance, atol=tolerance)
    else:
        if values.shape[1] != len(manifest.classes):
            raise BundleError(f"the model knows {values.shape[1]} classes, the manifest {len(manifest.classes)}")
        agree = values.argmax(axis=1) == labels
        if expected.probabilities:
            probabilities = np.array(expected.probabilities, dtype=np.float64)
            if probabilities.shape != values.shape:
                raise BundleError("the manifest's probabilities do not fit its classes")
            agree &= (np.abs(values - probabilities) <= tolerance).all(axis=1)
    if not agree.all():
        raise BundleError(
            f"the model answers sample record {int(np.flatnonzero(~agree)[0])} otherwise than training did"
        )
