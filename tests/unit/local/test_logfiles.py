"""The log files of an instance."""

import json
from pathlib import Path

from services.local.logfiles import follow, last_lines, readable, rotate


def test_a_file_that_has_grown_is_moved_and_goes_on(tmp_path: Path) -> None:
    """A writer keeps its descriptor: what it wrote is in the older file, what it writes next in the fresh one."""
    path = tmp_path / "it.log"
    with path.open("ab", buffering=0) as writer:
        for number in range(6):
            writer.write(b"%d\n" % number)
            assert rotate(path, limit_bytes=2, kept=3)
        writer.write(b"end\n")
    assert path.read_text() == "end\n"
    assert [path.with_name(f"it.log.{number}").read_text() for number in (1, 2, 3)] == ["5\n", "4\n", "3\n"]
    assert not path.with_name("it.log.4").exists()


def test_a_small_file_stays(tmp_path: Path) -> None:
    """Below the limit, and where there is no file, nothing happens."""
    path = tmp_path / "it.log"
    assert not rotate(path)
    path.write_text("line\n")
    assert not rotate(path)
    assert path.read_text() == "line\n"


def test_a_line_of_json_is_readable() -> None:
    """Time, level, process, message and the other fields, then the trace."""
    line = {"timestamp": "2026-11-24T06:47:13.123456Z", "level": "warning", "event": "event failed", "run": "r1"}
    shown = readable(json.dumps(line | {"exception": "Traceback"}), "train")
    assert shown == "06:47:13.123 WARN train       event failed  run=r1\nTraceback"


def test_any_other_line_is_shown_as_it_is() -> None:
    """PostgreSQL's and Redis's lines, and JSON that is no object."""
    assert readable("LOG:  ready", "postgres") == "postgres    LOG:  ready"
    assert readable("[1]", "redis") == "redis       [1]"


def test_the_last_lines_of_a_large_file(tmp_path: Path) -> None:
    """Only the end is read."""
    path = tmp_path / "it.log"
    path.write_text("".join(f"{number}\n" for number in range(100_000)))
    assert last_lines(path, 2) == ["99998", "99999"]
    assert last_lines(tmp_path / "none.log", 2) == []


def test_following_gives_whole_new_lines_and_survives_a_rotation(tmp_path: Path) -> None:
    """Half a line waits for its end, and an emptied file is read from its beginning."""
    path = tmp_path / "it.log"
    path.write_text("old\n")
    lines = follow({"it": path}, every_s=0.0)
    with path.open("a") as writer:
        writer.write("new\nhalf")
    assert next(lines) == ("it", "new")
    with path.open("a") as writer:
        writer.write(" and half\n")
    assert next(lines) == ("it", "half and half")
    path.write_text("first\n")
    assert next(lines) == ("it", "first")
