"""From a spec file to a checked `DatasetSpec`, with errors that say where, what, and what is allowed.

A file's sections are the structs below; what they cannot say (a default model that exists, a metric that fits the
task) is checked afterwards, on the finished spec.
"""

import re
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from common.datasets.checking import NAME, Problem, first_problem
from common.datasets.estimators import METRICS, Task
from common.datasets.spec import DatasetSpec, FamilySpec, GateSpec, Missing, Source
from common.errors import SpecError, UnknownDatasetError


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class _Features(_Section, frozen=True, kw_only=True):
    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    missing: Missing = "drop"
    levels: dict[str, tuple[str, ...]] = {}


class _Split(_Section, frozen=True, kw_only=True):
    test_size: Annotated[float, Meta(gt=0, lt=1)] = 0.2
    random_state: Annotated[int, Meta(ge=0, le=2**32 - 1)] = 42
    folds: Annotated[int, Meta(ge=2, le=50)] = 3
    sample_rows: Annotated[int, Meta(ge=10)] | None = 1_000_000


class _Schedule(_Section, frozen=True, kw_only=True):
    interval_s: Annotated[float, Meta(ge=1, le=366 * 86400)] = 30.0
    preprocess_min_interval_s: Annotated[float, Meta(ge=0, le=366 * 86400)] = 60.0
    train_min_interval_s: Annotated[float, Meta(ge=0, le=366 * 86400)] = 300.0


class _Checks(_Section, frozen=True, kw_only=True):
    max_shrink: Annotated[float, Meta(ge=0, le=1)] = 0.5


class SpecFile(_Section, frozen=True, kw_only=True):
    """The sections of a spec file."""

    target: str
    task: Task
    default: bool = False
    default_model: str = ""
    metric: str = ""
    source: Source
    features: _Features = _Features()
    split: _Split = _Split()
    schedule: _Schedule = _Schedule()
    checks: _Checks = _Checks()
    gate: GateSpec = GateSpec()
    families: dict[str, FamilySpec]


def load_spec(path: Path) -> DatasetSpec:
    """The data set that a file describes; its name is the file's.

    Raises UnknownDatasetError where there is no such file, SpecError where it is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UnknownDatasetError(f"there is no data set {path.stem!r}: {path} does not exist") from error
    except UnicodeDecodeError as error:
        raise SpecError(f"is not UTF-8 at byte {error.start}", path=str(path)) from error
    except OSError as error:
        raise SpecError(f"cannot be read: {error.strerror}", path=str(path)) from error
    return parse_spec(path.stem, text, path=str(path))


def find_spec(folder: Path, name: str) -> DatasetSpec:
    """The data set of that name, among the others of the folder: two cannot both have the bare model names.

    Raises UnknownDatasetError where there is none, SpecError where it is wrong.
    """
    if not NAME.fullmatch(name):  # it comes from outside, and is no path
        raise UnknownDatasetError(f"there is no data set {name!r}")
    spec = load_spec(folder / f"{name}.toml")
    among_others = load_specs(folder).get(name) if spec.default else None
    if isinstance(among_others, SpecError):
        raise among_others
    return spec


def load_specs(folder: Path) -> dict[str, DatasetSpec | SpecError]:
    """Every spec of a folder by name, sorted; a wrong one is its SpecError and harms no other.

    Two that both want the bare model names are told apart by their file's name: the first has them.
    """
    specs: dict[str, DatasetSpec | SpecError] = {}
    default = ""
    for path in sorted(folder.glob("*.toml")):
        try:
            spec = load_spec(path)
        except SpecError as error:
            specs[path.stem] = error
            continue
        except UnknownDatasetError:  # removed since the folder was listed
            continue
        if spec.default and default:
            specs[path.stem] = SpecError(
                f"{default!r} is the default data set already; only one has bare model names",
                path=str(path),
                key="default",
            )
            continue
        default = path.stem if spec.default else default
        specs[path.stem] = spec
    return specs


def parse_spec(name: str, text: str, *, path: str = "") -> DatasetSpec:
    """The data set that a text describes. Raises SpecError with the file, the line and the key."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"is no TOML: {error}", path=path) from error
    try:
        file = msgspec.convert(raw, SpecFile)
    except msgspec.ValidationError as error:
        problem = _explain(str(error), raw)
        raise _error(problem, text, path) from error
    spec = _finished(name, file)
    found = first_problem(spec)
    if found:
        raise _error(found, text, path)
    return spec


def _finished(name: str, file: SpecFile) -> DatasetSpec:
    flat: dict[str, Any] = {}
    for section in (file.features, file.split, file.schedule, file.checks):
        flat |= {field: getattr(section, field) for field in section.__struct_fields__}
    return DatasetSpec(
        name=name,
        source=file.source,
        target=file.target,
        task=file.task,
        families=file.families,
        default_model=file.default_model or next(iter(file.families), ""),
        metric=file.metric or METRICS[file.task][0],
        gate=file.gate,
        default=file.default,
        **flat,
    )


def _error(problem: Problem, text: str, path: str) -> SpecError:
    line = _line_of(text, problem.key)
    place = f"{path}:{line}" if line and path else path
    return SpecError(problem.message, path=place, key=problem.key)


def _explain(reason: str, raw: dict[str, Any]) -> Problem:
    """Msgspec's message as a problem, with what is allowed where that is a list."""
    message, _, place = reason.partition(" - at `$")
    key = place.rstrip("`").lstrip(".")
    if key.startswith("families[...]"):
        key = _family_key(raw["families"])
    node = _node(key)
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", message)
    missing = re.fullmatch(r"Object missing required field `(.*)`", message)
    if unknown:
        allowed = _fields(node)
        close = get_close_matches(unknown[1], allowed, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return Problem(_joined(key, unknown[1]), f"is not known{hint}; allowed here: {', '.join(allowed)}")
    if missing:
        return Problem(_joined(key, missing[1]), "is missing")
    if isinstance(node, msgspec.inspect.LiteralType):
        return Problem(key, f"{message}; allowed: {', '.join(map(str, node.values))}")
    if message.startswith("Invalid value") and key.endswith("kind"):
        return Problem(key, f"{message}; allowed: seaborn, csv, parquet, sql")
    return Problem(key, message)


def _family_key(families: dict[str, Any]) -> str:
    """Which family's which key is wrong: msgspec says "one of them"."""
    for name, family in families.items():
        try:
            msgspec.convert(family, FamilySpec)
        except msgspec.ValidationError as error:
            inner = str(error).partition(" - at `$")[2].rstrip("`")
            if inner.startswith(".grid["):
                inner = ".grid." + next(key for key, values in family["grid"].items() if not isinstance(values, list))
            return f"families.{name}{inner}"
    return "families"


def _joined(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _node(key: str) -> Any:
    """The type at a key of the file: a walk from the whole file's type. `[...]` stands for any key or index."""
    node: Any = msgspec.inspect.type_info(SpecFile)
    for part in re.findall(r"[^.\[\]]+|\[[^\]]*\]", key):
        candidates = node.types if isinstance(node, msgspec.inspect.UnionType) else (node,)
        for candidate in candidates:
            if isinstance(candidate, msgspec.inspect.StructType):
                field = next((field for field in candidate.fields if field.encode_name == part), None)
                if field is not None:
                    node = field.type
                    break
            if isinstance(candidate, msgspec.inspect.DictType):
                node = candidate.value_type
                break
        else:
            return None
    return node


def _fields(node: Any) -> list[str]:
    candidates = node.types if isinstance(node, msgspec.inspect.UnionType) else (node,)
    structs = [candidate for candidate in candidates if isinstance(candidate, msgspec.inspect.StructType)]
    return list(dict.fromkeys(field.encode_name for struct in structs for field in struct.fields))


def _line_of(text: str, key: str) -> int:
    """The line a key stands on, or its nearest section's; 0 where neither is found."""
    parts = key.replace("[...]", "").split(".")
    section, found = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[([^\[\]]+)\]", line)
        if header:
            section = header[1].strip()
            found = number if key.startswith(section) and section else found
            continue
        stated = re.match(r"""\s*["']?([A-Za-z0-9_.-]+)["']?\s*=""", line)
        if stated and _joined(section, stated[1]).split(".") in (parts, parts[:-1]):
            return number
    return found
