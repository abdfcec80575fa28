"""What a row of the table shows: its figures, the marks it is held to, and whether it reached them."""

import itertools
import statistics
import time
from collections.abc import Iterable, Sequence

import msgspec

from tests.faults.arena import Arena
from tests.faults.chain import STEPS
from tests.faults.checker import Findings, Step, check, refusals
from tests.faults.collect import collect
from tests.faults.history import Fault, Handled, Lived, Record, Run, Served

Figure = int | float | str | None


class Outcome(msgspec.Struct, kw_only=True):
    """One row. `missed` says in sentences which marks it did not reach; `not_run` why it was not tried.

    Of a negative control, `saw` is what the checker found, as it should. `recoveries_s` says, for each fault, how long
    it took until work was done again.
    """

    row: str
    figures: dict[str, Figure] = {}
    findings: dict[str, int] = {}
    examples: list[str] = []
    missed: list[str] = []
    saw: list[str] = []
    recoveries_s: list[float] = []
    not_run: str = ""
    seconds: float = 0.0
    is_control: bool = False

    @property
    def passed(self) -> bool:
        """Whether every mark was reached; a negative control passes when it was caught."""
        return not self.missed

    @property
    def verdict(self) -> str:
        """In a word, or why there is none."""
        if self.not_run:
            return f"not run: {self.not_run}"
        if self.is_control:
            return "caught" if self.passed else "NOT CAUGHT"
        return "pass" if self.passed else "MISSED"

    def mark(self, name: str, value: float | None, *, at_most: float) -> None:
        """Holds a figure to a mark; none at all misses it."""
        self.figures[name] = None if value is None else round(value, 3)
        if value is None or value > at_most:
            said = "never" if value is None else f"{value:.2f}"
            self.missed.append(f"{name} {said}, expected at most {at_most:g}")

    def exactly(self, name: str, value: int, *, expected: int) -> None:
        """Holds a count to the only right one."""
        self.figures[name] = value
        if value != expected:
            self.missed.append(f"{name} {value}, expected {expected}")

    def at_least(self, name: str, value: int, *, least: int) -> None:
        """Holds a count of what was done to what was to be done."""
        self.figures[name] = value
        if value < least:
            self.missed.append(f"{name} {value}, expected at least {least}")

    def found(self, findings: Findings) -> None:
        """Takes over what the checker found."""
        self.findings = findings.counts()
        for name, count in self.findings.items():
            if count:
                sentences = getattr(findings, name)
                self.missed.append(f"{count} {name}: {sentences[0]}")
                self.examples += sentences[:5]


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A run that has come to rest, and its records."""

    records: list[Record]
    drained_at: float | None

    def faults(self, *names: str) -> list[Fault]:
        """The faults of these names, or all."""
        return [one for one in self.records if isinstance(one, Fault) and (not names or one.name in names)]

    def recoveries(self, *names: str) -> list[float | None]:
        """Seconds from the end of each fault to the beginning of the first work after it that was finished."""
        begun = sorted(one.began_at for one in self.records if isinstance(one, Handled))
        ends = [fault.over_at for fault in self.faults(*names)]
        return [next((moment - end for moment in begun if moment > end), None) for end in ends]

    def longest_pause_s(self) -> float:
        """The longest time without an effect, from the first fault to the last effect."""
        first = min((fault.at for fault in self.faults()), default=0.0)
        moments = sorted(one.at for one in self.records if isinstance(one, Handled) and one.at > first - 1)
        return max((after - before for before, after in itertools.pairwise(moments)), default=0.0)

    def drained_s(self) -> float | None:
        """Seconds from the end of the last fault to the last effect and the last end of a run."""
        if self.drained_at is None:
            return None
        last = max((fault.over_at for fault in self.faults()), default=0.0)
        ends = [one.at for one in self.records if isinstance(one, Handled)]
        ends += [one.ended_at for one in self.records if isinstance(one, Run) and one.ended_at is not None]
        return max(0.0, max(ends, default=last) - last)

    def deaths(self) -> list[Lived]:
        """The ends of processes that nobody had planned."""
        return [one for one in self.records if isinstance(one, Lived) and not one.planned]


async def judge(
    arena: Arena,
    outcome: Outcome,
    *,
    drain_s: float = 60.0,
    deaths: int = 0,
    timed: bool = True,
    steps: Iterable[Step] = STEPS,
) -> Judged:
    """Lets a run come to rest and holds it to what every row is held to.

    Nothing lost, twice, stuck; every process alive again; no process ended that the harness had not ended.
    """
    drained_at = await arena.drained(drain_s)
    missing = await arena.working()
    judged = Judged(records=await collect(arena), drained_at=drained_at)
    outcome.found(check(judged.records, steps))
    outcome.exactly("workers dead for good", len(missing), expected=0)
    outcome.exactly("deaths of their own", len(judged.deaths()), expected=deaths)
    outcome.exactly("refused", len(refusals(judged.records)), expected=0)
    effects = [one for one in judged.records if isinstance(one, Handled)]
    outcome.figures["predictions"] = sum(isinstance(one, Served) for one in judged.records)
    outcome.figures |= {"runs": len({one.run for one in effects}), "effects": len(effects)}
    if timed:
        outcome.mark("drained s", judged.drained_s(), at_most=30)
    return judged


def recovered(outcome: Outcome, values: Sequence[float | None], *, at_most: float) -> None:
    """How long it took after each fault until work was done again; it counts among all recoveries."""
    outcome.recoveries_s += [round(value, 3) for value in values if value is not None]
    spread(outcome, "working again s", values, at_most=at_most)


def spread(outcome: Outcome, name: str, values: Sequence[float | None], *, at_most: float) -> None:
    """Median and worst of a figure; the worst is held to the mark."""
    known = [value for value in values if value is not None]
    outcome.figures[f"{name} median"] = round(statistics.median(known), 3) if known else None
    worst = None if len(known) < len(values) or not values else max(known)
    outcome.mark(f"{name} worst", worst, at_most=at_most)


class Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def seconds(self) -> float:
        """So far."""
        return round(time.monotonic() - self._began, 1)
