"""What clients should not send, and clients that never finish sending."""

import asyncio
import contextlib
import random
import sys
import time

import msgspec
import numpy as np

from services.local.servers import LOOPBACK
from tests.faults import trickle
from tests.faults.arena import chosen
from tests.faults.ground import ROOT, Ground
from tests.faults.history import Served
from tests.faults.malformed import malformed
from tests.faults.outcome import Outcome
from tests.faults.parlour import Models, Parlour
from tests.faults.rows.serving import close

HANG_S = 20.0
AT_ONCE = 32


class Answers(msgspec.Struct):
    """What came of malformed requests, counted."""

    refused: int = 0
    closed: int = 0
    server_errors: list[str] = []
    accepted: list[str] = []
    hung: list[str] = []


async def malformed_requests(ground: Ground, *, count: int) -> Outcome:
    """Requests that are wrong in many ways, with good ones between."""
    outcome = Outcome(row="malformed HTTP")
    source = chosen(6)
    answers = Answers()
    async with Parlour(ground, "malformed", Models(trees=3)) as parlour:
        before = parlour.process.memory_info().rss
        waiting = iter(range(count))

        async def client(choices: random.Random) -> None:
            for number in waiting:
                await _send(parlour, number, choices, answers)

        async with parlour.clients(2):
            await asyncio.gather(*(client(chosen(source.randrange(2**31))) for _ in range(AT_ONCE)))
        outcome.figures |= {"requests": count, "refused": answers.refused, "closed": answers.closed}
        outcome.figures["RSS growth MB"] = round((parlour.process.memory_info().rss - before) / 2**20, 1)
        for name, wrong in (
            ("answers 5xx", answers.server_errors), ("harmful 2xx", answers.accepted), ("hangs", answers.hung),
        ):  # fmt: skip
            outcome.exactly(name, len(wrong), expected=0)
            outcome.examples += wrong[:5]
        close(outcome, parlour)
    return outcome


async def _send(parlour: Parlour, number: int, choices: random.Random, answers: Answers) -> None:
    """Sends one malformed request and notes its answer."""
    name, raw = malformed(number, choices)
    try:
        async with asyncio.timeout(HANG_S):
            reader, writer = await asyncio.open_connection(LOOPBACK, parlour.port)
            with contextlib.suppress(ConnectionError):
                writer.write(raw)
                await writer.drain()
            head = b""
            with contextlib.suppress(ConnectionError):
                head = await reader.readline()
            writer.close()
    except TimeoutError:
        answers.hung.append(name)
        return
    status = int(head.split()[1]) if head.startswith(b"HTTP/") else 0
    if status == 0:
        answers.closed += 1
    elif status >= 500:
        answers.server_errors.append(f"{name}: {status}")
    elif status < 300:
        answers.accepted.append(f"{name}: {status}")
    else:
        answers.refused += 1


async def slow_connections(ground: Ground, *, count: int, seconds: float) -> Outcome:
    """Connections that send a byte a second, half of them of the head and half of the body."""
    outcome = Outcome(row="slow connections")
    async with Parlour(ground, "slow", Models(trees=3)) as parlour, parlour.clients():
        await asyncio.sleep(5)
        slow_from = time.time()
        lives = await _trickles(parlour.port, count, seconds)
        until = time.time()
        served = parlour.history.of(Served)
        steady, during = (
            float(np.percentile([one.seconds * 1000 for one in served if since <= one.at < end], 99))
            for since, end in ((0, slow_from), (slow_from, until))
        )
        outcome.figures |= {"connections": count, "p99 steady ms": round(steady, 2)}
        outcome.mark("p99 ms", during, at_most=max(2 * steady, steady + 10))
        outcome.exactly("closed by the server", sum(life is not None for life in lives), expected=count)
        outcome.mark("closed within s", max((life for life in lives if life is not None), default=None), at_most=20)
        close(outcome, parlour)
    return outcome


async def _trickles(port: int, count: int, seconds: float) -> list[float | None]:
    """Slow connections out of a process of their own: their work is not to delay the clients that are measured."""
    words = (sys.executable, "-m", trickle.__name__, str(port), str(count), str(seconds))
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE, cwd=ROOT)
    said, _ = await process.communicate()
    return msgspec.json.decode(said, type=list[float | None])
