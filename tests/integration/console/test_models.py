"""Models over REST: versions, reports, comparing, deciding; and that the folder follows."""

from typing import Any

import pytest

from common.bundles.layout import version_dir
from common.bundles.reader import read_aliases
from tests.bundles import KEY, Folder
from tests.integration.console.conftest import REPORT, Console

MODEL = "/api/models/random_forest"


def live(folder: Folder) -> tuple[int, int | None, int | None, float]:
    """What the folder says: live, previous, candidate, the share of a shadow."""
    aliases = read_aliases(folder.models_dir, "random_forest", [KEY])
    return aliases.live, aliases.previous, aliases.candidate, aliases.shadow_share


async def test_models_and_their_versions(console: Console, models: Folder) -> None:
    """A model tells what is live and held, with its data set's gate; versions are paged."""
    (model,) = await console.get("/api/models")
    assert (model["name"], model["live"], model["previous"], model["held"]) == ("random_forest", 2, 1, [3])
    detail = await console.get(MODEL)
    assert [version["role"] for version in detail["versions"]] == ["held", "live", "previous"]
    assert detail["dataset"]["gates"]["random_forest"]["min_absolute_change"] == -0.05
    assert detail["serving"]["up"] is False
    page = await console.get(f"{MODEL}/versions?before=3&limit=1")
    assert [version["version"] for version in page] == [2]
    assert models.models_dir.is_dir()


async def test_a_version_with_its_manifest_and_report(console: Console, models: Folder) -> None:
    """A version shows its verified manifest, the files of its report and its model card; files can be fetched."""
    detail = await console.get(f"{MODEL}/versions/1")
    assert (detail["damage"], detail["manifest"]["rows"], detail["card"]) == ("", 333, "# random_forest 1\n")
    assert "hmac" not in detail["manifest"]
    assert detail["examples"][0]["answer"] == "Adelie"
    assert 1 / 3 < detail["examples"][0]["sure"] <= 1
    assert {file["name"] for file in detail["report"]} == set(REPORT)
    async with console.client.get(f"{MODEL}/versions/1/report/confusion.png") as response:
        assert (response.status, response.content_type) == (200, "image/png")
        assert "sandbox" in response.headers["Content-Security-Policy"]
        assert await response.read() == REPORT["confusion.png"]
    assert (await console.get(f"{MODEL}/versions/2"))["report"] == []
    assert models.models_dir.is_dir()


@pytest.mark.parametrize("file", ["nothing.png", "..%2fmanifest.json", "%2e%2e%2f%2e%2e%2faliases.json", "report"])
async def test_a_report_gives_its_own_files_only(console: Console, models: Folder, file: str) -> None:
    """What is no file of the report is not found, however it is spelt."""
    await console.get(f"{MODEL}/versions/1/report/{file}", 404)
    assert models.models_dir.is_dir()


async def test_a_damaged_version_says_so(console: Console, models: Folder) -> None:
    """A version whose manifest does not verify is shown with the reason instead of the manifest."""
    path = version_dir(models.models_dir, "random_forest", 1) / "manifest.json"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"333", b"999"))
    detail = await console.get(f"{MODEL}/versions/1")
    assert detail["manifest"] is None
    assert detail["damage"]
    await console.get(f"{MODEL}/compare?a=1&b=2", 409)


async def test_what_is_no_model_or_version(console: Console, models: Folder) -> None:
    """Unknown models and versions are not found, and the sentence names what is known."""
    assert "known are random_forest" in (await console.get("/api/models/tree", 404))["detail"]
    for path in ("/versions/9", "/versions/x", "/versions/99999999999", "/compare?a=1&b=9"):
        await console.get(f"{MODEL}{path}", 404)
    await console.get(f"{MODEL}/compare?a=1", 422)
    assert models.models_dir.is_dir()


async def test_two_versions_on_the_same_rows(console: Console, models: Folder) -> None:
    """Comparing tells how many of the same test rows each gets wrong, which differ, and what each looks at."""
    found = await console.get(f"{MODEL}/compare?a=2&b=3")
    assert found["rows"] == sum(map(sum, found["a"]["confusion"])) == sum(map(sum, found["b"]["confusion"]))
    assert found["a"]["wrong"] == 0
    assert found["b"]["wrong"] >= found["different"] > 0
    assert set(found["shown"][0]["record"]) == set(found["a"]["importance"]) >= {"bill_length_mm", "island"}
    assert found["shown"][0]["a"] == found["shown"][0]["truth"]
    same = await console.get(f"{MODEL}/compare?a=1&b=2")
    assert (same["different"], same["shown"]) == (0, [])
    assert models.models_dir.is_dir()


async def test_promoting_makes_the_folder_follow(console: Console, models: Folder) -> None:
    """A promotion is in the history with who and why, and in the folder before the answer is."""
    body = {"version": 3, "reason": " for the tablets ", "pin": True}
    went = await console.post(f"{MODEL}/promote", body, headers={"X-Rookery-Actor": "ada"})
    assert (went["written"], went["model"]["live"], went["model"]["pinned"]) == (True, 3, True)
    assert live(models) == (3, 2, None, 0.0)
    pinned, promoted, *_ = await console.get("/api/decisions?model=random_forest")
    assert (pinned["action"], promoted["action"], promoted["actor"]) == ("pin", "promote", "ada")
    assert promoted["reason"] == "for the tablets"
    await console.post(f"{MODEL}/promote", body, 409)


async def test_going_back(console: Console, models: Folder) -> None:
    """A rollback needs no version; the folder follows, and there is nothing before the first."""
    went = await console.post(f"{MODEL}/rollback", {"reason": "odd answers"})
    assert went["model"]["live"] == 1
    assert live(models) == (1, None, None, 0.0)
    assert "was live before 1" in (await console.post(f"{MODEL}/rollback", {"reason": "x"}, 409))["detail"]


async def test_pin_unpin_keep_and_shadow(console: Console, models: Folder) -> None:
    """The other decisions: a pin and its end, a shadow and its end, a held version that is left held."""
    assert (await console.post(f"{MODEL}/pin", {"reason": "audit"}))["model"]["pinned"] is True
    assert (await console.post(f"{MODEL}/unpin", {"reason": "over"}))["model"]["pinned"] is False
    await console.post(f"{MODEL}/shadow", {"version": 3, "share": 0.5})
    assert live(models) == (2, 1, 3, 0.5)
    await console.post(f"{MODEL}/shadow", {"version": None})
    assert live(models) == (2, 1, None, 0.0)
    assert (await console.post(f"{MODEL}/keep", {"version": 3, "reason": "too small"}))["model"]["held"] == []
    actions = [decision["action"] for decision in await console.get("/api/decisions")]
    assert actions == ["keep", "shadow", "shadow", "unpin", "pin", "publish", "publish"]


REFUSED: list[tuple[str, dict[str, Any], int, str]] = [
    ("promote", {"version": 3, "reason": " "}, 422, "reason"),
    ("promote", {"reason": "x"}, 422, "version"),
    ("promote", {"version": 9, "reason": "x"}, 404, ""),
    ("rollback", {"version": 3, "reason": "x"}, 409, ""),
    ("rollback", {}, 422, "reason"),
    ("pin", {"reason": ""}, 422, "reason"),
    ("unpin", {"reason": "x"}, 409, ""),
    ("keep", {"version": 2, "reason": "x"}, 409, ""),
    ("shadow", {"version": 3, "share": 2}, 409, ""),
    ("shadow", {"version": 2}, 409, ""),
]


async def test_a_decision_that_is_refused(console: Console, models: Folder) -> None:
    """A decision without a reason, or one that makes no sense, changes nothing and says which field is to blame."""
    for action, body, status, field in REFUSED:
        refused = await console.post(f"{MODEL}/{action}", body, status)
        assert [error["field"] for error in refused.get("errors", [])] == ([field] if field else []), (action, body)
    assert len(await console.get("/api/decisions")) == 2
    assert models.models_dir.is_dir()


async def test_a_folder_that_cannot_be_written_follows_later(console: Console, models: Folder) -> None:
    """A decision stands where the folder cannot follow at once, and the answer says that it will."""
    folder = models.models_dir
    folder.rename(folder.with_name("elsewhere"))
    folder.write_bytes(b"a file in the folder's place")
    went = await console.post(f"{MODEL}/rollback", {"reason": "x"})
    assert (went["written"], went["model"]["live"]) == (False, 1)
