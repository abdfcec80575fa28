"""From a spec file to a checked spec, or to an error that says where, what, and what is allowed."""

import re
from pathlib import Path

import pytest

from common.datasets import DatasetSpec, find_spec, load_spec, load_specs, model_name, parse_spec
from common.datasets.spec import CsvSource, ParquetSource, SeabornSource, SqlSource
from common.errors import SpecError, UnknownDatasetError
from tests.specs import BROKEN, PENGUINS, SMALLEST

ROOT = Path(__file__).parents[3]


def test_the_built_in_spec_says_what_it_always_said() -> None:
    """The penguins' spec has the split, the schedule, the families and the grids of the system it replaces."""
    spec = load_spec(ROOT / "shared" / "datasets" / "penguins.toml")
    assert spec.source == SeabornSource(name="penguins")
    assert spec.columns == (
        "bill_length_mm",
        "bill_depth_mm",
        "flipper_length_mm",
        "body_mass_g",
        "species",
        "island",
        "sex",
    )
    assert (spec.test_size, spec.random_state, spec.folds, spec.missing) == (0.2, 42, 3, "drop")
    assert (spec.interval_s, spec.preprocess_min_interval_s, spec.train_min_interval_s) == (30, 60, 300)
    assert {name: family.grid for name, family in spec.families.items()} == {
        "logistic_regression": {"C": [0.1, 1, 10]},
        "random_forest": {"n_estimators": [50, 100]},
        "svc": {"C": [0.1, 1], "kernel": ["linear", "rbf"]},
    }
    assert spec.families["logistic_regression"].params == {"max_iter": 1000}
    assert spec.families["logistic_regression"].scale
    assert spec.families["svc"].scale
    assert spec.families["svc"].calibrated
    assert (spec.default_model, spec.metric, spec.default) == ("random_forest", "accuracy", True)


def test_a_small_spec_has_every_default() -> None:
    """Source, target, task and one family are enough; the first family answers by default."""
    spec = parse_spec("houses", SMALLEST)
    assert spec.source == CsvSource(path="houses.csv")
    assert (spec.metric, spec.default_model, spec.default, spec.inferred) == ("r2", "ridge", False, True)
    assert spec.gate_of("ridge").metric == "r2"


@pytest.mark.parametrize(
    ("section", "source"),
    [
        ('kind = "parquet"\npath = "a/*.parquet"', ParquetSource(path="a/*.parquet")),
        ('kind = "csv"\npath = "a.csv.gz"\ndelimiter = ";"', CsvSource(path="a.csv.gz", delimiter=";")),
        ('kind = "sql"\nquery = "SELECT 1"\nurl = "sqlite://"', SqlSource(query="SELECT 1", url="sqlite://")),
    ],
)
def test_each_kind_of_source_is_read(section: str, source: object) -> None:
    """A source is told by its kind and has that kind's keys."""
    assert parse_spec("d", SMALLEST.replace('kind = "csv"\npath = "houses.csv"', section)).source == source


def test_models_are_named_after_their_data_set_unless_it_is_the_default() -> None:
    """The default data set's models have bare names, all others the data set's name in front."""
    assert model_name(parse_spec("penguins", PENGUINS), "svc") == "svc"
    assert model_name(parse_spec("houses", SMALLEST), "ridge") == "houses.ridge"


@pytest.mark.parametrize(("old", "new", "key", "message"), BROKEN)
def test_a_broken_spec_says_which_key_and_what_is_allowed(old: str, new: str, key: str, message: str) -> None:
    """Every mistake is one error that names the file, the line, the key, and what would be right."""
    assert old in PENGUINS
    text = PENGUINS.replace(old, new, 1)
    with pytest.raises(SpecError) as caught:
        parse_spec("penguins", text, path="penguins.toml")
    assert caught.value.key == key
    file, _, line = caught.value.path.partition(":")
    assert file == "penguins.toml"
    if new:  # what was left out stands on no line
        assert re.search(rf"\b{key.rpartition('.')[2]}\b|^\[{re.escape(key)}", text.splitlines()[int(line) - 1])
    assert message in caught.value.message


def test_an_error_names_the_line() -> None:
    """The line that the key stands on is part of the place."""
    line = PENGUINS.splitlines().index("folds = 3                         # of the cross-validation in the search") + 1
    with pytest.raises(SpecError, match=f"^penguins.toml:{line}: split.folds: "):
        parse_spec("penguins", PENGUINS.replace("folds = 3", "folds = 1"), path="penguins.toml")


def test_what_is_no_toml_names_the_line() -> None:
    """A slip in the syntax is told with its line and column."""
    with pytest.raises(SpecError, match=r"is no TOML: .*line 3"):
        parse_spec("d", 'target = "a"\n\n[source\n')


@pytest.mark.parametrize("name", ["Penguins", "my-data", "1st", "a" * 41, "", "sales_preprocessed"])
def test_a_name_must_do_for_tables(name: str) -> None:
    """The file's name becomes that of tables, so what PostgreSQL would fold, cut or confuse is refused."""
    with pytest.raises(SpecError, match="name"):
        parse_spec(name, SMALLEST)


@pytest.mark.parametrize("column", ["", "x" * 64, "a\\u0000b", '5\\" disk', "a\\tb", "a\\\\b"])
def test_a_column_must_do_for_a_table_and_a_request(column: str) -> None:
    """A column that PostgreSQL cannot name, or that cannot be a field of a request, is refused."""
    with pytest.raises(SpecError, match="cannot be the name of a column here"):
        parse_spec("d", SMALLEST + f'[features]\nnumeric = ["{column}"]\n')


def test_a_query_has_one_place_for_its_url() -> None:
    """The URL stands in the spec or in a file that it names: one of the two."""
    with pytest.raises(SpecError, match="give either url, or url_file"):
        parse_spec("d", SMALLEST.replace('kind = "csv"\npath = "houses.csv"', 'kind = "sql"\nquery = "SELECT 1"'))


def test_feeding_in_chunks_needs_an_estimator_that_can() -> None:
    """`chunk_rows` is refused for an estimator without `partial_fit`."""
    with pytest.raises(SpecError, match=r"chunk_rows: .*allowed: .*SGDRegressor"):
        parse_spec("d", SMALLEST + "chunk_rows = 1000\n")


def test_the_digest_follows_what_is_trained_and_not_how_it_is_written() -> None:
    """Comments and the schedule leave the digest as it is; a grid changes it."""
    digest = parse_spec("penguins", PENGUINS).digest
    assert (
        parse_spec("penguins", "# another comment\n" + PENGUINS.replace("interval_s = 30 ", "interval_s = 5 ")).digest
        == digest
    )
    assert parse_spec("penguins", PENGUINS.replace("[50, 100]", "[50, 200]")).digest != digest


def test_no_file_is_no_data_set(tmp_path: Path) -> None:
    """A missing file is told from a wrong one."""
    with pytest.raises(UnknownDatasetError, match="there is no data set 'ghosts'"):
        load_spec(tmp_path / "ghosts.toml")


def test_a_name_is_no_path(tmp_path: Path) -> None:
    """A name that comes with an event leads to no file outside the folder."""
    (tmp_path / "inner").mkdir()
    (tmp_path / "houses.toml").write_text(SMALLEST)
    with pytest.raises(UnknownDatasetError):
        find_spec(tmp_path / "inner", "../houses")


def test_a_wrong_spec_harms_no_other(tmp_path: Path) -> None:
    """A folder with a broken file still has its good ones, and the reason of the broken one."""
    (tmp_path / "good.toml").write_text(SMALLEST)
    (tmp_path / "bad.toml").write_text("target = 3")
    (tmp_path / "latin.toml").write_bytes(b"# caf\xe9")
    specs = load_specs(tmp_path)
    assert list(specs) == ["bad", "good", "latin"]
    assert isinstance(specs["good"], DatasetSpec)
    assert isinstance(specs["bad"], SpecError)
    assert "is not UTF-8" in str(specs["latin"])


def test_one_data_set_has_the_bare_names(tmp_path: Path) -> None:
    """Of two that want to be the default, the first is, and the second says so."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.toml").write_text("default = true\n" + SMALLEST)
    specs = load_specs(tmp_path)
    assert isinstance(specs["a"], DatasetSpec)
    assert find_spec(tmp_path, "a") == specs["a"]
    with pytest.raises(SpecError, match="only one has bare model names"):
        find_spec(tmp_path, "b")
    assert "'a' is the default data set already" in str(specs["b"])
