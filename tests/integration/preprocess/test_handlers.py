"""From a snapshot to its encoded table, on a real PostgreSQL."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from common.errors import NotFoundError
from common.events.model import DatasetIngested, DatasetPreprocessed, DatasetRejected
from common.features import Encoder, Feature, feature_columns, full_columns
from common.snapshots import read_columns, read_encoded, snapshot_features
from services.preprocess.handlers import HANDLERS
from tests.desk import Desk
from tests.specs import HOUSES, PENGUINS

GAPPY = "price,rooms,town\n" + "".join(f"{at},{at % 3},{'ABBB'[at % 4]}\n" for at in range(20)) + "50,,B\n51,2,\n,1,A\n"


async def test_the_penguins_are_encoded_as_promised(desk: Desk) -> None:
    """Of 344 rows 333 are kept, the columns and their order are as documented, and each dropped row counts once."""
    desk.penguins()
    announced = await desk.preprocess(await desk.ingest())
    assert isinstance(announced, DatasetPreprocessed)
    assert announced.data.rows_kept == 333
    assert announced.data.rows_dropped == {
        "sex is missing": 9,
        "bill_length_mm, bill_depth_mm, flipper_length_mm, body_mass_g and sex are missing": 2,
    }
    columns = await desk.rows(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'penguins_preprocessed'"
        " AND table_schema = 'public' ORDER BY ordinal_position"
    )
    assert [name for (name,) in columns] == [
        "bill_length_mm",
        "bill_depth_mm",
        "flipper_length_mm",
        "body_mass_g",
        "species_Adelie",
        "species_Chinstrap",
        "species_Gentoo",
        "island_Biscoe",
        "island_Dream",
        "island_Torgersen",
        "sex_Female",
        "sex_Male",
    ]
    assert await desk.rows('SELECT count(*), sum("sex_Male"), sum("species_Gentoo") FROM penguins_preprocessed') == [
        (333, 168, 119)
    ]
    recorded = await desk.rows(
        "SELECT rows_kept, rows_dropped FROM rookery.snapshots WHERE preprocessed_at IS NOT NULL"
    )
    assert recorded == [(333, announced.data.rows_dropped)]


async def test_sql_and_the_encoder_agree(desk: Desk) -> None:
    """For every kept row, what the database encoded is what `common.features` encodes from the same row."""
    desk.penguins()
    await desk.preprocess(await desk.ingest())
    await _agree(desk, "penguins")


@pytest.mark.parametrize("missing", ["drop", "impute"])
async def test_sql_and_the_encoder_agree_on_awkward_names(desk: Desk, missing: str) -> None:
    """Colons and percent signs in names, quotes and very long levels among values change nothing."""
    levels = ["it's", 'say "hi"', ":colon", "100%", "semi;colon", "x" * 80 + "1", "x" * 80 + "2", "Ä"]
    lines = "".join(
        f'{at},{at * 1.5 if at % 5 else ""},"{levels[at % 8].replace(chr(34), chr(34) * 2)}"\n' for at in range(80)
    )
    desk.spec(
        "houses",
        HOUSES.replace('numeric = ["rooms"]', f'missing = "{missing}"\nnumeric = ["per%cent of :it"]').replace(
            "town", "to'wn"
        ),
    )
    desk.data("houses.csv", "price,per%cent of :it,to'wn\n" + lines)
    announced = await desk.preprocess(await desk.ingest("houses"))
    assert isinstance(announced, DatasetPreprocessed)
    assert announced.data.rows_kept == (80 if missing == "impute" else 64)
    await _agree(desk, "houses")


async def _agree(desk: Desk, dataset: str) -> None:
    features = await snapshot_features(desk.engine, dataset, 1)
    columns = await read_columns(desk.engine, dataset, 1)
    encoded = await read_encoded(desk.engine, dataset, 1)
    names = full_columns(features.encoded)
    for feature in features.encoded:
        if feature.kind == "categorical":
            places = [names.index(f"{feature.name}_{level}") for level in feature.levels]
            whole = np.array(feature.levels, dtype=object)[encoded[:, places].argmax(axis=1)]
            assert whole.tolist() == columns[feature.name].tolist()
            assert (encoded[:, places].sum(axis=1) == 1).all()
    places = [names.index(name) for name in feature_columns(features.features)]
    encoder = Encoder(features.features)
    assert (encoder.encode_columns(columns) == encoded[:, places]).all()
    records = [_record(columns, at, features.features) for at in range(len(encoded))]
    assert (encoder.encode(records) == encoded[:, places]).all()


def _record(columns: Mapping[str, Any], at: int, features: tuple[Feature, ...]) -> dict[str, Any]:
    return {
        feature.name: float(columns[feature.name][at]) if feature.kind == "numeric" else columns[feature.name][at]
        for feature in features
    }


async def test_gaps_are_filled_where_the_spec_says_so(desk: Desk) -> None:
    """Imputing fills numbers with the median and categories with the most frequent; a row without target is dropped."""
    desk.spec("houses", HOUSES.replace("[features]", '[features]\nmissing = "impute"'))
    desk.data("houses.csv", GAPPY)
    announced = await desk.preprocess(await desk.ingest("houses"))
    assert isinstance(announced, DatasetPreprocessed)
    assert (announced.data.rows_kept, announced.data.rows_dropped) == (22, {"price is missing": 1})
    features = await snapshot_features(desk.engine, "houses", 1)
    assert {feature.name: feature.fill for feature in features.features} == {"rooms": 1.0, "town": "B"}
    columns = await read_columns(desk.engine, "houses", 1)
    assert (columns["rooms"][-2], columns["town"][-1]) == (1.0, "B")
    assert await desk.value('SELECT sum("town_B") FROM houses_preprocessed') == 17


async def test_a_regression_keeps_its_target_among_the_numbers(desk: Desk) -> None:
    """The target of a regression is the last of the numeric columns, and rows with gaps are dropped by reason."""
    desk.spec("houses", HOUSES)
    desk.data("houses.csv", GAPPY)
    announced = await desk.preprocess(await desk.ingest("houses"))
    assert isinstance(announced, DatasetPreprocessed)
    assert announced.data.rows_dropped == {"price is missing": 1, "rooms is missing": 1, "town is missing": 1}
    features = await snapshot_features(desk.engine, "houses", 1)
    assert full_columns(features.encoded) == ("rooms", "price", "town_A", "town_B")
    assert (features.target.minimum, features.target.maximum) == (0.0, 19.0)


async def test_a_second_delivery_makes_nothing_twice(desk: Desk) -> None:
    """A snapshot that is encoded already is announced again and its table, which may be read, stays the same one."""
    desk.penguins()
    await desk.preprocess(await desk.ingest())
    before = await desk.value("SELECT 'snapshots.penguins_preprocessed_1'::regclass::oid")
    again = await desk.ingest(force=True)
    assert isinstance(await desk.preprocess(again), DatasetPreprocessed)
    assert await desk.value("SELECT 'snapshots.penguins_preprocessed_1'::regclass::oid") == before


async def test_what_a_crash_left_is_made_again(desk: Desk) -> None:
    """A table whose features were never recorded is replaced."""
    desk.penguins()
    ingested = await desk.ingest()
    await desk.run("CREATE TABLE snapshots.penguins_preprocessed_1 AS SELECT 1 AS half")
    assert isinstance(await desk.preprocess(ingested), DatasetPreprocessed)
    assert await desk.value("SELECT count(*) FROM penguins_preprocessed") == 333


async def test_too_many_levels_are_rejected_with_the_reason(desk: Desk) -> None:
    """An encoded table wider than PostgreSQL allows is refused, and names the column that makes it so."""
    two = HOUSES.replace('categorical = ["town"]', 'categorical = ["town", "street"]')
    desk.spec("houses", two)
    lines = "".join(f"{at},{at % 3},t{at % 400},s{at % 1200}\n" for at in range(2400))
    desk.data("houses.csv", "price,rooms,town,street\n" + lines)
    answer = await desk.preprocess(await desk.ingest("houses"))
    assert isinstance(answer, DatasetRejected)
    assert "1,602 columns" in answer.data.reason
    assert "street alone has 1,200 levels" in answer.data.reason


async def test_a_snapshot_that_a_changed_spec_does_not_fit_is_rejected(desk: Desk) -> None:
    """Between ingest and preprocess the spec came to name another column: the next ingest will load it."""
    desk.penguins()
    ingested = await desk.ingest()
    desk.spec("penguins", PENGUINS.replace('"island", "sex"', '"island", "sex", "year"'))
    answer = await desk.preprocess(ingested)
    assert isinstance(answer, DatasetRejected)
    assert "year" in answer.data.reason


async def test_a_snapshot_that_is_gone_is_an_error(desk: Desk) -> None:
    """An event about a snapshot that was dropped fails for good, and says why."""
    desk.penguins()
    ingested = await desk.ingest()
    assert isinstance(ingested, DatasetIngested)
    await desk.run("UPDATE rookery.snapshots SET state = 'dropped'")
    with pytest.raises(NotFoundError, match="is gone"):
        await desk.handle(ingested, HANDLERS)
