"""What a run of all rows prints at its end."""

from tests.faults.outcome import Outcome
from tests.faults.report import NOT_REACHED, summary


def test_the_summary_adds_up_what_was_done_and_what_was_found() -> None:
    """Counts of all rows are summed, controls apart; recoveries are told by median and worst."""
    said = summary(
        [
            Outcome(row="a", figures={"kills": 12, "workers dead for good": 0}, recoveries_s=[0.1, 0.3]),
            Outcome(
                row="b", figures={"kills": 9, "versions": 4}, findings={"lost": 0, "versions": 0}, recoveries_s=[1.5]
            ),
            Outcome(row="control", is_control=True, findings={"lost": 7}, figures={"kills": 99}),
        ]
    ).splitlines()
    assert said[1].split() == ["kill", "-9", "of", "a", "process", "21", "20"]
    assert [line.split() for line in said if line.startswith("lost")] == [["lost", "0", "0"]]
    assert NOT_REACHED not in " ".join(said[11:])
    assert "working again after a fault: median 0.30 s, worst 1.50 s (3 faults)" in said
    assert said[-1] == "all 2 rows as they should be"


def test_the_summary_says_what_was_not_reached() -> None:
    """Too few faults, a finding, a control that was not caught and a row that was not run are each told."""
    said = summary(
        [
            Outcome(row="a", figures={"emptied": 2}, findings={"lost": 1}, missed=["1 lost"]),
            Outcome(row="b", not_run="no right to mount"),
            Outcome(row="c", is_control=True, missed=["lost: nothing was found"]),
        ]
    )
    assert said.count("NOT REACHED") == 3
    assert "not run: b: no right to mount" in said
    assert "not as it should be: a; c" in said
