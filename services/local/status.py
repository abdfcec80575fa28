"""What runs, what it takes, what waits and what is served: for people, and as JSON."""

import contextlib
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import psutil
from rich.console import Console
from rich.table import Table

from common.errors import RookeryError
from common.events.topology import PARKED, SERVICES, queue_name
from common.settings import Settings
from services.local import processes
from services.local.api import call_api
from services.local.home import Home
from services.local.processes import Identity

SAMPLE_S = 0.5
_MIB = 2**20


class ProcessStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One process of the stack with its children. PSS: memory that others use too is counted by its share."""

    name: str
    pid: int
    processes: int
    uptime_s: float
    pss_mib: float | None
    cpu_percent: float


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The stack of one home. `queues` is None where Redis does not answer, `models` where the API does not."""

    home: str
    running: bool
    addresses: dict[str, str]
    processes: list[ProcessStatus]
    pss_mib: float
    cpu_percent: float
    queues: dict[str, int] | None
    parked: int | None
    models: list[dict[str, Any]] | None


def look(home: Home, settings: Settings) -> Status:
    """Looks once; takes half a second, in which it measures what the processes use."""
    supervisor = home.supervisor()
    identities = [*([supervisor] if supervisor else []), *processes.read_identities(home.processes_file)]
    measured = measure([identity for identity in identities if identity.alive])
    addresses = home.read_addresses()
    queues, parked = _queues(settings)
    return Status(
        home=str(home.path),
        running=supervisor is not None,
        addresses=msgspec.to_builtins(addresses) if addresses else {},
        processes=measured,
        pss_mib=round(sum(one.pss_mib or 0 for one in measured), 1),
        cpu_percent=round(sum(one.cpu_percent for one in measured), 1),
        queues=queues,
        parked=parked,
        models=_models(settings),
    )


def measure(identities: Sequence[Identity], *, sample_s: float = SAMPLE_S) -> list[ProcessStatus]:
    """Memory and CPU of processes with their children. A child that belongs to another of them is counted there."""
    own = {identity.pid for identity in identities}
    groups = {
        identity: [
            p
            for p in processes.family(identity)
            if p.pid == identity.pid or (p.pid not in own and not _under(p, own - {identity.pid}, identity.pid))
        ]
        for identity in identities
    }
    before = {identity: sum(map(_cpu_s, group)) for identity, group in groups.items()}
    began = time.monotonic()
    time.sleep(sample_s)
    after = {identity: sum(map(_cpu_s, group)) for identity, group in groups.items()}
    took_s = time.monotonic() - began
    return [
        ProcessStatus(
            name=identity.name,
            pid=identity.pid,
            processes=len(group),
            uptime_s=_uptime_s(identity),
            pss_mib=_pss_mib(group),
            cpu_percent=round(max(0.0, after[identity] - before[identity]) / took_s * 100, 1),
        )
        for identity, group in groups.items()
    ]


def _uptime_s(identity: Identity) -> float:
    """How long a process has run; 0 where it has ended."""
    process = identity.process()
    with contextlib.suppress(psutil.Error):
        return round(time.time() - process.create_time(), 1) if process else 0.0
    return 0.0


def _under(process: psutil.Process, others: set[int], stop: int) -> bool:
    """Whether a process descends from one of the others before it descends from `stop`."""
    with contextlib.suppress(psutil.Error):
        for parent in process.parents():
            if parent.pid in others:
                return True
            if parent.pid == stop:
                return False
    return False


def _cpu_s(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def _pss_mib(group: Sequence[psutil.Process]) -> float | None:
    """The sum of PSS; None where the system does not let us see it."""
    total = 0
    for process in group:
        try:
            total += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
        except (psutil.Error, AttributeError):
            return None
    return round(total / _MIB, 1)


def _queues(settings: Settings) -> tuple[dict[str, int] | None, int | None]:
    import redis

    try:
        with redis.Redis.from_url(settings.redis, socket_timeout=2, socket_connect_timeout=2) as client:
            return {name: int(client.llen(queue_name(name))) for name in SERVICES}, int(client.llen(PARKED))
    except (redis.RedisError, OSError, RookeryError, ValueError):
        return None, None


def _models(settings: Settings) -> list[dict[str, Any]] | None:
    try:
        listed: list[dict[str, Any]] = call_api(settings, "/models", seconds=2)["models"]
    except (RookeryError, KeyError, TypeError):
        return None
    return listed


def show(status: Status, console: Console) -> None:
    """The status for people."""
    if not status.running:
        answers = status.queues is not None or status.models is not None
        words = (
            f"`rookery up` does not run on {status.home}; this answers:"
            if answers
            else f"no stack runs on {status.home}"
        )
        console.print(words, highlight=False)
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for heading in ("process", "pid", "processes", "up for", "memory", "CPU"):
        table.add_column(heading, justify="left" if heading == "process" else "right")
    for one in status.processes:
        memory = f"{one.pss_mib:.0f} MiB" if one.pss_mib is not None else "not visible"
        up_for = f"{one.uptime_s:.0f} s" if one.uptime_s < 600 else f"{one.uptime_s / 60:.0f} min"  # noqa: PLR2004 - ten minutes
        table.add_row(one.name, str(one.pid), str(one.processes), up_for, memory, f"{one.cpu_percent:.1f} %")
    if status.processes:
        table.add_section()
        count = sum(one.processes for one in status.processes)
        table.add_row("all", "", str(count), "", f"{status.pss_mib:.0f} MiB", f"{status.cpu_percent:.1f} %")
        console.print(table)
    for name, address in status.addresses.items():
        console.print(f"  {name:<10} {address}", highlight=False, markup=False)
    if status.queues is None:
        console.print("  queues     Redis does not answer", highlight=False)
    else:
        shown = "  ".join(f"{name} {length}" for name, length in status.queues.items())
        console.print(f"  queues     {shown}" + (f"  parked {status.parked}" if status.parked else ""), highlight=False)
    if status.models is None:
        console.print("  models     the prediction API does not answer", highlight=False)
    for model in status.models or []:
        console.print(f"  model      {model['name']} {model['version']}  {model.get('state', '')}", highlight=False)
