"""A new version goes live under load; a broken one does not; whatever happens to the folder, what served serves on."""

import asyncio
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Event
from time import perf_counter
from typing import Any

import msgspec
import pytest

from common.bundles.manifest import Manifest, PredictorEntry, decode, encode, sign
from tests.bundles import KEY, Folder, Trained, as_pickle, neighbours, random_forest, records, train
from tests.integration.inference.conftest import Api, started, until
from tests.integration.inference.test_predict import PENGUIN

BODY = {"records": [PENGUIN]}


async def test_reload_under_load(api: Api, models: Folder, trained: dict[str, Trained]) -> None:
    """Versions published one after the other go live within a second each, and no request fails meanwhile."""
    statuses: list[int] = []
    versions: list[int] = []
    stop = asyncio.Event()

    async def client() -> None:
        while not stop.is_set():
            status, answer = await api.post("/predict", BODY)
            statuses.append(status)
            versions.append(answer.get("version"))

    clients = [asyncio.create_task(client()) for _ in range(4)]
    waits = []
    for version in range(2, 8):
        await asyncio.to_thread(models.publish, trained["random_forest"], version)
        started_at = perf_counter()
        await api.live(version)
        waits.append(perf_counter() - started_at)
    stop.set()
    await asyncio.gather(*clients)
    assert set(statuses) == {200}
    assert versions[-1] == 7
    assert max(waits) < 1.0


async def test_the_poll_alone_is_enough(models: Folder, trained: dict[str, Trained], shared_dir: Path) -> None:
    """Without any watching, a new version is live within the poll's interval and a second."""
    models.publish(trained["small_forest"], 1)
    async with started(shared_dir, inference_watch="off") as api:
        await api.live(1)
        models.publish(trained["small_forest"], 2)
        await api.live(2)


def flip(content: bytes) -> bytes:
    """One bit changed, in the middle."""
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


class Hostile:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return (Path.touch, (self.marker,))


def resigned(folder: Path, **changes: Any) -> None:
    """A manifest that was changed by someone who has the key."""
    manifest = decode((folder / "manifest.json").read_bytes(), Manifest)
    (folder / "manifest.json").write_bytes(encode(sign(msgspec.structs.replace(manifest, **changes), KEY)))


def manifest_of(folder: Path) -> Manifest:
    """The manifest in a version's folder."""
    return decode((folder / "manifest.json").read_bytes(), Manifest)


def truncate(folder: Path) -> None:
    """Half of the predictor."""
    content = (folder / "predictor.npz").read_bytes()
    (folder / "predictor.npz").write_bytes(content[: len(content) // 2])


def link(folder: Path) -> None:
    """The predictor behind a symbolic link."""
    (folder / "predictor.npz").rename(folder / "elsewhere")
    (folder / "predictor.npz").symlink_to(folder / "elsewhere")


def change_text(folder: Path) -> None:
    """Another snapshot in the manifest, by someone without the key."""
    manifest = folder / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"snapshot": 1', b'"snapshot": 2'))


def strip_signature(folder: Path) -> None:
    """A manifest without a signature."""
    (folder / "manifest.json").write_bytes(encode(msgspec.structs.replace(manifest_of(folder), hmac="", key_id="")))


def sign_elsewhere(folder: Path) -> None:
    """A manifest signed with another installation's key."""
    (folder / "manifest.json").write_bytes(encode(sign(manifest_of(folder), b"a key of another installation")))


def change_samples(folder: Path) -> None:
    """Samples that the model answers otherwise."""
    samples = manifest_of(folder).samples
    resigned(folder, samples=msgspec.structs.replace(samples, labels=[(label + 1) % 3 for label in samples.labels]))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "predictor flipped": lambda folder: (folder / "predictor.npz").write_bytes(
        flip((folder / "predictor.npz").read_bytes())
    ),
    "predictor truncated": truncate,
    "predictor is a link": link,
    "predictor missing": lambda folder: (folder / "predictor.npz").unlink(),
    "manifest changed": change_text,
    "manifest empty": lambda folder: (folder / "manifest.json").write_bytes(b""),
    "manifest missing": lambda folder: (folder / "manifest.json").unlink(),
    "unsigned": strip_signature,
    "signed with another key": sign_elsewhere,
    "samples answered otherwise": change_samples,
    "unknown predictor": lambda folder: resigned(folder, predictor=PredictorEntry("crystal ball", "predictor.npz")),
    "other features": lambda folder: resigned(folder, features=manifest_of(folder).features[1:]),
    "folder missing": shutil.rmtree,
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_damaged_versions(models: Folder, trained: dict[str, Trained], shared_dir: Path, damage: str) -> None:
    """A damaged or foreign version is refused with a reason; the old one serves, and a later good one goes live."""
    models.publish(trained["small_forest"], 1)
    async with started(shared_dir) as api:
        await api.live(1)
        models.write(trained["small_forest"], 2)
        folder = models.models_dir / "versions" / "random_forest" / "2"
        DAMAGES[damage](folder)
        models.point("random_forest", 2)
        await until(lambda: api.service.serving.models["random_forest"].error, "the refusal")
        reason = api.service.serving.models["random_forest"].error
        assert "version 2 is refused" in reason
        status, answer = await api.post("/predict", BODY)
        assert (status, answer["version"]) == (200, 1)
        entry = (await api.get("/models"))[1]["models"][0]
        assert entry["error"] == reason
        assert {(one["version"], one["state"]) for one in entry["versions"]} == {(1, "ready"), (2, "error")}
        models.publish(trained["small_forest"], 3)
        await api.live(3)


async def test_a_hostile_pickle_is_never_loaded(
    models: Folder, trained: dict[str, Trained], shared_dir: Path, tmp_path: Path
) -> None:
    """A bundle swapped for a hostile one does not run, whether or not the version is served from a pickle."""
    marker = tmp_path / "marker"
    models.publish(trained["small_forest"], 1)
    async with started(shared_dir) as api:
        await api.live(1)
        models.write(as_pickle(trained["small_forest"]), 2)
        bundle = models.models_dir / "versions" / "random_forest" / "2" / "bundle.pkl"
        bundle.write_bytes(pickle.dumps(Hostile(marker)))
        models.point("random_forest", 2)
        await until(lambda: api.service.serving.models["random_forest"].error, "the refusal")
        assert (await api.post("/predict", BODY))[1]["version"] == 1
    assert not marker.exists()


async def test_a_model_without_a_predictor(models: Folder, shared_dir: Path) -> None:
    """scikit-learn itself answers where no plain-data predictor is exact; /models says so and why."""
    fitted = train("neighbours", neighbours)
    assert fitted.manifest.predictor.kind == "pickle"
    models.publish(fitted, 1, default=True)
    async with started(shared_dir) as api:
        await until(lambda: api.service.serving.default, "the model", seconds=30)
        status, answer = await api.post("/predict", {"records": [PENGUIN] * 3})
        assert (status, answer["model"]) == (200, "neighbours")
        assert answer["predictions"] == ["Adelie"] * 3
        entry = (await api.get("/models"))[1]["models"][0]
        assert entry["predictor"]["kind"] == "pickle"
        assert entry["predictor"]["why"]


async def test_a_bundle_that_kills_its_interpreter(
    models: Folder, shared_dir: Path, trained: dict[str, Trained]
) -> None:
    """A signed pickle that ends the process that loads it ends a child; the server goes on and says so."""
    models.publish(trained["small_forest"], 1)
    deadly = as_pickle(trained["small_forest"])
    deadly.files["bundle.pkl"] = b"\x80\x04cos\n_exit\nK\x03\x85R."
    async with started(shared_dir) as api:
        await api.live(1)
        models.publish(deadly, 2)
        await until(lambda: api.service.serving.models["random_forest"].error, "the refusal", seconds=30)
        assert "code 3" in api.service.serving.models["random_forest"].error
        assert (await api.post("/predict", BODY))[1]["version"] == 1


async def test_the_folder_is_taken_away(api: Api, models: Folder, trained: dict[str, Trained]) -> None:
    """A model folder that is deleted and made anew: the old versions serve meanwhile, the new one goes live."""
    shutil.rmtree(models.models_dir)
    await until(lambda: api.service.manager.folder_error, "the missing folder to be noticed")
    assert (await api.post("/predict", BODY))[0] == 200
    assert (await api.get("/models"))[1]["error"]
    models.models_dir.mkdir()
    models.publish(trained["random_forest"], 1)
    models.point("random_forest", 1)
    models.publish(trained["random_forest"], 2)
    await api.live(2)
    models.publish(trained["random_forest"], 3)
    await api.live(3)


async def test_versions_by_name(api: Api, models: Folder, trained: dict[str, Trained]) -> None:
    """`@previous`, `@candidate` and `@1` answer with those versions after a new one went live."""
    models.publish(trained["random_forest"], 2)
    models.write(trained["random_forest"], 3)
    models.point("random_forest", 2, candidate=3, previous=1)
    await api.live(2)
    await until(lambda: api.service.serving.models["random_forest"].aliases.candidate == 3, "the candidate")  # type: ignore[union-attr] # it is there: a version is live
    for name, version in (("previous", 1), ("candidate", 3), ("1", 1), ("2", 2)):
        status, answer = await api.post(f"/predict?model=random_forest@{name}", BODY)
        assert (status, answer["version"]) == (200, version)


async def test_a_shadow_is_counted_but_never_answers(api: Api, models: Folder) -> None:
    """A candidate with a share of half sees half of the requests; what it says is counted, not answered."""
    shuffled = train("random_forest", lambda: random_forest(5), shuffled=True)
    models.write(shuffled, 2)
    models.point("random_forest", 1, candidate=2, shadow_share=0.5)
    await until(lambda: "random_forest" in api.service.serving.shadowed, "the candidate")
    for _ in range(20):
        assert (await api.post("/predict", BODY))[1]["version"] == 1
    counts = api.service.metrics.figures.shadow
    await until(lambda: sum(counts.values()) == 10, "the shadow to be counted")


@pytest.mark.parametrize("form", ["large", "csv", "csv of records", "ndjson", "v2"])
async def test_a_shadow_sees_every_form_of_request(
    api: Api, models: Folder, trained: dict[str, Trained], form: str
) -> None:
    """A candidate with a share of 1 is shown what comes as a large body, a table, a stream or tensors, too."""
    rows = records(trained["random_forest"].frame)
    rows = (rows * 3)[:900] if form == "large" else rows[:100]
    models.write(trained["small_forest"], 2)
    models.point("random_forest", 1, candidate=2, shadow_share=1.0)
    await until(lambda: "random_forest" in api.service.serving.shadowed, "the candidate")
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    columns = [
        {"name": name, "shape": [len(rows)], "datatype": "BYTES" if isinstance(value, str) else "FP64",
         "data": [row[name] for row in rows]}
        for name, value in rows[0].items()
    ]  # fmt: skip
    path, kind, body = {
        "large": ("/predict", "application/json", json.dumps({"records": rows})),
        "csv": ("/predict", "text/csv", "\n".join(lines)),
        "csv of records": ("/predict", "application/json", json.dumps({"records": rows})),
        "ndjson": ("/predict", "application/x-ndjson", "\n".join(map(json.dumps, rows))),
        "v2": ("/v2/models/random_forest/infer", "application/json", json.dumps({"inputs": columns})),
    }[form]
    headers = {"Content-Type": kind, **({"Accept": "text/csv"} if form == "csv of records" else {})}
    async with api.client.post(path, data=body, headers=headers) as response:
        assert response.status == 200, await response.text()
        await response.read()
    counts = api.service.metrics.figures.shadow
    await until(lambda: sum(counts.values()) == len(rows), "all records to be counted")
    assert counts["random_forest", 1, 2, "agree"] > 0.9 * len(rows)


async def test_a_busy_shadow_skips_and_says_so(api: Api, models: Folder, trained: dict[str, Trained]) -> None:
    """A candidate that cannot keep up is not waited for: what it was not shown is counted as skipped."""
    models.write(trained["small_forest"], 2)
    models.point("random_forest", 1, candidate=2, shadow_share=1.0)
    await until(lambda: "random_forest" in api.service.serving.shadowed, "the candidate")
    release = Event()
    api.service.shadow_worker.submit(release.wait)
    try:
        rows = records(trained["random_forest"].frame) * 10
        assert (await api.post("/predict", {"records": rows}))[0] == 200
        assert api.service.metrics.figures.shadow["random_forest", 1, 2, "skipped"] > 1000
    finally:
        release.set()
    async with api.client.get("/metrics") as response:
        assert (
            'rookery_shadow_records_total{candidate="2",model="random_forest",outcome="skipped"'
            in await response.text()
        )


async def test_a_rollback_takes_effect_at_once(api: Api, models: Folder, trained: dict[str, Trained]) -> None:
    """Pointing back to the version before takes effect within a second."""
    models.publish(trained["random_forest"], 2)
    await api.live(2)
    begun = perf_counter()
    models.point("random_forest", 1)
    await api.live(1)
    assert perf_counter() - begun < 1.0


async def test_model_pages(api: Api) -> None:
    """A model's and a version's page say where it comes from; what is not there is not found."""
    status, model = await api.get("/models/random_forest")
    assert (status, model["on_disk"]) == (200, [1])
    status, lineage = await api.get("/models/random_forest/versions/1")
    assert (status, lineage["snapshot"], lineage["live"]) == (200, 1, True)
    assert "hmac" not in lineage
    for path in ("/models/nope", "/models/random_forest/versions/2", "/models/random_forest/versions/x"):
        assert (await api.get(path))[0] == 404
