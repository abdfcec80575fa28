"""Processes that are forked from one that has imported what they need; real ones, small."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.local import forks as forking
from services.local.forks import Forks, NurseryError
from services.local.launching import Process
from services.local.processes import identify
from services.local.servers import Command
from tests.waiting import until

TELLS = """
import json, os, sys
print(json.dumps({"argv": sys.argv, "env": dict(os.environ), "cwd": os.getcwd(), "session": os.getsid(0),
                  "shared": "colorsys" in sys.modules, "name": __name__, "input": sys.stdin.read()}))
raise SystemExit(7)
"""
WAITS = "import time; print('waiting', flush=True); time.sleep(60)"


class Bench:
    """A nursery that works, and a folder with modules to run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.forks = Forks()
        self.log = folder / "log"

    async def open(self) -> Process:
        """Starts a nursery."""
        argv = (sys.executable, "-m", "services.local.nursery", "colorsys", "gc:collect")
        with self.log.open("ab") as output:
            return await self.forks.open(Command(argv=argv, env=dict(os.environ), cwd="/"), output)

    async def run(self, code: str, *words: str, **env: str) -> Process:
        """Has a module of that code run."""
        (self.folder / "module_of_test.py").write_text(code)
        command = Command(
            argv=(sys.executable, "-m", "module_of_test", *words),
            env={"PATH": os.defpath, **env},
            cwd=str(self.folder),
        )
        with self.log.open("ab") as output:
            return await self.forks.fork(command, output)

    def told(self) -> Any:
        """What the module printed."""
        return json.loads(self.log.read_text())


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """A bench whose nursery, the first one, ends with the test."""
    made = Bench(tmp_path)
    nursery = await made.open()
    yield made
    if nursery.returncode is None:
        nursery.kill()
    await nursery.wait()


async def test_a_fork_is_like_a_program_of_its_own(bench: Bench) -> None:
    """It has the words, environment, folder and session that it was to have, nothing to read, and its exit code."""
    process = await bench.run(TELLS, "one", "two words", COLOUR="blue")
    assert await process.wait() == 7
    told = bench.told()
    assert told["argv"][1:] == ["one", "two words"]
    assert told["env"]["COLOUR"] == "blue"
    assert "HOME" not in told["env"]
    assert (told["cwd"], told["session"], told["name"], told["input"]) == (
        str(bench.folder),
        process.pid,
        "__main__",
        "",
    )


async def test_what_was_imported_before_is_there(bench: Bench) -> None:
    """A fork has the modules of the nursery."""
    process = await bench.run(TELLS)
    await process.wait()
    assert bench.told()["shared"]


async def test_a_fork_is_ended_by_signals_like_any_process(bench: Bench) -> None:
    """A signal ends it, its number is told, and afterwards there is no such process."""
    process = await bench.run(WAITS)
    await until(lambda: "waiting" in bench.log.read_text())
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 10) == -signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        process.kill()


async def test_a_module_that_is_missing_is_told_in_the_log(bench: Bench) -> None:
    """A fork that cannot begin ends with 1, and says why where its output goes."""
    with bench.log.open("ab") as output:
        command = Command(argv=(sys.executable, "-m", "no_such_module"), env={}, cwd="/")
        process = await bench.forks.fork(command, output)
    assert await process.wait() == 1
    assert "No module named no_such_module" in bench.log.read_text()


async def test_forks_end_with_the_nursery(tmp_path: Path) -> None:
    """Nobody could wait for what a killed nursery has forked: it is ended, and another nursery forks again."""
    bench = Bench(tmp_path)
    nursery = await bench.open()
    process = await bench.run(WAITS)
    nursery.kill()
    assert await asyncio.wait_for(process.wait(), 10) == -signal.SIGKILL
    assert not identify("it", process.pid).alive
    again = await bench.open()
    try:
        assert await (await bench.run("raise SystemExit(3)")).wait() == 3
    finally:
        again.kill()
        await again.wait()


async def test_where_there_is_no_nursery_nothing_is_forked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks while none works gets an error after a while, and does not wait for ever."""
    monkeypatch.setattr(forking, "PATIENCE_S", 0.1)
    with pytest.raises(NurseryError):
        await Bench(tmp_path).run(WAITS)


async def test_an_order_that_was_given_up_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is forked after nobody waits for it is killed, and the next order gets a process of its own."""
    bench = Bench(tmp_path)
    nursery = await bench.open()
    try:
        assert await (await bench.run("raise SystemExit(3)")).wait() == 3
        nursery.send_signal(signal.SIGSTOP)
        with monkeypatch.context() as impatient:
            impatient.setattr(forking, "PATIENCE_S", 0.1)
            with pytest.raises(NurseryError):
                await bench.run(WAITS)
        nursery.send_signal(signal.SIGCONT)
        assert await (await bench.run("raise SystemExit(5)")).wait() == 5
    finally:
        nursery.kill()
        await nursery.wait()
