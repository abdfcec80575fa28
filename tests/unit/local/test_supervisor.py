"""Processes that are kept running; real ones, small."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from services.local import supervisor as supervising
from services.local.health import keeps_touching
from services.local.processes import identify, read_identities
from services.local.servers import Command
from services.local.supervisor import Service, StartError, Supervisor
from tests.waiting import until

WORKS = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(60)"
HAS_CHILD = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); {WORKS}"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {WORKS}"
FAILS = "print('no luck'); raise SystemExit(3)"
MakeService = Callable[..., Service]


class _Watched(Supervisor):
    """A supervisor whose lines for people are kept."""

    def __init__(self, record: Path) -> None:
        self.said: list[str] = []
        super().__init__(record, self.said.append)


@pytest.fixture
async def supervisor(tmp_path: Path) -> AsyncIterator[_Watched]:
    """A supervisor; what it started is ended after the test."""
    made = _Watched(tmp_path / "processes.json")
    yield made
    made.kill_all()
    await made.end(["it", "other"])


@pytest.fixture
def service(tmp_path: Path) -> MakeService:
    """Makes a service from Python code that touches the file it is given once it works."""

    def make(code: str, name: str = "it", **more: object) -> Service:
        ready = tmp_path / f"{name}.ready"
        return Service(
            name=name,
            command=Command(argv=(sys.executable, "-c", code, str(ready)), env=dict(os.environ), cwd=str(tmp_path)),
            healthy=keeps_touching(ready),
            prepare=lambda: ready.unlink(missing_ok=True),
            log_file=tmp_path / f"{name}.log",
            **more,  # type: ignore[arg-type] # fields of Service, as the test names them
        )

    return make


async def test_a_killed_process_is_started_again(supervisor: _Watched, service: MakeService) -> None:
    """What worked and was killed works again, under another pid, and one line says so."""
    supervisor.start(service(WORKS))
    await supervisor.wait_healthy(["it"], seconds=10)
    first = supervisor.identities()[0]
    os.kill(first.pid, signal.SIGKILL)
    await until(lambda: supervisor.identities() not in ([], [first]))
    await supervisor.wait_healthy(["it"], seconds=10)
    assert [line for line in supervisor.said if line.startswith("it was ended by SIGKILL: started again")]


async def test_the_processes_are_recorded(supervisor: _Watched, service: MakeService, tmp_path: Path) -> None:
    """Who comes after a killed supervisor finds what it left running."""
    supervisor.start(service(WORKS))
    supervisor.start(service(WORKS, "other"))
    await supervisor.wait_healthy(["it", "other"], seconds=10)
    assert {identity.name for identity in read_identities(tmp_path / "processes.json")} == {"it", "other"}
    await supervisor.end(["it", "other"])
    assert read_identities(tmp_path / "processes.json") == []


async def test_what_dies_before_it_works_is_not_waited_for(supervisor: _Watched, service: MakeService) -> None:
    """A process that cannot start ends the waiting, with the end of its log."""
    supervisor.start(service(FAILS))
    with pytest.raises(StartError, match=r"it does not get to work[^$]*no luck"):
        await supervisor.wait_healthy(["it"], seconds=20)


async def test_a_program_that_does_not_exist_is_a_start_error(supervisor: _Watched, service: MakeService) -> None:
    """A missing program is told like any other failed start, and takes no task down."""
    made = service(WORKS)
    missing = Command(argv=("/nowhere/program",), env={}, cwd="/")
    supervisor.start(Service(name="it", command=missing, healthy=made.healthy, log_file=made.log_file))
    with pytest.raises(StartError):
        await supervisor.wait_healthy(["it"], seconds=20)
    assert "it cannot be started" in supervisor.said[0]


async def test_what_does_not_get_healthy_in_time_is_named(supervisor: _Watched, service: MakeService) -> None:
    """The one that is late is in the error, the one that works is not."""
    supervisor.start(service(WORKS))
    supervisor.start(service("import time; time.sleep(60)", "other"))
    await supervisor.wait_healthy(["it"], seconds=10)
    with pytest.raises(StartError, match=r"^other did not get to work within 0 s"):
        await supervisor.wait_healthy(["it", "other"], seconds=0.2)


async def test_ending_leaves_no_child_behind(supervisor: _Watched, service: MakeService) -> None:
    """A process that ends without its children does not leave them running."""
    supervisor.start(service(HAS_CHILD))
    await supervisor.wait_healthy(["it"], seconds=10)
    process = psutil.Process(supervisor.identities()[0].pid)
    (child,) = process.children()
    await supervisor.end(["it"])
    await until(lambda: not identify("it", child.pid).alive)


async def test_what_does_not_listen_is_killed(supervisor: _Watched, service: MakeService) -> None:
    """Patience ends, also with a process that ignores the request."""
    supervisor.start(service(STUBBORN, end_with=((signal.SIGTERM, 0.1),)))
    await supervisor.wait_healthy(["it"], seconds=10)
    await asyncio.wait_for(supervisor.end(["it"]), 5)
    assert supervisor.identities() == []


async def test_what_no_longer_answers_is_killed_and_started_again(
    supervisor: _Watched, service: MakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is alive but hangs does not stay."""
    monkeypatch.setattr(supervising, "CHECK_EVERY_S", 0.05)
    supervisor.start(service(WORKS, checked=True))
    await supervisor.wait_healthy(["it"], seconds=10)
    first = supervisor.identities()[0]
    (tmp_path / "it.ready").unlink()
    await until(lambda: supervisor.identities() not in ([], [first]))
    assert "it does not answer: it is killed and started again" in supervisor.said


async def test_what_is_being_started_can_be_ended(supervisor: _Watched, service: MakeService) -> None:
    """Ending at once, before the process exists, leaves nothing running."""
    supervisor.start(service(WORKS))
    await asyncio.wait_for(supervisor.end(["it"]), 5)
    assert supervisor.identities() == []
