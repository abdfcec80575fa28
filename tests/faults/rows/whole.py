"""The product as it is: real data, real fits, real versions in a real folder, while its processes are killed."""

import asyncio
import time

from common.bundles.reader import list_versions, read_aliases, read_manifest, verify_files
from common.errors import BundleError
from tests.faults.arena import Arena, Plan, chosen, running
from tests.faults.ground import Ground
from tests.faults.history import Run
from tests.faults.load import load
from tests.faults.outcome import Outcome, judge
from tests.specs import PENGUINS, PENGUINS_CSV

RUN_EVERY_S = 4.0
# Within this, beat repeats what a crash kept from being written to the folder.
FOLLOWS_S = 7.0


async def kills(ground: Ground, *, count: int, every_s: float = 3.0) -> Outcome:
    """`kill -9` of workers and beat while penguins are ingested, preprocessed, fitted and published again and again."""
    outcome = Outcome(row="kill -9 in the whole chain")
    random = chosen(7)
    async with running(ground, Plan(name="whole-kills", real=True)) as arena:
        (arena.shared / "datasets" / "penguins.toml").write_text(PENGUINS)
        (arena.shared / "data" / "penguins.csv").write_text(PENGUINS_CSV)
        await arena.drained(60)
        async with load(arena, datasets=("penguins",), per_s=1 / RUN_EVERY_S):
            for _ in range(count):
                await asyncio.sleep(every_s)
                name, at = random.choice(arena.names("train") * 2 + _others(arena)), time.time()
                children = arena.children(name)
                arena.kill(name, pid=children[0] if children and random.random() < 0.5 else None)
                arena.fault("kill", name, at=at)
        # Its effects are versions, not traces: nothing is held to the steps of the chain.
        judged = await judge(arena, outcome, steps=(), timed=False, drain_s=90)
        outcome.at_least("kills", len(judged.faults()), least=count)
        runs = [one for one in judged.records if isinstance(one, Run)]
        outcome.figures |= {state: sum(one.state == state for one in runs) for state in ("completed", "superseded")}
        await asyncio.sleep(FOLLOWS_S)
        await _hold_versions(arena, outcome)
    return outcome


def _others(arena: Arena) -> list[str]:
    return [name for name in arena.names() if name.partition("-")[0] in {"ingest", "preprocess", "beat"}]


async def _hold_versions(arena: Arena, outcome: Outcome) -> None:
    """Each training that was not overtaken made one version, each is whole, and the folder says which one is live."""
    doubles = await arena.rows(
        "SELECT run_id, family FROM rookery.model_versions WHERE state IN ('published', 'held')"
        " GROUP BY run_id, family HAVING count(*) > 1"
    )
    outcome.exactly("versions twice", len(doubles), expected=0)
    missing = await arena.rows(
        "SELECT run, family FROM (SELECT correlationid AS run, data->>'family' AS family, result FROM rookery.events"
        " WHERE type = 'training.requested') AS e GROUP BY run, family HAVING bool_and(result = 'handled')"
        " AND NOT EXISTS (SELECT FROM rookery.model_versions v WHERE v.run_id = e.run AND v.family = e.family"
        "  AND v.state IN ('published', 'held'))"
    )
    outcome.exactly("versions missing", len(missing), expected=0)
    live = await arena.rows("SELECT model, live FROM rookery.live_models")
    keys, folder = arena.settings.signing_keys, arena.settings.models_dir
    wrong, versions = [], 0
    for row in live:
        if read_aliases(folder, row.model, keys).live != row.live:
            wrong.append(f"{row.model} is not live as PostgreSQL says")
        for version in list_versions(folder, row.model):
            versions += 1
            try:
                manifest = read_manifest(folder, row.model, version, keys)
                verify_files(folder, manifest, list(manifest.files))
            except BundleError as error:
                wrong.append(f"{row.model}@{version}: {error.message}")
    outcome.examples += wrong
    outcome.exactly("versions not whole, or not live", len(wrong), expected=0)
    outcome.at_least("models", len(live), least=1)
    outcome.figures["versions"] = versions
