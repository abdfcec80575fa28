"""What the shape of a spec file cannot say: names that must exist, and choices that must fit each other."""

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches

import msgspec

from common.datasets.estimators import ESTIMATORS, METRICS
from common.datasets.spec import DatasetSpec, FamilySpec, GateSpec, SqlSource

# `<dataset>_preprocessed_<number>` must fit into PostgreSQL's 63 bytes.
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
FAMILY = re.compile(r"[a-z][a-z0-9_]{0,59}")
LONGEST_COLUMN_BYTES = 63
SUFFIX = "_preprocessed"


class Problem(msgspec.Struct, frozen=True):
    """What is wrong, at which key of the file (empty: the file as a whole)."""

    key: str
    message: str


def first_problem(spec: DatasetSpec) -> Problem | None:
    """The first thing wrong with a spec, or None."""
    return next(problems(spec), None)


def problems(spec: DatasetSpec) -> Iterator[Problem]:
    """Everything wrong with a spec."""
    yield from _of_the_name(spec.name)
    yield from _of_the_source(spec)
    yield from _of_the_columns(spec)
    yield from _of_the_families(spec)
    if spec.metric not in METRICS[spec.task]:
        yield Problem("metric", f"{spec.metric!r} is no metric of a {spec.task}; {_allowed(METRICS[spec.task])}")
    yield from _of_a_gate(spec, spec.gate, "gate")
    if spec.default_model not in spec.families:
        yield Problem("default_model", f"{spec.default_model!r} is no family; {_allowed(spec.families)}")


def name_problem(column: str) -> str:
    """Why a column of this name can be none of a data set, of which it is said; empty where it can.

    PostgreSQL sets the length, and the decoder of requests what may stand in a field's name.
    """
    if not column:
        return "is empty"
    if len(column.encode()) > LONGEST_COLUMN_BYTES:
        return f"is longer than {LONGEST_COLUMN_BYTES} bytes"
    if re.search(r'["\\\x00-\x1f]', column):
        return "has a double quote, a backslash or a control character"
    return ""


def names_listed(columns: Iterable[str]) -> str:
    """The names of columns in a row; one that could be misread, for a space or a separator in it, in quotes."""
    return ", ".join(repr(name) if name != name.strip() or set(name) & set(",;\t|") else name for name in columns)


def _of_the_name(name: str) -> Iterator[Problem]:
    if not NAME.fullmatch(name):
        yield Problem(
            "",
            f"the file's name is the data set's, and {name!r} does not do for tables: up to 40 lower-case letters, "
            "digits and underscores, beginning with a letter",
        )
    elif name.endswith(SUFFIX):
        yield Problem("", f"{name!r} ends in {SUFFIX}, which names the encoded table of a data set")


def _of_the_source(spec: DatasetSpec) -> Iterator[Problem]:
    if isinstance(spec.source, SqlSource) and bool(spec.source.url) == bool(spec.source.url_file):
        yield Problem("source.url", "give either url, or url_file (a file that holds the URL), and not both")


def _of_the_columns(spec: DatasetSpec) -> Iterator[Problem]:
    seen: set[str] = set()
    keys = [("target", spec.target)]
    keys += [("features.numeric", name) for name in spec.numeric]
    keys += [("features.categorical", name) for name in spec.categorical]
    for key, name in keys:
        problem = name_problem(name)
        if problem:
            yield Problem(key, f"{name!r} cannot be the name of a column here: it {problem}")
        if name in seen:
            what = "is the target; it cannot be a feature" if name == spec.target else "is named twice"
            yield Problem(key, f"{name!r} {what}")
        seen.add(name)
    if spec.inferred:
        return
    for name in spec.levels:
        if name not in spec.texts:
            yield Problem(f"features.levels.{name}", f"{name!r} is no column of categories; {_allowed(spec.texts)}")


def _of_the_families(spec: DatasetSpec) -> Iterator[Problem]:
    if not spec.families:
        yield Problem("families", "there is none; give at least one, such as [families.random_forest]")
    for name, family in spec.families.items():
        key = f"families.{name}"
        if not FAMILY.fullmatch(name):
            yield Problem(key, "a family's name is part of a model's: lower-case letters, digits and underscores only")
        yield from _of_the_estimator(spec, family, key)
        for parameter, values in family.grid.items():
            if not values:
                yield Problem(f"{key}.grid.{parameter}", "is an empty list; give the values to try")
            if parameter in family.params:
                yield Problem(f"{key}.grid.{parameter}", "is also among params; it is either fixed or searched over")
        if family.gate:
            yield from _of_a_gate(spec, family.gate, f"{key}.gate")


def _of_the_estimator(spec: DatasetSpec, family: FamilySpec, key: str) -> Iterator[Problem]:
    estimator = ESTIMATORS.get(family.estimator)
    fitting = [path for path, candidate in ESTIMATORS.items() if candidate.task == spec.task]
    if estimator is None:
        close = get_close_matches(family.estimator, fitting, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]}? " if close else ""
        yield Problem(
            f"{key}.estimator", f"{family.estimator!r} is not among the estimators allowed; {hint}{_allowed(fitting)}"
        )
        return
    if estimator.task != spec.task:
        yield Problem(f"{key}.estimator", f"{family.estimator} is for {estimator.task}; {_allowed(fitting)}")
        return
    if family.calibrated and spec.task == "regression":
        yield Problem(f"{key}.calibrated", "only a classification has probabilities to calibrate")
    with_loss = family.params.get("loss") in {"log_loss", "modified_huber"}
    if spec.task == "classification" and not (estimator.probabilities or family.calibrated or with_loss):
        yield Problem(f"{key}.calibrated", f"{family.estimator} has no probabilities of its own; set calibrated = true")
    if family.chunk_rows and not estimator.partial_fit:
        able = [path for path in fitting if ESTIMATORS[path].partial_fit]
        yield Problem(f"{key}.chunk_rows", f"{family.estimator} cannot be fed in chunks; {_allowed(able)}")
    if family.chunk_rows and family.calibrated:
        yield Problem(f"{key}.chunk_rows", "calibration needs all rows at once; leave out one of the two")


def _of_a_gate(spec: DatasetSpec, gate: GateSpec, key: str) -> Iterator[Problem]:
    if gate.metric and gate.metric not in METRICS[spec.task]:
        yield Problem(f"{key}.metric", f"{gate.metric!r} is no metric of a {spec.task}; {_allowed(METRICS[spec.task])}")


def _allowed(names: Iterable[str]) -> str:
    return f"allowed: {', '.join(names)}"
