"""When a file counts as still, on a clock driven by hand."""

import os
from pathlib import Path

from common.datasets import parse_spec
from services.ingest.stillness import PATIENCE_S, still_fingerprint
from tests.specs import SMALLEST

SPEC = parse_spec("houses", SMALLEST)


class Clock:
    """A clock on which only sleeping takes time; `writes` says when the file is written again."""

    def __init__(self, path: Path, *, writes: tuple[float, ...] = ()) -> None:
        self.now, self.path, self.writes = 1000.0, path, list(writes)
        self.write(1000.0)

    def write(self, moment: float) -> None:
        """Adds a byte to the file."""
        with self.path.open("a") as file:
            file.write("x")
        os.utime(self.path, (moment, moment))

    async def sleep(self, seconds: float) -> None:
        """Lets time pass, and with it the writes that fall into it."""
        end = self.now + seconds
        while self.writes and self.writes[0] <= end:
            self.write(self.writes.pop(0))
        self.now = end


async def test_a_file_left_alone_is_still_after_two_seconds(tmp_path: Path) -> None:
    """What was written just now is waited for, two seconds and no longer."""
    clock = Clock(tmp_path / "houses.csv")
    assert await still_fingerprint(SPEC, tmp_path, sleep=clock.sleep, now=lambda: clock.now)
    assert clock.now == 1002.0


async def test_an_old_file_is_not_waited_for(tmp_path: Path) -> None:
    """What nobody has touched for long is read at once."""
    clock = Clock(tmp_path / "houses.csv")
    clock.now = 2000.0
    assert await still_fingerprint(SPEC, tmp_path, sleep=clock.sleep, now=lambda: clock.now)
    assert clock.now == 2000.0


async def test_each_write_begins_the_wait_anew(tmp_path: Path) -> None:
    """Two seconds are counted from the last write."""
    clock = Clock(tmp_path / "houses.csv", writes=(1001.0, 1002.5))
    mark = await still_fingerprint(SPEC, tmp_path, sleep=clock.sleep, now=lambda: clock.now)
    assert mark is not None
    assert mark["files"][0]["size"] == 3
    assert clock.now == 1004.5


async def test_a_file_from_the_future_is_still_when_it_does_not_change(tmp_path: Path) -> None:
    """A clock that was set back does not make a worker wait for ever."""
    clock = Clock(tmp_path / "houses.csv")
    clock.write(9000.0)
    mark = await still_fingerprint(SPEC, tmp_path, sleep=clock.sleep, now=lambda: clock.now)
    assert mark is not None
    assert "restless" not in mark
    assert clock.now == 1002.0


async def test_a_file_written_without_end_is_given_up(tmp_path: Path) -> None:
    """Patience ends, and the answer says that the file is not still."""
    clock = Clock(tmp_path / "houses.csv", writes=tuple(1000.0 + step for step in range(1, 100)))
    mark = await still_fingerprint(SPEC, tmp_path, sleep=clock.sleep, now=lambda: clock.now)
    assert mark is not None
    assert mark["restless"]
    assert clock.now < 1000 + PATIENCE_S + 3
