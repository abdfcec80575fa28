"""What the processes of a run are started with."""

import asyncio
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from services.local.health import Check
from services.local.servers import Command
from services.local.supervisor import Service
from tests.faults.ground import ROOT


class Launch(msgspec.Struct, frozen=True):
    """Makes the services of a run, whose logs and ready marks lie in `folder`."""

    folder: Path
    environment: Mapping[str, str]
    server_environment: Mapping[str, str]

    def server(
        self, name: str, command: Command, healthy: Check, stop: signal.Signals, prepare: Callable[[str], None]
    ) -> Service:
        """PostgreSQL or Redis."""
        return Service(
            name=name,
            command=msgspec.structs.replace(command, env={**command.env, **self.server_environment}),
            healthy=healthy,
            prepare=lambda: prepare(name),
            end_with=((stop, 3.0), (signal.SIGQUIT, 1.0)),
            log_file=self.folder / f"{name}.log",
        )

    def worker(self, service: str, number: int) -> Service:
        """A worker of the chain, with one child."""
        name = f"{service}-{number}"
        words = ("-A", "tests.faults.worker:app", "worker", "-n", f"{name}@%h", "-c", "1")
        return self._celery(name, *words, "--without-gossip", "--without-mingle", SERVICE=service)

    def real_worker(self, service: str, number: int) -> Service:
        """A worker of the product, with points to crash at."""
        words = ("-A", "tests.faults.real_worker:app", "worker", "-n", f"{service}-{number}@%h", "-c", "1")
        return self._celery(f"{service}-{number}", *words, "--without-gossip", "--without-mingle", SERVICE=service)

    def real_beat(self, number: int) -> Service:
        """A beat of the product."""
        return self._celery(f"beat-{number}", "-A", "beat.app:app", "beat", "--pidfile=")

    def beat(self, number: int) -> Service:
        """A beat."""
        return self._celery(f"beat-{number}", "-A", "tests.faults.beat_app:app", "beat", "--pidfile=")

    def inference(self, healthy: Check) -> Service:
        """The prediction API."""
        words = (sys.executable, "-m", "tests.faults.inference_main")
        return Service(
            name="inference",
            command=Command(argv=words, env=self.environment, cwd=str(ROOT)),
            healthy=healthy,
            end_with=((signal.SIGTERM, 2.0),),
            log_file=self.folder / "inference.log",
        )

    def _celery(self, name: str, *words: str, **extra: str) -> Service:
        ready = self.folder / f"{name}.ready"
        environment = {**self.environment, "READY_FILE": str(ready), **extra}
        command = Command(argv=(sys.executable, "-m", "celery", *words), env=environment, cwd=str(ROOT))
        return Service(
            name=name,
            command=command,
            healthy=_is_there(ready),
            prepare=lambda: ready.unlink(missing_ok=True),
            end_with=((signal.SIGTERM, 1.0), (signal.SIGQUIT, 2.0)),
            log_file=self.folder / f"{name}.log",
        )


def _is_there(path: Path) -> Check:
    """A check: the process has written its file."""

    async def check() -> bool:
        return await asyncio.to_thread(path.exists)

    return check
