"""Which files a source is, and when they count as changed."""

import os
from pathlib import Path

import msgspec
import pytest

from common.datasets import DatasetSpec, fingerprint, parse_spec, source_files
from common.datasets.spec import CsvSource, SqlSource
from tests.specs import SMALLEST

SPEC = parse_spec("houses", SMALLEST)


def reading(path: str) -> DatasetSpec:
    """A data set that is read from a path."""
    return msgspec.structs.replace(SPEC, source=CsvSource(path=path))


def test_a_path_is_relative_to_the_data_folder(tmp_path: Path) -> None:
    """A plain path is found in the data folder; an absolute one stays what it is."""
    (tmp_path / "a.csv").touch()
    assert source_files(reading("a.csv"), tmp_path) == [tmp_path / "a.csv"]
    assert source_files(reading(str(tmp_path / "a.csv")), tmp_path / "other") == [tmp_path / "a.csv"]
    assert source_files(reading("b.csv"), tmp_path) == []


def test_a_glob_is_all_its_files_in_order(tmp_path: Path) -> None:
    """A glob gives its files sorted by name, from sub-folders too, and nothing but files."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "x.csv").mkdir()
    for name in ("b.csv", "a.csv", "sub/c.csv", "d.txt"):
        (tmp_path / name).touch()
    assert source_files(reading("*.csv"), tmp_path) == [tmp_path / "a.csv", tmp_path / "b.csv"]
    assert source_files(reading("**/*.csv"), tmp_path)[-1] == tmp_path / "sub" / "c.csv"
    assert source_files(reading(str(tmp_path / "*.csv")), Path("/nowhere")) == [tmp_path / "a.csv", tmp_path / "b.csv"]


@pytest.mark.parametrize("change", ["content", "time", "swap"])
def test_a_changed_file_has_another_fingerprint(tmp_path: Path, change: str) -> None:
    """Size, time of the last write, and inode each tell."""
    path = tmp_path / "houses.csv"
    path.write_text("1")
    os.utime(path, (1e9, 1e9))
    before = fingerprint(SPEC, tmp_path)
    assert fingerprint(SPEC, tmp_path) == before
    if change == "content":
        path.write_text("12")
    elif change == "time":
        os.utime(path, (1e9, 1e9 + 1))
    else:
        (tmp_path / "new").write_text("2")
        os.utime(tmp_path / "new", (1e9, 1e9))
        (tmp_path / "new").rename(path)
    assert fingerprint(SPEC, tmp_path) != before


def test_what_has_no_files_has_no_fingerprint(tmp_path: Path) -> None:
    """A query, and a file that is not there yet, say nothing about change."""
    assert fingerprint(SPEC, tmp_path) is None
    query = msgspec.structs.replace(SPEC, source=SqlSource(query="SELECT 1", url="sqlite://"))
    assert fingerprint(query, tmp_path) is None
