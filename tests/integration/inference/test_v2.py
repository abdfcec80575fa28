"""The Open Inference Protocol, spoken by hand and by an existing client library."""

import asyncio
from typing import Any

import numpy as np
import pytest
import tritonclient.http as client_library

from tests.bundles import CATEGORICAL, CLASSES, FAMILIES, NUMERIC, Trained
from tests.integration.inference.conftest import Api


def tensors(fitted: Trained, count: int = 3, *, flat: bool = True) -> list[dict[str, Any]]:
    """The first records as inputs in JSON."""
    inputs = []
    for name in (*NUMERIC, *CATEGORICAL):
        values = fitted.frame[name][:count].tolist()
        inputs.append(
            {
                "name": name,
                "shape": [count] if flat else [count, 1],
                "datatype": "FP64" if name in NUMERIC else "BYTES",
                "data": values if flat else [[value] for value in values],
            }
        )
    return inputs


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("binary", [True, False])
async def test_a_client_library(api: Api, trained: dict[str, Trained], family: str, *, binary: bool) -> None:
    """tritonclient, unchanged, gets right answers for all 333 records, in JSON and in binary."""
    fitted = trained[family]

    def ask() -> tuple[list[str], Any]:
        with client_library.InferenceServerClient(f"127.0.0.1:{api.port}") as client:
            assert client.is_server_live()
            assert client.is_server_ready()
            assert client.is_model_ready(family)
            assert {entry["name"] for entry in client.get_model_repository_index()} == set(FAMILIES)
            metadata = client.get_model_metadata(family)
            inputs = []
            for entry in metadata["inputs"]:
                kind = np.float64 if entry["datatype"] == "FP64" else np.object_
                values = fitted.frame[entry["name"]].to_numpy(dtype=kind).reshape(-1, 1)
                tensor = client_library.InferInput(entry["name"], list(values.shape), entry["datatype"])
                tensor.set_data_from_numpy(values, binary_data=binary)
                inputs.append(tensor)
            outputs = [
                client_library.InferRequestedOutput(entry["name"], binary_data=binary) for entry in metadata["outputs"]
            ]
            found = client.infer(family, inputs, outputs=outputs, request_id="seven", model_version="1")
            assert found.get_response()["id"] == "seven"
            labels = [word.decode() if binary else word for word in found.as_numpy("predictions")]
            return labels, found.as_numpy("probabilities")

    labels, probabilities = await asyncio.to_thread(ask)
    assert labels == fitted.labels
    assert np.abs(probabilities - fitted.probabilities).max() < 1e-9


async def test_the_client_library_gets_our_reasons(api: Api) -> None:
    """A refusal reaches the library's user as the protocol's `error`."""

    def ask() -> None:
        with client_library.InferenceServerClient(f"127.0.0.1:{api.port}") as client:
            tensor = client_library.InferInput("island", [1], "BYTES")
            tensor.set_data_from_numpy(np.array(["Atlantis"], dtype=np.object_))
            client.infer("svc", [tensor])

    with pytest.raises(client_library.InferenceServerException, match="is missing"):
        await asyncio.to_thread(ask)


@pytest.mark.parametrize("flat", [True, False])
async def test_json_of_both_shapes(api: Api, trained: dict[str, Trained], *, flat: bool) -> None:
    """Columns of shape [n] and [n, 1] get the same answers."""
    fitted = trained["svc"]
    status, answer = await api.post("/v2/models/svc/infer", {"inputs": tensors(fitted, flat=flat), "id": "a"})
    assert (status, answer["model_name"], answer["model_version"], answer["id"]) == (200, "svc", "1", "a")
    labels, probabilities = answer["outputs"]
    assert labels == {"name": "predictions", "datatype": "BYTES", "shape": [3], "data": fitted.labels[:3]}
    assert probabilities["shape"] == [3, len(CLASSES)]
    assert np.abs(np.array(probabilities["data"]).reshape(3, -1) - fitted.probabilities[:3]).max() < 1e-9


async def test_what_the_server_says_of_itself(api: Api) -> None:
    """Server, health and model routes answer as the protocol says."""
    assert (await api.get("/v2"))[1]["name"] == "rookery"
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/svc/ready", "/v2/models/svc/versions/1/ready"):
        assert (await api.get(path))[0] == 200
    status, metadata = await api.get("/v2/models/svc/versions/1")
    assert (status, metadata["versions"], metadata["platform"]) == (200, ["1"], "rookery")
    assert [entry["name"] for entry in metadata["inputs"]] == [*NUMERIC, *CATEGORICAL]
    status, problem = await api.get("/v2/models/nope")
    assert (status, problem["error"]) == (404, problem["detail"])


def changed(inputs: list[dict[str, Any]], at: int, **changes: Any) -> dict[str, Any]:
    """A request with one input changed."""
    return {"inputs": [{**entry, **changes} if index == at else entry for index, entry in enumerate(inputs)]}


@pytest.mark.parametrize(
    "changes",
    [
        {"data": [True, 1.0, 2.0]},
        {"data": [1.0]},
        {"data": [None, 1.0, 2.0]},
        {"data": ["1", 1.0, 2.0]},
        {"data": [[1.0, 2.0], [3.0], [4.0]]},
        {"data": None},
        {"shape": [3, 2]},
        {"shape": [-1]},
        {"shape": []},
        {"shape": [4]},
        {"datatype": "BOOL"},
        {"datatype": "nonsense"},
        {"name": "beak"},
        {"name": "sex"},
        {"parameters": {"binary_data_size": 24}},
        {"parameters": {"binary_data_size": -1}},
        {"parameters": {"binary_data_size": True}},
    ],
)
async def test_inputs_that_are_wrong(api: Api, trained: dict[str, Trained], changes: dict[str, Any]) -> None:
    """A column that does not fit is refused with a 4xx that says which."""
    status, problem = await api.post("/v2/models/svc/infer", changed(tensors(trained["svc"]), 0, **changes))
    assert 400 <= status < 500, problem
    assert problem["error"]


@pytest.mark.parametrize("length", ["-1", "x", "99999", "1e3", "3"])
async def test_header_lengths_that_are_wrong(api: Api, length: str) -> None:
    """A wrong Inference-Header-Content-Length is a 4xx."""
    status, problem = await api.post(
        "/v2/models/svc/infer", data=b'{"inputs": []}', headers={"Inference-Header-Content-Length": length}
    )
    assert 400 <= status < 500, problem
