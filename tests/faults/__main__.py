"""`python -m tests.faults [--long] [ROW ...]`: runs rows of the table and prints them.

A run of all rows writes bench/results/faults.json.
"""

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence

import structlog

from tests.faults import report
from tests.faults.ground import ROOT, Ground, ground
from tests.faults.outcome import Clock, Outcome
from tests.faults.table import CONTROLS, ROWS, Row

CONTROLS_AT_ONCE = 3
RESULTS = ROOT / "bench" / "results" / "faults.json"


async def run_all(place: Ground, rows: Sequence[Row], *, long: bool) -> list[Outcome]:
    """Runs rows one after the other, and the controls, whose times say nothing, some at once."""
    outcomes = [await run_row(place, row, long=long) for row in rows if row not in CONTROLS]
    places = asyncio.Semaphore(CONTROLS_AT_ONCE)

    async def control(row: Row) -> Outcome:
        async with places:
            return await run_row(place, row, long=long)

    return [*outcomes, *await asyncio.gather(*(control(row) for row in rows if row in CONTROLS))]


async def run_row(place: Ground, row: Row, *, long: bool) -> Outcome:
    """Runs a row and prints it. A row that breaks is a row that failed; the others are still run."""
    clock = Clock()
    try:
        outcome = await (row.long if long else row.short)(place)
    except Exception as error:  # noqa: BLE001 - it is told in the row
        outcome = Outcome(row=row.name, missed=[f"the harness gave up: {type(error).__name__}: {error}"])
        outcome.is_control = row in CONTROLS
    outcome.seconds = clock.seconds()
    tell(report.line(outcome))
    return outcome


def tell(text: str) -> None:
    """Prints at once, also into a pipe."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Returns 0 where all rows that were run reached their marks, and their sums too."""
    rows = {row.name: row for row in (*ROWS, *CONTROLS)}
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=(__doc__ or "").partition(": ")[2])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"only these: {', '.join(rows)}")
    parser.add_argument("--long", action="store_true", help="the long run's numbers; takes hours")
    parser.add_argument("--keep", action="store_true", help="leave logs and histories where they are")
    options = parser.parse_args()
    unknown = set(options.rows) - set(rows)
    if unknown:
        parser.error(f"there is no row {', '.join(sorted(unknown))}; the rows are {', '.join(rows)}")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    wanted = [rows[name] for name in options.rows] if options.rows else list(rows.values())
    clock = Clock()
    with ground(keep=options.keep) as place:
        outcomes = asyncio.run(run_all(place, wanted, long=options.long))
        if options.keep:
            tell(f"kept: {place.folder}")
    summary = report.summary(outcomes, whole=not options.rows)
    tell(f"{summary}\n{clock.seconds()} s in all")
    if not options.rows:
        report.write(RESULTS, outcomes, long=options.long)
        tell(f"written: {RESULTS.relative_to(ROOT)}")
    return 0 if all(one.passed for one in outcomes) and report.NOT_REACHED not in summary else 1


sys.exit(main())
