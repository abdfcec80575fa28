"""Records in, answers out: what serving computes is what training computed."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from services.inference.service import SLICE_RECORDS
from tests.bundles import CLASSES, FAMILIES, Trained, records
from tests.integration.inference.conftest import Api

PENGUIN = {
    "bill_length_mm": 39.1,
    "bill_depth_mm": 18.7,
    "flipper_length_mm": 181,
    "body_mass_g": 3750,
    "island": "Biscoe",
    "sex": "male",
}


@pytest.mark.parametrize("family", FAMILIES)
async def test_all_penguins_alone_and_together(api: Api, trained: dict[str, Trained], family: str) -> None:
    """Each record alone, and all as one batch, get the labels and probabilities of the fitted pipeline."""
    fitted = trained[family]
    sent = records(fitted.frame)
    status, together = await api.post(f"/predict?model={family}", {"records": sent})
    assert status == 200
    assert together["predictions"] == fitted.labels
    assert np.abs(np.array(together["probabilities"]) - fitted.probabilities).max() < 1e-9
    alone = [(await api.post(f"/predict?model={family}", {"records": [record]}))[1] for record in sent]
    assert [answer["predictions"][0] for answer in alone] == fitted.labels
    assert np.abs(np.array([answer["probabilities"][0] for answer in alone]) - fitted.probabilities).max() < 1e-9


def test_encoding_per_request_would_be_noticed(trained: dict[str, Trained]) -> None:
    """The way this design rules out, `get_dummies(drop_first=True)` of a single record, gives other labels."""
    fitted = trained["random_forest"]
    wrong = []
    for record in records(fitted.frame):
        encoded = pd.get_dummies(pd.DataFrame([record]), columns=["island", "sex"], drop_first=True)
        row = encoded.reindex(columns=list(fitted.manifest.feature_columns), fill_value=0.0)
        wrong.append(CLASSES[int(fitted.model.predict(row.to_numpy(dtype=float))[0])])
    assert sum(mine != right for mine, right in zip(wrong, fitted.labels, strict=True)) > 5


async def test_a_large_request_is_answered_in_slices(api: Api, trained: dict[str, Trained]) -> None:
    """A body beyond the limit of one slice gets the same answers, in order."""
    fitted = trained["svc"]
    times = math.ceil(3 * SLICE_RECORDS / len(fitted.frame))
    status, answer = await api.post("/predict?model=svc", {"records": records(fitted.frame) * times})
    assert status == 200
    assert answer["predictions"] == fitted.labels * times
    assert answer["classes"] == list(CLASSES)
    assert np.abs(np.array(answer["probabilities"]) - np.tile(fitted.probabilities, (times, 1))).max() < 1e-9


async def test_a_problem_deep_in_a_large_request_is_named(api: Api, trained: dict[str, Trained]) -> None:
    """The record's index counts from the request's first record, in whichever slice it is."""
    many: list[Any] = records(trained["svc"].frame) * 3
    wrong = [*many[:700], {**PENGUIN, "island": "Atlantis"}, *many[700:]]
    status, problem = await api.post("/predict", {"records": wrong})
    assert (status, problem["record"], problem["field"]) == (422, 700, "island")
    assert "record 700" in problem["detail"]
    wrong = [*many[:700], 7, *many[700:]]
    status, problem = await api.post("/predict", {"records": wrong})
    assert (status, problem["record"]) == (422, 700)


@pytest.mark.parametrize("sex", ["male", "Male", "MALE", "mALe"])
async def test_case_does_not_matter(api: Api, sex: str) -> None:
    """A category is understood whatever its case."""
    status, answer = await api.post("/predict", {"records": [{**PENGUIN, "sex": sex}]})
    assert (status, answer["predictions"]) == (200, ["Adelie"])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"bill_length_mm": None}, "bill_length_mm"),
        ({"bill_length_mm": True}, "bill_length_mm"),
        ({"bill_length_mm": "39.1"}, "bill_length_mm"),
        ({"bill_length_mm": [1]}, "bill_length_mm"),
        ({"body_mass_g": 10**40}, "body_mass_g"),
        ({"island": "Atlantis"}, "island"),
        ({"island": 3}, "island"),
        ({"sex": None}, "sex"),
    ],
)
async def test_what_a_field_cannot_hold(api: Api, change: dict[str, Any], field: str) -> None:
    """A value that is no number or no known category is refused with the record and the field."""
    status, problem = await api.post("/predict", {"records": [PENGUIN, {**PENGUIN, **change}]})
    assert status == 422
    assert (problem["record"], problem["field"], problem["status"]) == (1, field, 422)
    assert "record 1" in problem["detail"]


async def test_an_unknown_category_lists_the_known(api: Api) -> None:
    """The refusal of a category says which there are."""
    _, problem = await api.post("/predict", {"records": [{**PENGUIN, "island": "Atlantis"}]})
    assert problem["known"] == ["Biscoe", "Dream", "Torgersen"]


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999"])
async def test_numbers_that_are_none(api: Api, literal: str) -> None:
    """What JSON cannot say, or no float can hold, is refused with the record and the field."""
    body = '{"records": [{"bill_length_mm": %s, "bill_depth_mm": 18.7, "island": "Biscoe"}]}' % literal  # noqa: UP031 - braces
    status, problem = await api.post("/predict", data=body, headers={"Content-Type": "application/json"})
    assert (status, problem["record"], problem["field"]) == (422, 0, "bill_length_mm")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 400),
        ("{", 400),
        ("[" * 20_000, 422),
        ('{"records":' + "[" * 20_000, 422),
        ('{"records": [{"a":' + "[" * 20_000, 400),
        ('{"records": [{"bill_length_mm": ' + "9" * 5_000 + "}]}", 422),
        ("[]", 422),
        ("null", 422),
        ("{}", 422),
        ('{"records": []}', 422),
        ('{"records": {}}', 422),
        ('{"records": [1]}', 422),
        ('{"records": [null]}', 422),
        ('{"records": [{}]}', 422),
        ('{"records": [{}], "model": 3}', 422),
        (b'{"records": [{"sex": "\xff"}]}', 400),
    ],
)
async def test_bodies_that_are_no_request(api: Api, body: str | bytes, status: int) -> None:
    """Whatever is sent instead of records gets a 4xx that says what is wrong."""
    found, problem = await api.post("/predict", data=body, headers={"Content-Type": "application/json"})
    assert found == status, problem
    assert problem["detail"]


@pytest.mark.parametrize(
    "name",
    [
        "random_forest",
        "random_forest.pkl",
        "random_forest@1",
        "random_forest.pkl@1",
        "random_forest@1.pkl",
        "random_forest@live",
    ],
)
async def test_names_of_a_model(api: Api, name: str) -> None:
    """A model is found by its name, with or without .pkl, and by its version, in query or body."""
    for path, more in ((f"/predict?model={name}", {}), ("/predict", {"model": name})):
        status, answer = await api.post(path, {"records": [PENGUIN], **more})
        assert (status, answer.get("model"), answer.get("version")) == (200, "random_forest", 1)


@pytest.mark.parametrize(
    "name", ["nope", "nope@1", "random_forest@2", "random_forest@x", "random_forest@previous", "@", ".pkl"]
)
async def test_names_of_nothing(api: Api, name: str) -> None:
    """What does not exist is not found, and the known models are listed."""
    status, problem = await api.post(f"/predict?model={name}", {"records": [PENGUIN]})
    assert status == 404, problem
    assert problem["known"] == sorted(FAMILIES)


async def test_query_and_body_may_not_contradict(api: Api) -> None:
    """Two different models asked for at once is an error, not a choice of ours."""
    status, _ = await api.post("/predict?model=svc", {"records": [PENGUIN], "model": "random_forest"})
    assert status == 422


async def test_compare(api: Api) -> None:
    """Comparing answers as /predict does for each model, and says on which records they agree."""
    body = {"records": [PENGUIN, {**PENGUIN, "bill_length_mm": 50.0, "island": "Dream"}]}
    status, answer = await api.post("/predict/compare", body)
    assert status == 200
    assert [result["model"] for result in answer["results"]] == sorted(FAMILIES)
    for result in answer["results"]:
        assert result == (await api.post(f"/predict?model={result['model']}", body))[1]
    labels = [result["predictions"] for result in answer["results"]]
    assert answer["agree"] == [len(set(found)) == 1 for found in zip(*labels, strict=True)]
    assert answer["agreement"] == sum(answer["agree"]) / 2
    status, answer = await api.post("/predict/compare?models=svc&models=random_forest@1", body)
    assert [result["model"] for result in answer["results"]] == ["svc", "random_forest"]
    assert (await api.post("/predict/compare", {**body, "models": ["svc", "random_forest@1"]}))[1] == answer
    assert (await api.post("/predict/compare?models=nope", body))[0] == 404
    assert (await api.post("/predict/compare?models=svc", {**body, "models": ["random_forest"]}))[0] == 422
    status, problem = await api.post("/predict/compare", {**body, "models": "svc"})
    assert (status, "a list of names" in problem["detail"]) == (422, True)


async def test_without_a_model(shared_dir: Any) -> None:
    """Before the first model, predictions answer 503 with Retry-After, and /health answers 200."""
    from tests.integration.inference.conftest import started

    async with started(shared_dir) as empty:
        async with empty.client.post("/predict", json={"records": [PENGUIN]}) as response:
            assert response.status == 503
            assert int(response.headers["Retry-After"]) > 0
            assert response.content_type == "application/problem+json"
        assert (await empty.get("/ready"))[0] == 503
        assert (await empty.get("/health"))[0] == 200
        assert (await empty.get("/models"))[1]["models"] == []
