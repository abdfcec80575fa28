"""Which versions are kept, and what is left of crashed writes."""

import os
import time
from pathlib import Path

from common.bundles import layout
from common.bundles.live import LiveRow
from common.bundles.retention import LEFTOVER_AGE_S, Known, remove_folders, superfluous
from common.bundles.writer import write_version
from tests.unit.bundles.test_manifest import KEY, manifest


def known(count: int, **states: str) -> list[Known]:
    """Versions 1 to count, published unless said otherwise as `v3="held"`."""
    return [Known(number, states.get(f"v{number}", "published")) for number in range(1, count + 1)]


def row(**changes: object) -> LiveRow:
    """Version 4 is live."""
    values = {"model": "m", "dataset": "d", "generation": 9, "live": 4, "previous": 3, "trail": (4, 3, 2)}
    return LiveRow(**(values | changes))  # type: ignore[arg-type] # a test's shorthand


def test_the_newest_are_kept() -> None:
    """Without pointers the newest stay."""
    assert superfluous(known(6), None, 2) == [1, 2, 3, 4]


def test_what_the_pointers_name_is_kept() -> None:
    """Live, previous, candidate and the trail stay, however old."""
    assert superfluous(known(20), row(candidate=6), 2) == [1, 5, *range(7, 19)]


def test_held_versions_wait_for_a_decision() -> None:
    """Held versions newer than the live one stay, as many as are kept; older ones do not."""
    states = {f"v{number}": "held" for number in (1, 6, 7, 8)}
    assert superfluous(known(12, **states), row(), 2) == [1, 5, 6, 9, 10]


def test_versions_being_made_are_left_alone() -> None:
    """A reserved version is not counted and not removed."""
    assert superfluous(known(5, v5="reserved", v1="dropped"), None, 2) == [2]


def test_dropped_folders_and_old_leftovers_go(tmp_path: Path) -> None:
    """Dropped versions and temporary names older than a quarter of an hour are removed, young ones stay."""
    for version in (1, 2):
        write_version(tmp_path, manifest(version=version, files={}), {"bundle.pkl": b"x"}, KEY)
    model = layout.model_dir(tmp_path, "forest")
    old, young, link = model / ".tmp-old", model / "2" / ".tmp-young", tmp_path / ".tmp-link"
    old.mkdir()
    (old / "bundle.pkl").write_bytes(b"half")
    young.mkdir()
    link.symlink_to("nowhere")
    now = time.time()
    for path in (old, link):
        os.utime(path, (0, now - LEFTOVER_AGE_S - 1), follow_symlinks=False)
    assert remove_folders(tmp_path, {("forest", 1)}, now=now) == ["forest@1"]
    assert sorted(path.name for path in model.iterdir()) == ["2"]
    assert young.exists()
    assert not link.is_symlink()


def test_no_folder_is_no_work(tmp_path: Path) -> None:
    """A sweep before the first version finds nothing to do."""
    assert remove_folders(tmp_path / "none", set(), now=0.0) == []
