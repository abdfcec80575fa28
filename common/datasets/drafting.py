"""Specs written from a look at the data: a whole one for a person to correct, or the features that one leaves out."""

import json
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from common.datasets.checking import NAME, SUFFIX
from common.datasets.estimators import Task
from common.datasets.files import source_files
from common.datasets.heads import ARROW_CODECS, head_of_csv, head_of_parquet, head_of_query
from common.datasets.looking import FEW, Look, look_over
from common.datasets.parsing import load_spec, parse_spec
from common.datasets.spec import CsvSource, DatasetSpec, ParquetSource, SqlSource
from common.errors import ConflictError, DataError, SpecError

# Dropping more rows than this for their gaps is a loss; filling them is less of one.
MOST_DROPPED = 0.05
CSV = (".csv", ".tsv", ".txt")
COMPRESSED = (".gz", ".bz2", ".xz", *ARROW_CODECS)
PARQUET = (".parquet", ".pq")

_FAMILIES: dict[Task, str] = {
    "classification": """\
[families.logistic_regression]
estimator = "sklearn.linear_model.LogisticRegression"
params = { max_iter = 1000 }
grid = { C = [0.1, 1, 10] }
scale = true                      # standardise the numbers first

[families.random_forest]
estimator = "sklearn.ensemble.RandomForestClassifier"
params = { random_state = 42 }
grid = { n_estimators = [50, 100] }
""",
    "regression": """\
[families.ridge]
estimator = "sklearn.linear_model.Ridge"
grid = { alpha = [0.1, 1, 10] }
scale = true                      # standardise the numbers first

[families.random_forest]
estimator = "sklearn.ensemble.RandomForestRegressor"
params = { random_state = 42 }
grid = { n_estimators = [50, 100] }
""",
}


def draft_spec(path: str, look: Look, target: str) -> str:
    """A commented spec for a file that was looked at. Raises DataError where the target is none."""
    column = look.column(target)
    if column.unfit and column.values < FEW:
        raise DataError(f"{target!r} cannot be the target: {column.unfit}")
    task: Task = "regression" if column.kind == "numeric" and column.values > FEW else "classification"
    numeric, categorical = look.features(target)
    share = look.rows_with_gaps / look.rows
    missing = "drop" if share <= MOST_DROPPED else "impute"
    metric = "r2" if task == "regression" else "accuracy"
    kind = "csv" if look.delimiter else "parquet"
    delimiter = f"delimiter = {_text(look.delimiter)}\n" if look.delimiter.strip(",") else ""
    left_out = _left_out(look, target)
    return f"""\
# Written from a look at the first {look.rows:,} rows of {path}. Correct what is wrong: a change is noticed by itself.
# `rookery datasets check` says whether it is right, and what is allowed where it is not.

target = {_text(target)}
task = "{task}"{"" if task == "regression" else f"           # {column.values} classes"}
metric = "{metric}"               # what the search maximises and the gate compares

[source]
kind = "{kind}"
path = {_text(path)}                # relative to the data folder; a glob for several files
{delimiter}
[features]
numeric = {_list(numeric)}
categorical = {_list(categorical)}
missing = "{missing}"{" " * 18}# {share:.0%} of the rows have a gap: drop them, or impute
{left_out}
[split]
test_size = 0.2
random_state = 42
folds = 3                         # of the cross-validation in the search

[schedule]
interval_s = 30                   # how often the source is looked at

[checks]
max_shrink = 0.5                  # a snapshot with less than half of the rows of the last one is refused

[gate]
min_absolute_change = -0.05       # a new version may be this much worse than the live one

{_FAMILIES[task]}"""


def init_spec(
    path: Path, target: str, *, datasets_dir: Path, data_dir: Path, name: str = "", force: bool = False
) -> tuple[Path, Path]:
    """Writes a spec for a CSV or Parquet file, which is copied into the data folder if need be; returns both paths.

    Raises DataError where the file or target does not do, SpecError where the name does not, ConflictError where the
    spec exists and `force` does not allow to replace it.
    """
    name = name or re.sub(r"[^a-z0-9]+", "_", path.name.partition(".")[0].lower()).strip("_")
    if not NAME.fullmatch(name) or name.endswith(SUFFIX):
        raise SpecError(f"{name!r} does not do as a name: give one of lower-case letters, digits and underscores")
    spec = datasets_dir / f"{name}.toml"
    if spec.exists() and not force:
        raise ConflictError(f"{spec} exists; it is replaced if forced")
    look = look_at(path)
    inside = path.resolve().is_relative_to(data_dir.resolve())
    data = path if inside else data_dir / path.name
    relative = path.resolve().relative_to(data_dir.resolve()) if inside else Path(path.name)
    text = draft_spec(str(relative), look, target)
    parse_spec(name, text, path=str(spec))
    if not inside:
        if data.exists() and not force:
            raise ConflictError(f"{data} exists; it is replaced if forced")
        shutil.copyfile(path, data)
    _replace(spec, text)
    return spec, data


def look_at(path: Path) -> Look:
    """Looks at a file's first rows. Raises DataError where it is of no kind that can be read, or holds no rows."""
    kind = path.with_suffix("").suffix if path.suffix.lower() in COMPRESSED else path.suffix
    if kind.lower() in PARQUET and kind == path.suffix:
        return look_over(head_of_parquet([path]))
    if kind.lower() not in CSV:
        raise DataError(
            f"{path.name} is of no kind that can be looked at: a CSV file ({', '.join(CSV)}; compressed as"
            f" {', '.join(COMPRESSED)}) or a Parquet file ({', '.join(PARQUET)}); for a query write a spec with"
            ' kind = "sql"'
        )
    return look_over(head_of_csv([path]))


def complete_spec(path: Path, spec: DatasetSpec, data_dir: Path) -> DatasetSpec:
    """Finds the features that a spec leaves open and writes them into its file, for the person to see.

    Raises DataError where the source does not do, SourceUnavailableError where it may later, SettingsError where its
    URL cannot be used, SpecError where the spec's file cannot be written.
    """
    look = _look_at_source(spec, data_dir)
    look.column(spec.target)
    numeric, categorical = look.features(spec.target)
    found = f"numeric = {_list(numeric)}\ncategorical = {_list(categorical)}\n"
    note = f"# Found in the first {look.rows:,} rows; correct what is wrong.\n{_left_out(look, spec.target)}"
    try:
        _replace(path, _with_features(path.read_text(encoding="utf-8"), note + found))
    except OSError as error:
        raise SpecError(
            f"is left to be found, but the file cannot be written: {error.strerror}", path=str(path), key="features"
        ) from error
    return load_spec(path)


def _look_at_source(spec: DatasetSpec, data_dir: Path) -> Look:
    source = spec.source
    if isinstance(source, SqlSource):
        return look_over(head_of_query(spec.name, source, data_dir))
    files = source_files(spec, data_dir)
    if not files:
        name = source.path if isinstance(source, CsvSource | ParquetSource) else f"{source.name}.csv"
        raise DataError(f"there is no file {name!r} in {data_dir} to find the features in")
    if isinstance(source, ParquetSource):
        return look_over(head_of_parquet(files))
    return look_over(head_of_csv(files, source.delimiter if isinstance(source, CsvSource) else ","))


def _left_out(look: Look, target: str) -> str:
    """Comment lines that say which columns are no features, and why; nothing where all are."""
    lines = [f"#   {_text(c.name)}: {c.unfit}\n" for c in look.columns if c.unfit and c.name != target]
    return "".join(["# Left out, as they would tell a model nothing:\n", *lines] if lines else [])


def _with_features(text: str, lines: str) -> str:
    """The text with lines in its section of features, which is made at the end where there is none."""
    header = re.search(r"^\s*\[features\][^\n]*\n", text, flags=re.MULTILINE)
    if header is None:
        return f"{text.rstrip()}\n\n[features]\n{lines}"
    return text[: header.end()] + lines + text[header.end() :]


def _replace(path: Path, text: str) -> None:
    """Writes the file whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _list(names: Sequence[str]) -> str:
    line = f"[{', '.join(map(_text, names))}]"
    if len(line) < 100:  # noqa: PLR2004 - what fits on a line
        return line
    return "[\n" + "".join(f"    {_text(name)},\n" for name in names) + "]"
