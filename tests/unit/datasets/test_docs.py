"""The page about data sets, held against the spec itself."""

from pathlib import Path

import msgspec
import pytest

from common.datasets.parsing import SpecFile
from common.datasets.spec import CsvSource, FamilySpec, GateSpec, ParquetSource, SeabornSource, SqlSource

PAGE = (Path(__file__).parents[3] / "docs" / "datasets.md").read_text(encoding="utf-8")
SECTIONS = ("features", "split", "schedule", "checks")


def keys() -> list[str]:
    """Every key that a spec file may have."""
    fields = {field.name: field.type for field in msgspec.structs.fields(SpecFile)}
    structs: list[type[msgspec.Struct]] = [
        SpecFile,
        FamilySpec,
        GateSpec,
        SeabornSource,
        CsvSource,
        ParquetSource,
        SqlSource,
    ]
    structs += [fields[name] for name in SECTIONS]
    return sorted({field.encode_name for struct in structs for field in msgspec.structs.fields(struct)})


@pytest.mark.parametrize("key", keys())
def test_every_key_is_explained(key: str) -> None:
    """A key that a spec may have stands on the page."""
    assert f"`{key}`" in PAGE or f"[{key}" in PAGE
