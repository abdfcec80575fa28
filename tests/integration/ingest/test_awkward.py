"""Tables as people have them: each is loaded and encoded as it is meant, or rejected with a reason that helps."""

import pytest

from common.datasets import load_spec
from common.events.model import DatasetIngested, DatasetPreprocessed, DatasetRejected
from tests.desk import Desk

SPEC = """
target = "t"
task = "classification"
[source]
kind = "csv"
path = "x.csv"
[families.tree]
estimator = "sklearn.tree.DecisionTreeClassifier"
"""
NAMES = "x,c,t"


def table(header: str = NAMES, row: str = "{x},{c},{t}", *, end: str = "\n") -> str:
    """A header, and forty rows of a number, a letter and a class."""
    rows = [row.format(x=f"{at * 7 % 23}.5", c="abc"[at % 3], t="uv"[at % 2], at=at) for at in range(40)]
    return end.join([header, *rows, ""])


GOOD = {
    "spaces and accents": (table("my size (m²),Ärger,t"), ("my size (m²)",), ("Ärger",)),
    "names of ours": (table("id,model,t"), ("id",), ("model",)),
    "words of SQL": (table("select,Table,t"), ("select",), ("Table",)),
    "sixty-three bytes": (table(f"{'x' * 63},c,t"), ("x" * 63,), ("c",)),
    "single quotes": (table("it's,c's,t"), ("it's",), ("c's",)),
    "truth values": (table(row="{x},True,{t}").replace("True", "False", 9), ("x",), ("c",)),
    "dates": (table(row="{x},2024-01-0{c},{t}"), ("x",), ("c",)),
    "a constant": (table("x,c,t,k", "{x},{c},{t},7"), ("x",), ("c",)),
    "line ends of Windows": (table(end="\r\n"), ("x",), ("c",)),
    "quotes with line breaks": (table(row='{x},"{c}\n""so"", he said",{t}'), ("x",), ("c",)),
    "a byte-order mark": ("\ufeff" + table(), ("x",), ("c",)),
    "blanks around numbers": (table(row=" {x} ,{c},{t}"), ("x",), ("c",)),
    "an index of pandas": (table(",x,c,t", "{at},{x},{c},{t}"), ("x",), ("c",)),
    "a decimal comma": (table(row='"1,{at}",{c},{t}'), (), ("c",)),
    "a quote in a name": (table('"5"" disk",c,t'), (), ("c",)),
}


@pytest.mark.parametrize(("content", "numeric", "categorical"), GOOD.values(), ids=GOOD)
async def test_an_awkward_table_is_read_as_it_is_meant(
    desk: Desk, content: str, numeric: tuple[str, ...], categorical: tuple[str, ...]
) -> None:
    """The features are found, and all rows loaded and encoded under the names that the file has."""
    desk.spec("x", SPEC)
    desk.data("x.csv", content)
    ingested = await desk.ingest("x")
    assert isinstance(ingested, DatasetIngested), ingested
    assert ingested.data.rows == 40
    spec = load_spec(desk.settings.datasets_dir / "x.toml")
    assert (spec.numeric, spec.categorical) == (numeric, categorical)
    preprocessed = await desk.preprocess(ingested)
    assert isinstance(preprocessed, DatasetPreprocessed), preprocessed
    assert preprocessed.data.rows_kept == 40


NAMED = SPEC + '[features]\nnumeric = ["x"]\ncategorical = ["c"]\n'
WRONG: dict[str, tuple[str, str | bytes, str]] = {
    "empty": (SPEC, "", "x.csv has no header"),
    "a header alone": (SPEC, NAMES + "\n", "x.csv has no row"),
    "three rows of a class": (SPEC, table() + "1.5,a,rare\n" * 3, "fewer than 4 rows, too few for 3 folds: 'rare' 3"),
    "a name twice": (NAMED, table("x,x,c,t", "{x},{x},{c},{t}"), "column x is there twice in x.csv"),
    "two columns, one name": (SPEC, table("x,x,t"), "no column is left that could be a feature (x: several columns"),
    "Latin-1": (SPEC, table(row="{x},é{c},{t}").encode("latin-1"), "it is no UTF-8 (invalid continuation byte)"),
    "UTF-16": (SPEC, table().encode("utf-16"), "save it as UTF-8"),
    "a decimal comma": (NAMED, table(row='"1,{at}",{c},{t}'), "write numbers without commas, such as 1234.5"),
    "semicolons": (
        SPEC,
        table().replace(",", ";"),
        "has one column, 'x;c;t'; if ';' is between columns, set delimiter",
    ),
    "blanks in the header": (SPEC, table("x, c, t"), "there is no column 't'; there are x, ' c', ' t'"),
    "text for numbers": (NAMED, table(row="{c},{c},{t}"), "column x is to be numeric, but holds 'a' in row 1"),
    "an empty column": (NAMED, table(row="{x},,{t}"), "there is no row without missing values among 40"),
    "numbers as classes": (SPEC, table(row="{x},{c},{at}.25"), "is it a regression?"),
    "fields too many": (SPEC, table(row="{x},{c},{t},{t}"), "row 1 has 4 fields, the header 3"),
}


@pytest.mark.parametrize(("spec", "content", "reason"), WRONG.values(), ids=WRONG)
async def test_what_cannot_be_meant_is_rejected(desk: Desk, spec: str, content: str | bytes, reason: str) -> None:
    """The reason says what is wrong in words that help to mend it."""
    desk.spec("x", spec)
    desk.data("x.csv", content)
    answer = await desk.ingest("x")
    assert isinstance(answer, DatasetRejected), answer
    assert reason in answer.data.reason
