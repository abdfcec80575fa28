"""What command line and console tell of the specs: which there are, whether they are right, what they come to."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from common.datasets.parameters import parameter_problems
from common.datasets.parsing import load_spec, load_specs
from common.datasets.spec import CsvSource, DatasetSpec, ParquetSource, SeabornSource, Source, model_name
from common.errors import SpecError, UnknownDatasetError


class SpecState(msgspec.Struct, frozen=True, kw_only=True):
    """One spec file in a line. `problem` is empty where nothing is wrong; the rest is empty where something is.

    `failure` is why its last run failed, for who knows.
    """

    name: str
    problem: str = ""
    source: str = ""
    target: str = ""
    task: str = ""
    features: int = 0
    models: tuple[str, ...] = ()
    failure: str = ""


def list_specs(folder: Path) -> list[SpecState]:
    """Every spec of the folder, right or wrong, by name."""
    return [_state(name, found) for name, found in load_specs(folder).items()]


def check_specs(folder: Path, names: Sequence[str] = ()) -> list[SpecState]:
    """The same for some or all, with the families' parameters looked up in scikit-learn, which takes a second.

    Raises UnknownDatasetError where a name has no file.
    """
    specs = load_specs(folder)
    unknown = [name for name in names if name not in specs]
    if unknown:
        raise UnknownDatasetError(
            f"there is no data set {unknown[0]!r} in {folder}; there are {', '.join(specs) or 'none'}"
        )
    return [_checked(folder, name, found) for name, found in specs.items() if not names or name in names]


def show_spec(folder: Path, name: str) -> dict[str, Any]:
    """A data set with every default filled in, its digest and the names of its models; no password.

    Raises UnknownDatasetError or SpecError.
    """
    spec = load_spec(folder / f"{name}.toml")
    shown: dict[str, Any] = msgspec.to_builtins(spec)
    if shown["source"].get("url"):
        shown["source"]["url"] = _masked(shown["source"]["url"])
    return shown | {"digest": spec.digest, "models": [model_name(spec, family) for family in spec.families]}


def _checked(folder: Path, name: str, found: DatasetSpec | SpecError) -> SpecState:
    if isinstance(found, DatasetSpec):
        problem = next(parameter_problems(found), None)
        if problem is not None:
            found = SpecError(problem.message, path=str(folder / f"{name}.toml"), key=problem.key)
    return _state(name, found)


def _state(name: str, found: DatasetSpec | SpecError) -> SpecState:
    if isinstance(found, SpecError):
        return SpecState(name=name, problem=found.message)
    return SpecState(
        name=name,
        source=_source(found.source),
        target=found.target,
        task=found.task,
        features=len(found.numeric) + len(found.categorical),
        models=tuple(model_name(found, family) for family in found.families),
    )


def _source(source: Source) -> str:
    if isinstance(source, SeabornSource):
        return f"seaborn {source.name}"
    if isinstance(source, CsvSource | ParquetSource):
        return source.path
    return f"query on {_masked(source.url) if source.url else source.url_file}"


def _masked(url: str) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "a URL that cannot be used"
