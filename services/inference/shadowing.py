"""Shadow: a candidate answers a share of the live version's requests too, unseen, after them, and within bounds.

What is sampled is a request, or a slice of a large one or of a stream. It is never waited for. Of more than a few
records it is evaluated in a thread of its own, so that neither the loop nor the slices of other requests wait for it.
"""

import asyncio
from collections.abc import Callable
from time import perf_counter

from common.errors import RecordError
from common.features import Floats
from services.inference.batching import Outcome
from services.inference.service import Service
from services.inference.serving.serving_map import Served
from services.inference.web.problems import ProblemError

# Candidates have at most so many records and samples to answer at a time; further samples are counted as skipped.
_MOST_RECORDS = 1024
_MOST_SAMPLES = 64
# Up to here a call costs less than the switch to a thread.
_FEW_RECORDS = 32

# The same records for a candidate whose features are others.
Again = Callable[[Served], Floats]


def shadow(service: Service, served: Served, matrix: Floats, outcome: Outcome, again: Again) -> None:
    """Lets the candidate answer what the live version has answered, where the share says that it is its turn."""
    view = service.serving.models.get(served.model)
    if view is None or view.candidate is None or view.live is not served:
        return
    credit = service.shadow_credit.get(served.model, 0.0) + view.shadow_share
    service.shadow_credit[served.model] = credit if credit < 1.0 else credit - 1.0
    if credit < 1.0:
        return
    candidate, count = view.candidate, len(outcome.labels)
    pair = (served.model, served.version, candidate.version)
    if len(service.background) >= _MOST_SAMPLES or service.shadow_records + count > _MOST_RECORDS:
        service.metrics.shadow_skipped(pair, count)
        return
    if candidate.manifest.features != served.manifest.features:
        try:
            matrix = again(candidate)
        except (RecordError, ProblemError):
            # It knows other features and cannot answer what the live version could.
            service.metrics.shadowed(pair, 0, count, 0.0)
            return
    service.shadow_records += count
    task = asyncio.get_running_loop().create_task(_run(service, served, candidate, matrix, outcome))
    service.background.add(task)
    task.add_done_callback(service.background.discard)


async def _run(service: Service, served: Served, candidate: Served, matrix: Floats, outcome: Outcome) -> None:
    started = perf_counter()
    try:
        if len(matrix) <= _FEW_RECORDS:
            theirs = await candidate.batcher.submit(matrix)
        else:
            theirs = await candidate.batcher.aside(matrix, service.shadow_worker)
    finally:
        service.shadow_records -= len(outcome.labels)
    agreed = sum(mine == other for mine, other in zip(outcome.labels, theirs.labels, strict=True))
    pair = (served.model, served.version, candidate.version)
    service.metrics.shadowed(pair, agreed, len(outcome.labels) - agreed, perf_counter() - started)
