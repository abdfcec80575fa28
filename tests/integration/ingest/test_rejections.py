"""What ingest rejects: sources that do not fit their spec, with a reason and the rows to blame."""

import pytest

from common.events.model import DatasetIngested, DatasetRejected, Event
from tests.desk import Desk
from tests.integration.ingest.test_handlers import HEAD, INGESTING, LINES, snapshots, tables
from tests.specs import PENGUINS, PENGUINS_CSV, SMALLEST


def reason(answer: Event) -> str:
    """Why a data set was rejected."""
    assert isinstance(answer, DatasetRejected), answer
    return answer.data.reason


async def test_a_wrong_number_is_rejected_with_its_rows(desk: Desk) -> None:
    """The reason names column, value and row, the rows are kept, and the old table stays."""
    desk.spec("penguins", PENGUINS.replace('"seaborn"', '"csv"').replace('name = "penguins"', 'path = "penguins.csv"'))
    desk.data("penguins.csv", PENGUINS_CSV)
    await desk.ingest()
    wrong = [*LINES[:20], LINES[20].replace(",3", ",heavy"), *LINES[21:]]
    desk.data("penguins.csv", HEAD + "".join(wrong))
    answer = await desk.ingest()
    assert "heavy" in reason(answer)
    assert "row 21" in reason(answer)
    ((row,),) = await desk.rows("SELECT rows FROM rookery.rejections WHERE reason = :reason", reason=reason(answer))
    assert row[0]["row"] == 21
    assert await desk.value("SELECT count(*) FROM penguins") == 344
    assert (await snapshots(desk), await tables(desk)) == ([(1, "ready")], ["penguins_1"])


async def test_a_rejected_source_is_read_again_only_when_it_changed_or_somebody_asks(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The schedule repeats the reason without reading; a person's request reads."""
    desk.spec("penguins", PENGUINS)
    desk.data("penguins.csv", HEAD + "".join(LINES[:100]))
    first = reason(await desk.ingest())
    assert "one class only: 'Adelie'" in first
    with monkeypatch.context() as patch:
        patch.delattr(f"{INGESTING}.open_batches")
        assert reason(await desk.ingest()) == first
    assert reason(await desk.ingest(urgent=True)) == first
    desk.data("penguins.csv", PENGUINS_CSV)
    assert isinstance(await desk.ingest(), DatasetIngested)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (HEAD.replace("sex", "gender") + "".join(LINES), "seaborn cannot read penguins.csv: KeyError('sex')"),
        (HEAD + "".join(LINES[:155]), "classes with fewer than 4 rows without missing values"),
        (HEAD + "".join(LINES[:1] + LINES[160:163] * 2), "'Adelie' 1"),
        (
            HEAD.replace("island", "place") + "".join(LINES),
            "column island missing in the source; it has species, place",
        ),
        (HEAD, "there is no row in penguins.csv"),
        ("", "cannot read penguins.csv"),
    ],
)
async def test_what_cannot_be_trained_on_is_rejected(desk: Desk, content: str, expected: str) -> None:
    """A missing column, a missing class, too few rows for the folds, or none at all are told."""
    desk.penguins()
    desk.data("penguins.csv", content)
    assert expected in reason(await desk.ingest())
    assert (await snapshots(desk), await tables(desk)) == ([], [])


async def test_a_table_that_shrank_is_rejected(desk: Desk) -> None:
    """Less than the share that the spec allows is told with both figures; the spec can allow it."""
    desk.penguins()
    await desk.ingest()
    desk.data("penguins.csv", HEAD + "".join(LINES[::3]))
    assert "shrank from 344 rows to 115" in reason(await desk.ingest())
    desk.spec("penguins", PENGUINS.replace("max_shrink = 0.5", "max_shrink = 0.9"))
    assert isinstance(await desk.ingest(), DatasetIngested)


async def test_a_category_that_the_spec_does_not_know_is_rejected(desk: Desk) -> None:
    """Where the spec lists a column's levels, another value is told with its row."""
    levels = '[features.levels]\nisland = ["Biscoe", "Dream"]\n'
    desk.spec("penguins", PENGUINS.replace("[split]", levels + "[split]"))
    desk.data("penguins.csv", PENGUINS_CSV)
    assert "column island has 'Torgersen' in row 1" in reason(await desk.ingest())


async def test_what_cannot_be_completed_is_rejected(desk: Desk) -> None:
    """A source without features, without a file or with a wrong URL is a rejection with its reason, not a failure."""
    desk.spec("houses", SMALLEST)
    assert "there is no file 'houses.csv'" in reason(await desk.ingest("houses"))
    desk.data("houses.csv", "price,note\n" + "".join(f"{at},text {at}\n" for at in range(50)))
    expected = "no column is left that could be a feature (note: hardly a value repeats: an identifier or a text)"
    assert reason(await desk.ingest("houses")) == expected
    assert reason(await desk.ingest("houses")) == expected
    source = 'kind = "sql"\nquery = "SELECT 1"\nurl = "nonsense"'
    desk.spec("houses", SMALLEST.replace('kind = "csv"\npath = "houses.csv"', source))
    assert "cannot be used" in reason(await desk.ingest("houses"))
