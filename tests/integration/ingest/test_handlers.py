"""From `ingest.requested` to a snapshot, or to word that nothing changed or fits, on a real PostgreSQL."""

import asyncio
import csv
import gzip
import io
import os
import sqlite3
import time
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from sqlalchemy import text

from common.datasets import DatasetSpec
from common.errors import SourceUnavailableError, UnknownDatasetError
from common.events.model import DatasetIngested, DatasetPreprocessed, DatasetUnchanged
from common.settings import Settings
from common.snapshots import Snapshot
from services.ingest.handlers import HANDLERS, handlers
from services.ingest.knowledge import reading_lock
from services.ingest.sources import open_batches
from tests.desk import Desk
from tests.specs import HOUSES, PENGUINS, PENGUINS_CSV, SMALLEST

INGESTING = "services.ingest.handlers"
HEAD, *LINES = PENGUINS_CSV.splitlines(keepends=True)


async def snapshots(desk: Desk) -> list[tuple[object, ...]]:
    """Number and state of every snapshot's row."""
    return await desk.rows("SELECT number, state FROM rookery.snapshots ORDER BY number")


async def tables(desk: Desk) -> list[object]:
    """The snapshots' tables that exist."""
    found = await desk.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'snapshots' ORDER BY 1")
    return [name for (name,) in found]


async def test_the_penguins_become_a_table(desk: Desk) -> None:
    """The first ingest loads all 344 rows as seaborn reads them, and shows them under the data set's name."""
    desk.penguins()
    answer = await desk.ingest()
    assert isinstance(answer, DatasetIngested)
    assert (answer.data.snapshot, answer.data.rows) == (1, 344)
    assert await desk.rows("SELECT sex, count(*) FROM penguins GROUP BY 1 ORDER BY 1") == [
        ("Female", 165),
        ("Male", 168),
        (None, 11),
    ]
    assert await desk.rows("SELECT * FROM penguins LIMIT 1") == [
        ("Adelie", "Torgersen", 39.1, 18.7, 181.0, 3750.0, "Male")
    ]


async def test_an_unchanged_source_stops_the_chain(desk: Desk) -> None:
    """The same file again gives no snapshot and no second table."""
    desk.penguins()
    first = await desk.ingest()
    again = await desk.ingest()
    assert isinstance(first, DatasetIngested)
    assert isinstance(again, DatasetUnchanged)
    assert again.data.digest == first.data.digest
    assert await snapshots(desk) == [(1, "ready")]


async def test_an_unchanged_file_is_not_read_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Size, mtime and inode as they were are enough to know."""
    desk.penguins()
    await desk.ingest()
    monkeypatch.delattr(f"{INGESTING}.open_batches")
    assert isinstance(await desk.ingest(), DatasetUnchanged)


async def test_a_touched_file_is_read_once_and_then_known(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same content under another date is unchanged, and the new date is remembered."""
    desk.penguins()
    await desk.ingest()
    os.utime(desk.settings.data_dir / "penguins.csv", (1_650_000_000, 1_650_000_000))
    assert isinstance(await desk.ingest(), DatasetUnchanged)
    assert (await snapshots(desk), await tables(desk)) == ([(1, "ready")], ["penguins_1"])
    monkeypatch.delattr(f"{INGESTING}.open_batches")
    assert isinstance(await desk.ingest(), DatasetUnchanged)


async def test_force_takes_the_last_snapshot_through_the_chain_again(desk: Desk) -> None:
    """Unchanged data that are forced keep their number, and nothing is loaded twice."""
    desk.penguins()
    await desk.ingest()
    again = await desk.ingest(force=True)
    assert isinstance(again, DatasetIngested)
    assert (again.data.snapshot, again.data.rows) == (1, 344)
    assert await tables(desk) == ["penguins_1"]


async def test_changed_rows_are_a_new_snapshot(desk: Desk) -> None:
    """More rows lead to the next number, shown at once, and what waits about older snapshots is superseded."""
    desk.penguins()
    first = await desk.ingest()
    desk.data("penguins.csv", PENGUINS_CSV + LINES[0])
    second = await desk.ingest()
    assert isinstance(second, DatasetIngested)
    assert (second.data.snapshot, second.data.rows) == (2, 345)
    assert await desk.value("SELECT count(*) FROM penguins") == 345
    assert await desk.value("SELECT result FROM rookery.events WHERE id = :id", id=first.id) == "superseded"


async def test_another_order_of_rows_is_another_content(desk: Desk) -> None:
    """A split follows the order of the rows, so the digest does too."""
    desk.penguins()
    await desk.ingest()
    desk.data("penguins.csv", HEAD + "".join(reversed(LINES)))
    assert isinstance(await desk.ingest(), DatasetIngested)


@pytest.mark.parametrize(
    ("old", "new", "loaded"),
    [("[50, 100]", "[50]", True), ("interval_s = 30 ", "interval_s = 31 ", False), ("# The", "# the", False)],
)
async def test_a_changed_spec_is_a_new_snapshot_where_it_matters(desk: Desk, old: str, new: str, loaded: bool) -> None:
    """A grid leads to a training; a schedule or a comment does not."""
    desk.penguins()
    await desk.ingest()
    assert old in PENGUINS
    desk.spec("penguins", PENGUINS.replace(old, new))
    assert isinstance(await desk.ingest(), DatasetIngested) == loaded


async def test_a_snapshot_that_was_tampered_with_is_loaded_anew(desk: Desk) -> None:
    """A table that somebody dropped, or emptied behind the trigger, is no reason to stop the chain."""
    desk.penguins()
    await desk.ingest()
    await desk.run("DROP TABLE snapshots.penguins_1")
    await desk.ingest()
    assert await snapshots(desk) == [(1, "ready"), (2, "ready")]
    await desk.run("ALTER TABLE snapshots.penguins_2 DISABLE TRIGGER ALL")
    await desk.run("DELETE FROM snapshots.penguins_2 WHERE island = 'Dream'")
    assert isinstance(await desk.ingest(), DatasetIngested)
    assert await desk.value("SELECT count(*) FROM penguins") == 344


async def test_another_library_leads_to_a_training(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot made under another minor version of a library counts as changed."""
    desk.penguins()
    await desk.ingest()
    monkeypatch.setattr("services.ingest.knowledge.library_versions", lambda: {"scikit-learn": "9.9"})
    assert isinstance(await desk.ingest(), DatasetIngested)


async def test_what_is_missing_downstream_lets_the_chain_go_on(desk: Desk) -> None:
    """Unchanged data are announced again where a live version is missing, but not while that is being made."""

    async def missing(_engine: object, _settings: Settings, spec: DatasetSpec, snapshot: Snapshot) -> str | None:
        return f"{spec.name} {snapshot.number} has no live version"

    desk.penguins()
    first = await desk.ingest()
    assert isinstance(await desk.ingest(handlers=handlers(missing)), DatasetUnchanged)
    await desk.run("UPDATE rookery.events SET handled_at = now()")
    again = await desk.ingest(handlers=handlers(missing))
    assert isinstance(again, DatasetIngested)
    assert isinstance(first, DatasetIngested)
    assert again.data.snapshot == first.data.snapshot


async def test_a_file_that_is_being_written_is_waited_for(desk: Desk) -> None:
    """A file written a moment ago is read two seconds after the last write, and no half of it before."""
    desk.spec("houses", HOUSES)
    path = desk.data("houses.csv", "price,rooms,town\n" + "1,2,A\n2,3,B\n" * 10, still=False)
    began = time.monotonic()
    ingest = asyncio.ensure_future(desk.ingest("houses"))
    await asyncio.sleep(0.5)
    with path.open("a") as file:
        file.write("3,4,B\n")
    answer = await ingest
    assert isinstance(answer, DatasetIngested)
    assert answer.data.rows == 21
    assert time.monotonic() - began > 2


async def test_a_file_that_changes_while_it_is_read_is_no_snapshot(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The schedule leaves it to its next look; a person's request is tried again."""
    desk.penguins()
    moments = iter((1.5e9, 1.6e9))

    def changing(spec: DatasetSpec, data_dir: Path) -> Generator[pa.RecordBatch]:
        yield from open_batches(spec, data_dir)
        moment = next(moments)
        os.utime(data_dir / "penguins.csv", (moment, moment))

    monkeypatch.setattr(f"{INGESTING}.open_batches", changing)
    assert isinstance(await desk.ingest(), DatasetUnchanged)
    assert (await snapshots(desk), await tables(desk)) == ([], [])
    with pytest.raises(SourceUnavailableError, match="changed while it was read"):
        await desk.ingest(urgent=True)


async def test_two_ingests_of_one_data_set_read_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one reads, the schedule's leaves it at that, and a person's waits and finds what was loaded."""
    desk.penguins()
    async with reading_lock(desk.engine, "penguins", patience_s=0) as held:
        assert held is not None
        assert isinstance(await desk.ingest(), DatasetUnchanged)
        waiting = asyncio.ensure_future(desk.ingest(urgent=True))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        monkeypatch.setattr(f"{INGESTING}.PATIENCE_S", 0.0)
        with pytest.raises(SourceUnavailableError, match="under way"):
            await desk.ingest(urgent=True)
    assert isinstance(await waiting, DatasetIngested)


async def test_many_ingests_at_once_make_one_snapshot(desk: Desk) -> None:
    """However many events ask at the same time, the content is announced once."""
    desk.penguins()
    answers = await asyncio.gather(*(desk.ingest() for _ in range(3)))
    assert sum(isinstance(answer, DatasetIngested) for answer in answers) == 1
    assert await snapshots(desk) == [(1, "ready")]


async def test_a_retry_adopts_the_number_that_was_reserved(desk: Desk) -> None:
    """An attempt that died between the load and the commit is repeated into the same snapshot."""
    desk.penguins()
    event = await desk.ask("penguins")
    claim = await desk.claim(event)
    async with desk.engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO rookery.snapshots (dataset, number, state, event_id)"
                " VALUES ('penguins', 1, 'loading', :id)"
            ),
            {"id": claim.event.id},
        )
    await desk.run("CREATE TABLE snapshots.penguins_1 (half int)")
    (answer,) = await desk.handle(event, HANDLERS)
    assert isinstance(answer, DatasetIngested)
    assert answer.data.snapshot == 1
    assert await desk.value("SELECT count(*) FROM penguins") == 344


async def test_an_unknown_data_set_fails_for_good(desk: Desk) -> None:
    """An event about a data set without a spec ends with a sentence that says so."""
    with pytest.raises(UnknownDatasetError, match="there is no data set 'ghosts'"):
        await desk.ingest("ghosts")


async def test_the_digest_is_of_the_content_alone(desk: Desk) -> None:
    """The same rows have the same digest as CSV, quoted, compressed, or as Parquet."""
    plain = HEAD + "".join(LINES)
    quoted = '"species"' + plain.removeprefix("species").replace("Torgersen", '"Torgersen"').replace("\n", "\r\n")
    digests = set()
    table = pacsv.read_csv(
        io.BytesIO(plain.encode()), convert_options=pacsv.ConvertOptions(strings_can_be_null=True, null_values=[""])
    )
    parquet = io.BytesIO()
    pq.write_table(table, parquet)
    for name, content in (
        ("a.csv", plain.encode()),
        ("b.csv", quoted.encode()),
        ("c.csv.gz", gzip.compress(plain.encode())),
        ("d.parquet", parquet.getvalue()),
    ):
        kind = "parquet" if name.endswith("parquet") else "csv"
        source = f'"{kind}"\npath = "{name}"'
        spec = PENGUINS.replace('"seaborn"', source).replace('name = "penguins"', "")
        desk.spec(name[0], spec.replace("default = true", "default = false"))
        desk.data(name, content)
        answer = await desk.ingest(name[0])
        assert isinstance(answer, DatasetIngested)
        digests.add(answer.data.digest)
    assert len(digests) == 1


async def test_features_that_the_spec_leaves_open_are_found(desk: Desk) -> None:
    """A spec without features is completed from the data, loaded and encoded, and says what was found."""
    desk.spec("birds", SMALLEST.replace("houses", "birds").replace('"price"', '"body_mass_g"'))
    desk.data("birds.csv", PENGUINS_CSV)
    ingested = await desk.ingest("birds")
    assert isinstance(ingested, DatasetIngested)
    assert isinstance(await desk.preprocess(ingested), DatasetPreprocessed)
    spec = (desk.settings.datasets_dir / "birds.toml").read_text()
    assert 'categorical = ["species", "island", "sex"]' in spec
    assert isinstance(await desk.ingest("birds"), DatasetUnchanged)


@pytest.mark.parametrize("kind", ["parquet", "sql"])
async def test_features_are_found_in_every_kind_of_source(desk: Desk, kind: str) -> None:
    """A Parquet file and a query are completed and loaded like a CSV file."""
    if kind == "parquet":
        table = pacsv.read_csv(io.BytesIO(PENGUINS_CSV.encode()))
        pq.write_table(table, desk.settings.data_dir / "birds.parquet")
        os.utime(desk.settings.data_dir / "birds.parquet", (1_700_000_000, 1_700_000_000))
        source = 'kind = "parquet"\npath = "birds.parquet"'
    else:
        fill(desk.settings.data_dir / "birds.db")
        source = 'kind = "sql"\nurl = "sqlite:///birds.db"\nquery = "SELECT * FROM birds"'
    spec = SMALLEST.replace('kind = "csv"\npath = "houses.csv"', source).replace('"price"', '"body_mass_g"')
    desk.spec("birds", spec)
    ingested = await desk.ingest("birds")
    assert isinstance(ingested, DatasetIngested)
    assert ingested.data.rows == 344
    assert 'categorical = ["species", "island", "sex"]' in (desk.settings.datasets_dir / "birds.toml").read_text()
    assert isinstance(await desk.ingest("birds"), DatasetUnchanged)


def fill(path: Path) -> None:
    """Makes a SQLite database with the penguins in a table."""
    header, *rows = csv.reader(io.StringIO(PENGUINS_CSV))
    with closing(sqlite3.connect(path)) as database:
        numbers = {name: "REAL" if name.endswith(("_mm", "_g")) else "TEXT" for name in header}
        database.execute(f"CREATE TABLE birds ({', '.join(f'{name} {kind}' for name, kind in numbers.items())})")
        marks = ", ".join("?" * len(header))
        database.executemany(f"INSERT INTO birds VALUES ({marks})", [[cell or None for cell in row] for row in rows])
        database.commit()


async def test_a_source_that_is_away_is_tried_again(desk: Desk) -> None:
    """A database that does not answer fails the attempt, so that the event comes back."""
    source = 'kind = "sql"\nquery = "SELECT 1"\nurl = "postgresql+psycopg://127.0.0.1:9/theirs"'
    desk.spec("houses", HOUSES.replace('kind = "csv"\npath = "houses.csv"', source))
    with pytest.raises(SourceUnavailableError, match="does not answer"):
        await desk.ingest("houses")
