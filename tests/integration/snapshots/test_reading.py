"""Rows of a snapshot as numpy columns, against what was put in."""

import numpy as np
import pytest

from common.errors import NotFoundError
from common.snapshots import read_columns, read_encoded, snapshot_features, stream_columns
from tests.desk import Desk
from tests.specs import HOUSES

COUNT = 30_000


async def many_houses(desk: Desk) -> None:
    """Many rows of very different lengths, some with gaps: the order in the file is easily disturbed."""
    rng = np.random.default_rng(7)
    towns = [f"town {at} " + "x" * int(length) for at, length in enumerate(rng.integers(1, 200, 20))]
    lines = (f"{at},{at % 9},{towns[at % 20] if at % 7 else ''}" for at in range(COUNT))
    desk.spec("houses", HOUSES)
    desk.data("houses.csv", "price,rooms,town\n" + "\n".join(lines) + "\n")
    await desk.preprocess(await desk.ingest("houses"))


async def test_rows_come_in_the_order_of_the_source(desk: Desk) -> None:
    """Kept rows are read in the order in which they stood in the file, and the encoded ones in the same."""
    await many_houses(desk)
    expected = [at for at in range(COUNT) if at % 7]
    columns = await read_columns(desk.engine, "houses", 1)
    assert columns["price"].tolist() == expected
    assert columns["rooms"].tolist() == [at % 9 for at in expected]
    assert all(town.startswith(f"town {at % 20} ") for town, at in zip(columns["town"], expected, strict=True))
    encoded = await read_encoded(desk.engine, "houses", 1)
    assert encoded[:, 1].tolist() == expected
    assert encoded[:, 2:].sum(axis=1).tolist() == [1.0] * len(expected)


async def test_chosen_rows_are_those_positions(desk: Desk) -> None:
    """A sample by position gives exactly these rows, and no more memory than they need."""
    await many_houses(desk)
    every = await read_columns(desk.engine, "houses", 1)
    chosen = np.sort(np.random.default_rng(1).choice(len(every["price"]), 500, replace=False))
    some = await read_columns(desk.engine, "houses", 1, chosen=chosen)
    assert some["price"].tolist() == every["price"][chosen].tolist()
    assert some["town"].tolist() == every["town"][chosen].tolist()


@pytest.mark.parametrize("rows", [1_000, 25_714, 100_000])
async def test_parts_join_to_the_whole(desk: Desk, rows: int) -> None:
    """Parts have at most the rows asked for and are the whole when joined."""
    await many_houses(desk)
    parts = [part async for part in stream_columns(desk.engine, "houses", 1, rows=rows)]
    assert max(len(part["price"]) for part in parts) <= rows
    assert np.concatenate([part["price"] for part in parts]).tolist() == [at for at in range(COUNT) if at % 7]


async def test_leaving_early_ends_the_query(desk: Desk) -> None:
    """A reader that stops after one part leaves no connection at work."""
    await many_houses(desk)
    parts = stream_columns(desk.engine, "houses", 1, rows=100)
    first = await anext(parts)
    await parts.aclose()
    assert len(first["price"]) == 100
    busy = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND datname = current_database()"
    assert await desk.value(f"{busy} AND query LIKE 'COPY%'") == 0


async def test_a_snapshot_that_is_gone_says_so(desk: Desk) -> None:
    """One that is dropped, was never there or is not preprocessed is told, not read."""
    desk.penguins()
    await desk.ingest()
    with pytest.raises(NotFoundError, match="not preprocessed"):
        await snapshot_features(desk.engine, "penguins", 1)
    with pytest.raises(NotFoundError, match="is gone"):
        await read_columns(desk.engine, "penguins", 2)
