"""CSV and NDJSON in and out, by content negotiation."""

import asyncio
import csv
import io
import json
from typing import Any

import pytest

from tests.bundles import CLASSES, Trained, records
from tests.integration.inference.conftest import Api
from tests.integration.inference.test_predict import PENGUIN

CSV = {"Content-Type": "text/csv"}
NDJSON = {"Content-Type": "application/x-ndjson"}


async def test_csv_in_csv_out(api: Api, trained: dict[str, Trained]) -> None:
    """A table comes back with its columns and the answers added, row by row."""
    fitted = trained["random_forest"]
    table = fitted.frame.to_csv(index=False)
    async with api.client.post("/predict", data=table, headers=CSV) as response:
        assert (response.status, response.content_type) == (200, "text/csv")
        assert response.headers["X-Model-Version"] == "1"
        rows = list(csv.DictReader(io.StringIO(await response.text())))
    assert [row["prediction"] for row in rows] == fitted.labels
    assert [row["species"] for row in rows] == fitted.frame["species"].tolist()
    for row, expected in zip(rows, fitted.probabilities, strict=True):
        assert [float(row[f"probability_{name}"]) for name in CLASSES] == pytest.approx(expected, abs=1e-9)


async def test_the_form_that_is_asked_for(api: Api, trained: dict[str, Trained]) -> None:
    """Accept decides between CSV and JSON, whichever came in; what cannot be given is 406."""
    table = trained["svc"].frame[:2].to_csv(index=False)
    status, answer = await api.post("/predict", data=table, headers={**CSV, "Accept": "application/json"})
    assert (status, len(answer["predictions"])) == (200, 2)
    async with api.client.post("/predict", json={"records": [PENGUIN]}, headers={"Accept": "text/csv"}) as response:
        assert (await response.text()).splitlines()[0] == "prediction," + ",".join(f"probability_{n}" for n in CLASSES)
    async with api.client.post("/predict", data=table, headers={**CSV, "Accept": "image/png"}) as response:
        assert response.status == 406


@pytest.mark.parametrize(
    ("table", "status", "where"),
    [
        ("", 422, {"field": "records"}),
        ("bill_length_mm\n", 422, {"field": "bill_depth_mm"}),
        ("a,a\n1,2\n", 422, {"field": "a"}),
        ("{header}\n", 422, {"field": "records"}),
        ("{header}\n39.1,18.7,181,3750,Biscoe\n", 422, {"record": 0}),
        ("{header}\n39.1,18.7,181,3750,Biscoe,MALE\nx,18.7,181,3750,Biscoe,MALE\n", 422, {"record": 1}),
        ("{header}\nnan,18.7,181,3750,Biscoe,MALE\n", 422, {"field": "bill_length_mm"}),
        ("{header}\n1_0,18.7,181,3750,Biscoe,MALE\n", 422, {"field": "bill_length_mm"}),
        ("{header}\n,18.7,181,3750,Biscoe,MALE\n", 422, {"field": "bill_length_mm"}),
        ("{header}\n39.1,18.7,181,3750,Atlantis,MALE\n", 422, {"field": "island"}),
        ('{header}\n"39.1,18.7,181,3750,Biscoe,MALE\n', 400, {}),
    ],
)
async def test_tables_that_are_wrong(api: Api, table: str, status: int, where: dict[str, Any]) -> None:
    """A table that cannot be answered gets a 4xx that names record or field."""
    text = table.replace("{header}", ",".join(PENGUIN))
    found, problem = await api.post("/predict", data=text, headers=CSV)
    assert found == status, problem
    assert where.items() <= problem.items()


async def test_ndjson(api: Api, trained: dict[str, Trained]) -> None:
    """A line per record comes back, a bad one with its problem, the others answered."""
    fitted = trained["svc"]
    lines = [json.dumps(record) for record in records(fitted.frame)] * 3
    lines[500] = json.dumps({**PENGUIN, "island": "Atlantis"})
    lines[501] = "{"
    lines[502] = "1,2"
    async with api.client.post("/predict?model=svc", data="\n".join(lines), headers=NDJSON) as response:
        assert response.status == 200
        answers = [json.loads(line) async for line in response.content]
    expected: list[str | None] = list(fitted.labels * 3)
    expected[500:503] = [None] * 3
    assert [answer.get("prediction") for answer in answers] == expected
    assert (answers[500]["record"], answers[500]["field"]) == (500, "island")
    assert [answers[at]["status"] for at in (500, 501, 502)] == [422, 400, 422]


async def test_ndjson_is_answered_while_more_comes(api: Api) -> None:
    """The first line's answer arrives before the last line is sent."""
    more = asyncio.Event()

    async def body() -> Any:
        yield json.dumps(PENGUIN).encode() + b"\n"
        await more.wait()
        yield json.dumps(PENGUIN).encode()

    async with api.client.post("/predict", data=body(), headers=NDJSON) as response:
        first = json.loads(await response.content.readline())
        more.set()
        second = json.loads(await response.content.readline())
    assert first == second
    assert first["prediction"] == "Adelie"
