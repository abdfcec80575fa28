"""Data sets over REST: columns, snapshots, rejections, the schedule."""

from tests.desk import Desk
from tests.integration.console.conftest import Console
from tests.specs import PENGUINS_CSV

DATASET = "/api/datasets/penguins"


async def test_a_data_set_that_has_nothing_yet(console: Console) -> None:
    """A data set is listed with its spec before anything was read; an unknown one is not found."""
    (line,) = await console.get("/api/datasets")
    assert (line["name"], line["target"], line["default"], line["error"]) == ("penguins", "species", True, "")
    detail = await console.get(DATASET)
    assert (detail["snapshots"], detail["tables"], detail["rejection"]) == ([], [], None)
    assert 'target = "species"' in detail["spec"]
    assert "known are penguins" in (await console.get("/api/datasets/wine", 404))["detail"]
    await console.get(f"{DATASET}/snapshots/1", 404)


async def test_a_spec_that_is_wrong_is_listed_with_its_error(console: Console) -> None:
    """A spec that cannot be read is listed with what is wrong; asking for a run of it is refused with the same."""
    (console.parts.settings.datasets_dir / "wine.toml").write_text("target = 7\n")
    lines = {line["name"]: line for line in await console.get("/api/datasets")}
    assert "target" in lines["wine"]["error"]
    assert lines["penguins"]["error"] == ""
    await console.post("/api/runs", {"dataset": "wine"}, 409)


async def test_a_snapshot_with_its_columns(console: Console, desk: Desk) -> None:
    """A snapshot's columns have their kind, nulls, range and a distribution that counts every row once."""
    await desk.preprocess(await desk.ingest())
    detail = await console.get(DATASET)
    (snapshot,) = detail["snapshots"]
    assert (snapshot["number"], snapshot["rows"], snapshot["rows_kept"], snapshot["in_use"]) == (1, 344, 333, True)
    assert sorted(table["name"] for table in detail["tables"]) == ["penguins", "penguins_preprocessed"]
    shown = await console.get(f"{DATASET}/snapshots/1")
    columns = {column["name"]: column for column in shown["columns"]["columns"]}
    bill = columns["bill_length_mm"]
    assert (bill["nulls"], bill["lowest"], bill["highest"]) == (2, 32.1, 59.6)
    assert sum(bill["bins"]) == 342
    assert dict(columns["species"]["levels"]) == {"Adelie": 152, "Gentoo": 124, "Chinstrap": 68}
    assert shown["columns"]["sampled"] == 1.0


async def test_a_dropped_snapshot_has_no_columns(console: Console, desk: Desk) -> None:
    """A snapshot whose table is dropped is still shown, without columns."""
    await desk.preprocess(await desk.ingest())
    await console.run("UPDATE rookery.snapshots SET state = 'dropped', dropped_at = clock_timestamp()")
    shown = await console.get(f"{DATASET}/snapshots/1")
    assert (shown["snapshot"]["state"], shown["columns"]) == ("dropped", None)


async def test_a_rejection_with_the_rows(console: Console, desk: Desk) -> None:
    """A refused snapshot is shown with its reason and offending rows, beside the snapshot that stays in use."""
    await desk.preprocess(await desk.ingest())
    desk.data("penguins.csv", PENGUINS_CSV.replace("39.1", "1e999"))
    await desk.ingest()
    detail = await console.get(DATASET)
    assert "bill_length_mm" in detail["rejection"]["reason"]
    assert detail["rejection"]["in_use"] == 1
    assert detail["rejection"]["rows"][0]["value"] == "inf"
    assert len(detail["rejections"]) == 1
    items = (await console.get("/api/overview"))["attention"]
    assert [item["kind"] for item in items] == ["rejected"]
    (console.parts.settings.datasets_dir / "penguins.toml").unlink()
    assert (await console.get("/api/overview"))["attention"] == []


async def test_pausing_and_resuming(console: Console) -> None:
    """A paused data set says who paused it and why; pausing or resuming twice is a conflict."""
    headers = {"X-Rookery-Actor": "ada"}
    line = await console.post(f"{DATASET}/pause", {"reason": "new columns"}, headers=headers)
    assert (line["paused"], line["paused_by"], line["paused_reason"]) == (True, "ada", "new columns")
    await console.post(f"{DATASET}/pause", status=409)
    assert (await console.post(f"{DATASET}/resume"))["paused"] is False
    await console.post(f"{DATASET}/resume", status=409)
    await console.post("/api/datasets/wine/pause", status=404)
    await console.post("/api/datasets/wine/resume", status=404)


async def test_a_rejection_without_rows(console: Console, desk: Desk) -> None:
    """A snapshot that is refused as a whole is shown with its reason, and no rows."""
    desk.data("penguins.csv", PENGUINS_CSV.replace("island", "isle", 1))
    await desk.ingest()
    rejection = (await console.get(DATASET))["rejection"]
    assert "column island missing" in rejection["reason"]
    assert (rejection["rows"], rejection["in_use"]) == ([], None)


async def test_a_rejection_is_over_when_the_source_is_as_before(console: Console, desk: Desk) -> None:
    """A source that holds again what was loaded last waits for nobody; one that turns wrong again does."""
    await desk.preprocess(await desk.ingest())
    wrong = PENGUINS_CSV.replace("39.1", "1e999")
    for content, rejected in ((wrong, True), (PENGUINS_CSV, False), (wrong, True)):
        desk.data("penguins.csv", content)
        await desk.ingest()
        assert ((await console.get(DATASET))["rejection"] is not None) is rejected
    assert len((await console.get(DATASET))["rejections"]) == 2
