"""`rookery up`: the whole stack in the foreground, from nothing to a served model, and down again."""

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import TextIO

from rich.console import Console
from rich.markup import escape

from common.errors import ConflictError
from common.logs import configure_logs, get_logger
from services.local import processes
from services.local.home import EMBEDDED, EXISTING, Addresses, Home
from services.local.servers import STOP_POSTGRES
from services.local.stack import APPLICATIONS, ENDING, SERVERS, Stack, project_folder
from services.local.supervisor import StartError, Supervisor
from services.local.surroundings import Surroundings, check_database, check_redis, look_around, make_database

log = get_logger(__name__)


def up(environment: Mapping[str, str], console: Console) -> int:
    """Runs the stack until somebody ends it. Returns the exit code."""
    home = Home.at(environment.get("ROOKERY_HOME") or ".rookery")
    home.make()
    with home.held(), (home.logs / "supervisor.log").open("a") as log_file:
        return asyncio.run(_Up(home, environment, console, log_file).run())


class _Up:
    """One run of the stack."""

    def __init__(self, home: Home, environment: Mapping[str, str], console: Console, log_file: TextIO) -> None:
        self._home = home
        self._environment = environment
        self._console = console
        self._began = time.monotonic()
        self._asked_to_end = asyncio.Event()
        self._supervisor = Supervisor(home.processes_file, self._warn)
        self._log_file = log_file

    async def run(self) -> int:
        """Starts everything, stays, and ends everything, whatever happens in between."""
        self._listen()
        self._end_leftovers()
        around = look_around(self._environment, self._home)
        configure_logs(around.settings, "supervisor", output=self._log_file)
        work = asyncio.create_task(self._work(around))
        asked = asyncio.create_task(self._asked_to_end.wait())
        rotation = asyncio.create_task(self._supervisor.rotate_logs())
        try:
            await asyncio.wait((work, asked), return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()  # raises what went wrong
                await asked
            return 0
        finally:
            for task in (work, asked, rotation):
                task.cancel()
            await asyncio.gather(work, return_exceptions=True)  # what it raised was raised above
            await self._end()

    async def _work(self, around: Surroundings) -> None:
        """From nothing to a served model."""
        for note in around.notes:
            self._say(f"[yellow]{escape(note)}[/]")
        stack = Stack(self._home, around)
        self._supervisor.start(stack.nursery())
        await self._start_servers(stack, around)
        await self._migrate(around)
        self._write_addresses(around)
        applications = stack.applications()
        for service in applications:
            self._supervisor.start(service)
        await self._supervisor.wait_healthy(APPLICATIONS)
        self._step(f"{len(applications)} processes work")
        await self._first_run(stack)

    async def _first_run(self, stack: Stack) -> None:
        """Has the first run shown by a process of its own, on our terminal."""
        sys.stdout.flush()
        code = await stack.show_first_run(self._began, sys.stdout.buffer)
        if code != 0:
            self._warn("the first run was not shown to its end: see `rookery runs` and `rookery status`")

    async def _start_servers(self, stack: Stack, around: Surroundings) -> None:
        settings = around.settings
        embedded = stack.servers()
        if around.postgres is not None:
            if not (around.postgres.data / "PG_VERSION").exists():
                self._say("making the database")
            await asyncio.to_thread(around.postgres.prepare, self._home.make_secret("database_password"))
        for service in embedded:
            self._supervisor.start(service)
        await self._supervisor.wait_healthy([service.name for service in embedded])
        if around.postgres is None:
            await asyncio.to_thread(check_database, settings)
            self._step("PostgreSQL: the one that was given")
        else:
            await asyncio.to_thread(make_database, around)
            self._step(f"PostgreSQL 18 at 127.0.0.1:{around.postgres.port}, data in {around.postgres.data}")
        warning = await asyncio.to_thread(check_redis, settings)
        if warning:
            self._warn(warning)
        self._step(
            "Redis: the one that was given" if around.redis is None else f"Redis at 127.0.0.1:{around.redis.port}"
        )

    async def _migrate(self, around: Surroundings) -> None:
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "alembic", "upgrade", "head"],
            cwd=project_folder(),
            env=around.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        (self._home.logs / "migrations.log").write_text(done.stdout + done.stderr)
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines()
            raise StartError(
                f"the migrations failed: {lines[-1] if lines else done.returncode}; see logs/migrations.log"
            )
        self._step("tables are up to date")

    def _write_addresses(self, around: Surroundings) -> None:
        settings = around.settings
        self._home.write_addresses(
            Addresses(
                api=settings.inference_url,
                console=around.console_url,
                flower=settings.flower_url,
                shared_dir=settings.shared_dir,
                postgres=EMBEDDED if around.postgres else EXISTING,
                redis=EMBEDDED if around.redis else EXISTING,
            )
        )

    def _end_leftovers(self) -> None:
        """Ends what a stack that was killed has left running, so that nothing works on this instance twice."""
        ended = _end_recorded(self._home)
        if ended:
            self._say(f"ended {len(ended)} processes of a stack that was killed")
        self._home.processes_file.unlink(missing_ok=True)

    def _listen(self) -> None:
        """Ctrl-C, `kill` and a closed terminal ask to end; a second Ctrl-C does not wait."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
                loop.add_signal_handler(number, self._ask_to_end)

    def _ask_to_end(self) -> None:
        if self._asked_to_end.is_set():
            self._supervisor.kill_all()
        self._asked_to_end.set()

    async def _end(self) -> None:
        began = time.monotonic()
        self._say("stopping")
        for names in ENDING:
            await self._supervisor.end(names)
        self._home.processes_file.unlink(missing_ok=True)
        self._say(f"stopped in {time.monotonic() - began:.1f} s")

    def _step(self, text: str) -> None:
        self._say(f"[green]✓[/] {escape(text)} [dim]{time.monotonic() - self._began:.1f} s[/]")

    def _warn(self, text: str) -> None:
        self._say(f"[yellow]![/] {escape(text)}")

    def _say(self, text: str) -> None:
        """One line for people; a terminal that is gone must not keep the stack from ending in order."""
        with contextlib.suppress(OSError):
            self._console.print(text, highlight=False, soft_wrap=True)


def _end_recorded(home: Home) -> list[int]:
    """Ends the recorded processes: the servers last, and PostgreSQL by the signal that does not wait for sessions."""
    recorded = processes.read_identities(home.processes_file)
    others = [identity for identity in recorded if identity.name not in SERVERS]
    ended = processes.end(others, patience_s=3.0)
    return ended + processes.end(
        [identity for identity in recorded if identity.name in SERVERS], first=STOP_POSTGRES, patience_s=4.0
    )


def down(home: Home, console: Console, *, patience_s: float = 30.0) -> None:
    """Ends the running stack and waits for it. Raises ConflictError where none runs."""
    supervisor = home.supervisor()
    if supervisor is None:
        left = _end_recorded(home)
        home.processes_file.unlink(missing_ok=True)
        if not left:
            raise ConflictError(f"no stack runs on {home.path}")
        console.print(f"ended {len(left)} processes of a stack that was killed")
        return
    process = supervisor.process()
    if process is not None:
        process.terminate()
    deadline = time.monotonic() + patience_s
    while supervisor.alive and time.monotonic() < deadline:
        time.sleep(0.05)
    if supervisor.alive:
        raise ConflictError(f"the stack (pid {supervisor.pid}) did not end within {patience_s:.0f} s")
    console.print("stopped")
