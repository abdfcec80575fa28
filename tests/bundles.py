"""Real model versions for tests and benches: scikit-learn fits of the penguins, written as training writes them."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import joblib
import msgspec
import numpy as np
import pandas as pd

from common.bundles.layout import BUNDLE
from common.bundles.libraries import installed_libraries
from common.bundles.manifest import FORMAT, Aliases, Manifest, PredictorEntry, Samples
from common.bundles.reader import MissingBundleError, read_aliases
from common.bundles.writer import link_live, write_aliases, write_version
from common.features import Encoder, Feature, feature_columns
from services.train.evaluation import make_predictor

ROOT = Path(__file__).parent.parent
KEY = b"0123456789abcdef0123456789abcdef"
NUMERIC = ("bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g")
CATEGORICAL = ("island", "sex")
CLASSES = ("Adelie", "Chinstrap", "Gentoo")


def penguins() -> pd.DataFrame:
    """The 333 complete penguins."""
    return pd.read_csv(ROOT / "shared" / "data" / "penguins.csv").dropna().reset_index(drop=True)


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as clients send them."""
    return [
        {str(name): value for name, value in row.items()} for row in frame[[*NUMERIC, *CATEGORICAL]].to_dict("records")
    ]


def features(frame: pd.DataFrame) -> tuple[Feature, ...]:
    """What preprocess finds out about the columns."""
    numeric = [
        Feature(name, "numeric", minimum=float(frame[name].min()), maximum=float(frame[name].max())) for name in NUMERIC
    ]
    return (*numeric, *(Feature(name, "categorical", levels=tuple(sorted(set(frame[name])))) for name in CATEGORICAL))


def logistic_regression() -> Any:
    """A scaled logistic regression."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def random_forest(trees: int = 100) -> Any:
    """A random forest."""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(n_estimators=trees, random_state=42)


def svc() -> Any:
    """A scaled, calibrated support vector classifier."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    return make_pipeline(StandardScaler(), CalibratedClassifierCV(SVC(C=1.0), ensemble=False, cv=3))


def neighbours() -> Any:
    """A model that no plain-data predictor exists for."""
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(n_neighbors=5)


FAMILIES: Mapping[str, Callable[[], Any]] = {
    "logistic_regression": logistic_regression,
    "random_forest": random_forest,
    "svc": svc,
}


@dataclass
class Trained:
    """A fitted model with what its manifest says."""

    model: Any
    manifest: Manifest
    files: dict[str, bytes]
    matrix: np.ndarray[Any, np.dtype[np.float64]]
    frame: pd.DataFrame

    @property
    def labels(self) -> list[str]:
        """What the pipeline answers to all records."""
        return [CLASSES[index] for index in self.model.predict(self.matrix)]

    @property
    def probabilities(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Its probabilities of them."""
        found: np.ndarray[Any, np.dtype[np.float64]] = self.model.predict_proba(self.matrix)
        return found


def train(family: str, make: Callable[[], Any], *, shuffled: bool = False) -> Trained:
    """Fits a family on all penguins; `shuffled` gives a model that has learnt nothing."""
    frame = penguins()
    described = features(frame)
    matrix = Encoder(described).encode(records(frame))
    target = np.array([CLASSES.index(species) for species in frame["species"]])
    if shuffled:
        target = np.random.default_rng(1).permutation(target)
    model = make().fit(matrix, target)
    entry, predictor_files, predictor = make_predictor(model, matrix, classifies=True)
    sample = records(frame.iloc[::40])
    probabilities = predictor.predict_proba(Encoder(described).encode(sample))
    file = io.BytesIO()
    joblib.dump(
        {"model": model, "classes": list(CLASSES), "feature_columns": list(feature_columns(described))}, file, 3
    )
    manifest = Manifest(
        format=FORMAT,
        model=family,
        version=1,
        dataset="penguins",
        family=family,
        task="classification",
        created_at=datetime.now(UTC),
        event_id="01890000-0000-7000-8000-000000000001",
        run_id="01890000-0000-7000-8000-000000000000",
        snapshot=1,
        target="species",
        rows=len(frame),
        features=described,
        feature_columns=feature_columns(described),
        classes=CLASSES,
        metrics={"accuracy": float((model.predict(matrix) == target).mean())},
        libraries=installed_libraries(),
        predictor=entry,
        samples=Samples(sample, probabilities.argmax(axis=1).astype(float).tolist(), probabilities.tolist()),
        default=family == "random_forest",
    )
    return Trained(model, manifest, {BUNDLE: file.getvalue(), **predictor_files}, matrix, frame)


@dataclass
class Folder:
    """A model folder that versions are published to, as train and `go_live` do."""

    models_dir: Path
    key: bytes = KEY
    generations: dict[str, int] = field(default_factory=dict)

    def write(self, trained: Trained, version: int, **changes: Any) -> Manifest:
        """Writes a version; nothing is live by that."""
        manifest = msgspec.structs.replace(trained.manifest, version=version, **changes)
        return write_version(self.models_dir, manifest, trained.files, self.key)

    def point(self, model: str, live: int, **more: Any) -> Aliases:
        """Makes a version live."""
        try:
            before = read_aliases(self.models_dir, model, [self.key])
        except MissingBundleError:
            before = None
        trail = (live, *(version for version in (before.trail if before else ()) if version != live))
        defaults = {"previous": before.live if before and before.live != live else None, "trail": trail}
        generation = before.generation + 1 if before else 1
        aliases = Aliases(format=FORMAT, model=model, generation=generation, live=live, **{**defaults, **more})
        written = write_aliases(self.models_dir, aliases, self.key)
        link_live(self.models_dir, model, live)
        return written

    def publish(self, trained: Trained, version: int = 1, **changes: Any) -> Manifest:
        """Writes a version and makes it live."""
        manifest = self.write(trained, version, **changes)
        self.point(manifest.model, version)
        return manifest


def as_pickle(trained: Trained) -> Trained:
    """The same model, served by scikit-learn itself."""
    manifest = msgspec.structs.replace(
        trained.manifest, predictor=PredictorEntry(kind="pickle", file=BUNDLE, why="asked for by a test")
    )
    return Trained(trained.model, manifest, {BUNDLE: trained.files[BUNDLE]}, trained.matrix, trained.frame)
