"""The table of what the chain must reach, from the files in bench/results/: goal, measured, met.

`python -m bench.pipeline.table` prints it, and writes it into docs/pipeline.md between two marks. What has no file
there was not run; that is never met.
"""

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from bench.pipeline.stack import ROOT

RESULTS = ROOT / "bench" / "results"
PAGE = ROOT / "docs" / "pipeline.md"
BEGIN, END = "<!-- table: written by make bench-pipeline -->", "<!-- table: end -->"
MILLION, TEN_MILLIONS = 1_000_000, 10_000_000
MEMORY_MB = 400
KINDS = ("csv", "parquet")
NOT_RUN = f"not run: `ROWS={TEN_MILLIONS} make bench-ingest`"


class Line(msgspec.Struct, frozen=True):
    """One goal. `met` is None where nothing was measured."""

    work: str
    goal: str
    measured: str
    met: bool | None
    when: str = ""

    @property
    def verdict(self) -> str:
        """In words."""
        return {None: "-", True: "met", False: "MISSED"}[self.met]


def lines() -> Iterator[Line]:
    """Every goal, in the order of the chain."""
    ingests = {(kind, rows): _result(f"ingest-{kind}-{rows}") for kind in KINDS for rows in (MILLION, TEN_MILLIONS)}
    for kind in KINDS:
        yield from _million(kind, ingests[kind, MILLION])
    for kind in KINDS:
        yield from _ten_millions(kind, ingests[kind, MILLION], ingests[kind, TEN_MILLIONS])
    for kind in KINDS:
        yield from _preprocess(kind, ingests[kind, TEN_MILLIONS])
    yield from _chain(_result("pipeline"), _result("hops"))


def _million(kind: str, found: dict[str, Any] | None) -> Iterator[Line]:
    work = f"ingest of 1 million rows, {kind}"
    if found is None:
        yield Line(work, "20x pandas.to_sql, 50 % of COPY", "not run", None)
        return
    rate, when = found["rows"] / found["ingest_s"], _when(found)
    times, share = rate / found["to_sql_rows_per_s"], rate * found["copy_s"] / found["rows"]
    told = f"{rate:,.0f} rows/s"
    yield Line(f"{work}, of `pandas.to_sql`", ">= 20x", f"{told}, {times:.0f}x", times >= 20, when)
    yield Line(f"{work}, of a bare `COPY`", ">= 50 %", f"{share:.0%}", share >= 0.5, when)


def _ten_millions(kind: str, small: dict[str, Any] | None, found: dict[str, Any] | None) -> Iterator[Line]:
    work = f"ingest of 10 million rows, {kind}"
    if found is None:
        yield Line(work, "same rows/s, 400 MB, tables readable", NOT_RUN, None)
        return
    rate, when = found["rows"] / found["ingest_s"], _when(found)
    if small is not None:
        ratio = rate * small["ingest_s"] / small["rows"]
        told = f"{rate:,.0f} rows/s, {ratio:.0%}"
        yield Line(f"{work}, of the rows/s of 1 million", ">= 85 %", told, ratio >= 0.85, when)
    peak = found["ingest_mb"]
    yield Line(f"{work}, memory of the worker", f"<= {MEMORY_MB} MB", f"{peak:.0f} MB", peak <= MEMORY_MB, when)
    yield _reader(f"{work}: wrong answers to a reader of the tables meanwhile", found.get("while_read"), when)


def _reader(work: str, found: dict[str, Any] | None, when: str) -> Line:
    if found is None:
        return Line(work, "0", "not measured", None)
    reader = found["reader"]
    told = f"{len(reader['bad'])} of {reader['reads'] + reader['counts']:,}; longest wait "
    told += f"{reader['longest_read_ms']:.0f} ms, with a count of all rows {reader['longest_count_ms']:.0f} ms"
    return Line(work, "0", told, not reader["bad"], when)


def _preprocess(kind: str, found: dict[str, Any] | None) -> Iterator[Line]:
    work = f"preprocess of 10 million rows, from {kind}"
    if found is None:
        yield Line(work, "50 % of CREATE TABLE AS, 400 MB", NOT_RUN, None)
        return
    rate, when, peak = found["rows"] / found["preprocess_s"], _when(found), found["both_mb"]
    share = found["ctas_s"] / found["preprocess_s"]
    told = f"{rate:,.0f} rows/s, {share:.0%}"
    yield Line(f"{work}, of a bare `CREATE TABLE AS`", ">= 50 %", told, share >= 0.5, when)
    yield Line(f"{work}, memory of the worker", f"<= {MEMORY_MB} MB", f"{peak:.0f} MB", peak <= MEMORY_MB, when)


def _chain(pipeline: dict[str, Any] | None, hops: dict[str, Any] | None) -> Iterator[Line]:
    work = "from `ingest.requested` to served, penguins, warm"
    if pipeline is None:
        yield Line(work, "1.25x the same fits in one script + 0.5 s", "not run", None)
    else:
        chain = pipeline["chain"]
        goal = f"<= 1.25x the fits in one script ({chain['plain_script_s']:.2f} s) + 0.5 s: {chain['allowed_s']:.2f} s"
        yield Line(work, goal, f"{chain['request_to_served_s']:.2f} s", chain["met"], _when(pipeline))
    if hops is None:
        yield Line("the three hops alone, median", "<= 50 ms", "not run", None)
    else:
        took = hops["rookery"]["median_ms"]
        yield Line("the three hops alone, median", "<= 50 ms", f"{took:.1f} ms", took <= 50, _when(hops))
    work = "a grid of 200 on 20,000 rows, two train processes"
    if pipeline is None:
        yield Line(work, ">= 1.7x one", "not run", None)
    else:
        grid = pipeline["grid"]
        told = f"{grid['two_processes_s']:.1f} s for {grid['one_process_s']:.1f} s, {grid['speedup']:.2f}x"
        yield Line(work, ">= 1.7x one", told, grid["met"], _when(pipeline))


def _result(name: str) -> dict[str, Any] | None:
    path = RESULTS / f"{name}.json"
    found: dict[str, Any] | None = json.loads(path.read_text()) if path.exists() else None
    return found


def _when(found: dict[str, Any]) -> str:
    """The day and the machine."""
    machine = found["machine"]
    load = f", load {machine['load_1_min']:.1f}" if "load_1_min" in machine else ""
    return f"{found['measured_on']}, {machine['cores']} cores{load}"


def markdown() -> str:
    """The table as a page shows it."""
    head = "| work | goal | measured | | measured on |\n| --- | --- | --- | --- | --- |\n"
    return head + "".join(
        f"| {line.work} | {line.goal} | {line.measured} | {line.verdict} | {line.when} |\n" for line in lines()
    )


def main() -> None:
    """Prints, and writes the page."""
    found = list(lines())
    widths = [max(len(getattr(line, name)) for line in found) for name in ("work", "goal", "measured")]
    for line in found:
        cells = zip((line.work, line.goal, line.measured), widths, strict=True)
        print("  ".join(f"{cell:<{width}}" for cell, width in cells), line.verdict, sep="  ")
    page = PAGE.read_text()
    before, after = page.partition(BEGIN)[0], page.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n\n{markdown()}\n{END}{after}")


if __name__ == "__main__":
    main()
