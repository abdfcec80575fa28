"""The whole stack as a person starts it: one command, a served model, changed data, faults, and nothing left behind."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.local.servers import SYSTEM_FOLDER, instance_name
from tests.e2e.stacks import PORTS, ROOT, Running, copy_shared
from tests.tables import write_rents, write_trees
from tests.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of `shared`, whose data set is looked at every second and has no minimum intervals."""
    found = tmp_path_factory.mktemp("stack")
    copy_shared(found)
    spec = found / "shared" / "datasets" / "penguins.toml"
    text = re.sub(r"interval_s = 30 ", "interval_s = 1 ", spec.read_text())
    spec.write_text(re.sub(r"min_interval_s = \d+", "min_interval_s = 1", text))
    return found


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Running]:
    """A running stack, shared by the tests of this file in their order; ended by force if they have not."""
    running = Running(folder)
    yield running
    if running.process.poll() is None:
        running.process.terminate()
        running.process.wait(timeout=30)
    # As root, the database lies outside of a home that is closed to others, as pytest's folders are.
    shutil.rmtree(SYSTEM_FOLDER / instance_name(running.home), ignore_errors=True)


def test_one_command_leads_to_a_printed_prediction(stack: Running) -> None:
    """The summary names each model with version, accuracy and seconds, every address, and an answered record."""
    text = stack.wait_up()
    for model in ("logistic_regression", "random_forest", "svc"):
        assert re.search(
            rf"^{model} +1 +accuracy 0\.\d{{4}}|^{model} +1 +accuracy 1\.0000 +\d+\.\d s", text, re.MULTILINE
        ), text
    for name in PORTS:
        assert stack.environment[name] in text
    assert re.search(r"answers +(Adelie|Chinstrap|Gentoo)  \(random_forest, version 1\)", text)


def test_three_models_are_listed(stack: Running) -> None:
    """GET /models lists the three families, ready, with the default."""
    listed = stack.get("/models")
    assert [(model["name"], model["state"]) for model in listed["models"]] == [
        ("logistic_regression", "ready"), ("random_forest", "ready"), ("svc", "ready"),
    ]  # fmt: skip
    assert listed["default"] == "random_forest"


@pytest.mark.parametrize(
    ("name", "expected"), [("psql", "344"), ("redis-cli", "run.completed"), ("predict", '"predictions"')]
)
def test_the_printed_lines_work_when_pasted(stack: Running, name: str, expected: str) -> None:
    """The lines for psql, redis-cli and curl do what they say, from another folder too, and show no password."""
    line = re.search(rf"^  {name} +(.+)$", stack.output.read_text(), re.MULTILINE)
    assert line is not None
    if name == "predict" and shutil.which("curl") is None:
        pytest.skip("curl is not installed here; the API is asked in other ways by the tests around")
    pasted = line[1].replace("COUNT 5", "COUNT 50")
    plain = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
    done = subprocess.run(
        ["/bin/sh", "-c", pasted], cwd=stack.folder, env=plain, capture_output=True, text=True, check=False
    )
    assert expected in done.stdout, done.stdout + done.stderr
    for secret in ("database_password", "redis_password"):
        assert (stack.home / "secrets" / secret).read_text().strip() not in line[1]


def test_no_list_of_processes_shows_a_secret(stack: Running) -> None:
    """No password and no key stands in a command line."""
    shown = " ".join(word for process in stack.members() for word in process.cmdline())
    for file in (stack.home / "secrets").iterdir():
        assert file.stat().st_mode & 0o077 == 0, file
        assert file.read_text().strip() not in shown, file


def test_a_second_stack_on_the_same_home_is_refused(stack: Running) -> None:
    """One line says that it runs already, and how to see and end it."""
    said = stack.rookery("up", code=1)
    assert re.fullmatch(r"rookery: a stack already runs on .* \(pid \d+\): .*rookery down.*\n", said)


def test_the_commands_show_what_happened(stack: Running) -> None:
    """Runs, events and status tell of the first run; status shows memory and CPU of every process."""
    runs = stack.rookery("runs")
    assert "trained" in runs
    assert re.search(r"ingest \d\.\d\d, preprocess \d\.\d\d, train \d+\.\d\d", runs)
    assert "model.trained" in stack.rookery("events", "--limit", "500")
    status = json.loads(stack.rookery("status", "--json"))
    assert {process["name"] for process in status["processes"]} == {"supervisor", *stack.pids()}
    assert status["pss_mib"] > 0
    assert status["queues"] == {"ingest": 0, "preprocess": 0, "train": 0}
    assert status["parked"] == 0


def test_the_stack_takes_at_most_800_mb_at_rest(stack: Running) -> None:
    """Soon after the first training, with nothing to do, the sum of all processes' memory is under 800 MB."""
    status: dict[str, Any] = {}

    def rests() -> bool:
        status.update(json.loads(stack.rookery("status", "--json")))
        return float(status["pss_mib"]) * 2**20 <= 800e6

    wait_until(rests, seconds=60, what="a stack of at most 800 MB")
    assert all(process["pss_mib"] is not None for process in status["processes"])


def test_a_csv_is_answered(stack: Running) -> None:
    """`rookery predict` writes the rows with predictions and probabilities added."""
    source = stack.folder / "birds.csv"
    header, *rows = (ROOT / "shared" / "data" / "penguins.csv").read_text().splitlines()
    source.write_text("\n".join([header, *(row for row in rows if ",," not in row and not row.endswith(","))][:20]))
    stack.rookery("predict", str(source), "--model", "svc")
    first, *answered = (stack.folder / "birds.predictions.csv").read_text().splitlines()
    assert first.startswith(f"{header},prediction,probability_Adelie")
    assert len(answered) == 19


def test_changed_data_lead_to_new_versions_with_nobody_touching_anything(stack: Running) -> None:
    """Rows appended to the data file: new versions of all three are served, and nobody asked for it."""
    before = stack.versions()
    path = stack.folder / "shared" / "data" / "penguins.csv"
    rows = path.read_text().splitlines()
    with path.open("a") as file:
        file.write("\n".join(rows[1:21]) + "\n")
    wait_until(
        lambda: all(version > before[name] for name, version in stack.versions().items()),
        seconds=60,
        what="new versions",
    )


def test_any_table_is_a_data_set(stack: Running, tmp_path: Path) -> None:
    """Two more tables, one of many categories and one to tell a number, go from files to answers, nothing restarted."""
    write_trees(tmp_path / "trees.csv")
    write_rents(tmp_path / "rents.csv")
    stack.rookery("datasets", "init", str(tmp_path / "trees.csv"), "--target", "kind")
    stack.rookery("datasets", "init", str(tmp_path / "rents.csv"), "--target", "rent")
    models = {"trees.logistic_regression", "trees.random_forest", "rents.ridge", "rents.random_forest"}
    wait_until(lambda: models <= stack.ready(), seconds=60, what="the models of both")
    tree = {"place": "plot 07", "soil": "SAND", "height_m": 25}
    answer = stack.post("/predict?model=trees.random_forest", {"records": [tree]})
    assert answer["predictions"] == ["pine"]
    assert answer["classes"] == ["ash", "oak", "pine"]
    rent = {"size_m2": 70, "age_years": 10, "district": "harbour"}
    answer = stack.post("/predict?model=rents.ridge", {"records": [rent]})
    assert abs(answer["predictions"][0] - (9 * 70 - 2 * 10 + 220)) < 25
    assert "probabilities" not in answer


def test_a_version_is_taken_back_and_made_live_again(stack: Running) -> None:
    """`models rollback` and `promote` change what answers, and the history keeps who and why."""
    live = stack.versions()["svc"]
    stack.rookery("models", "pin", "svc", "--reason", "hold still")
    assert "svc" in (told := stack.rookery("models", "rollback", "svc", "--reason", "a drill"))
    assert "generation" not in told  # nothing of the log
    wait_until(lambda: stack.versions()["svc"] < live, seconds=10, what="the older version")
    stack.rookery("models", "promote", "svc", str(live), "--reason", "the drill is over")
    wait_until(lambda: stack.versions()["svc"] == live, seconds=10, what="the newer version")
    stack.rookery("models", "unpin", "svc")
    assert "a drill" in stack.rookery("models", "history", "svc")
    assert "accuracy" in stack.rookery("models", "show", "svc")


@pytest.mark.parametrize("name", ["train", "inference", "redis", "postgres"])
def test_a_killed_process_is_started_again(stack: Running, name: str) -> None:
    """After `kill -9` it works under another pid, one line says so, and a run that is asked for goes through."""
    first = stack.pids()[name]
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: stack.pids().get(name) not in {None, first}, seconds=20, what=f"a new {name}")
    assert re.search(rf"! {name} was ended by SIGKILL: started again", stack.output.read_text())
    assert stack.rookery("run", "--from", "train") is not None
    wait_until(lambda: len(stack.versions()) == 7, seconds=20, what="all served models")


def test_ctrl_c_leaves_no_process_behind(stack: Running) -> None:
    """All ends in order, in under ten seconds, children included."""
    members = stack.members()
    began = time.monotonic()
    stack.process.send_signal(signal.SIGINT)
    assert stack.process.wait(timeout=30) == 0, stack.output.read_text()
    assert time.monotonic() - began < 10
    assert not [process for process in members if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert re.search(r"stopped in \d\.\d s\n$", stack.output.read_text())


def test_what_a_killed_stack_left_is_ended_by_the_next(stack: Running) -> None:
    """`kill -9` of `up` itself: the next `up` ends what is left, serves the models again, and `down` ends that one."""
    if stack.process.poll() is None:
        stack.rookery("down")
        stack.process.wait(timeout=30)
    stack.start_again()
    stack.wait_up()
    left = [process for process in stack.members() if process.pid != stack.process.pid]
    stack.process.kill()
    stack.process.wait()
    stack.start_again()
    text = stack.wait_up()
    assert re.search(r"ended \d+ processes of a stack that was killed", text)
    assert not [process for process in left if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert len(stack.versions()) == 7
    stack.rookery("backup", str(stack.folder / "kept.tar.gz"))
    assert "stopped" in stack.rookery("down")
    assert stack.process.wait(timeout=10) == 0


def test_a_backup_makes_another_instance_the_same(stack: Running, tmp_path: Path) -> None:
    """Restored elsewhere, the same versions answer, with no training; a folder with models is not written over."""
    backup = stack.folder / "kept.tar.gz"
    assert backup.stat().st_mode & 0o077 == 0
    shared = stack.folder / "shared"
    assert "is not empty" in stack.rookery("restore", str(backup), code=1)
    shutil.copytree(shared, tmp_path / "shared", ignore=shutil.ignore_patterns("versions", "*.pkl"))
    other = Running(tmp_path, start=False)
    try:
        other.rookery("restore", str(backup))
        other.start_again()
        assert "nothing new" in other.wait_up()
        live = {path.stem: int(path.readlink().parts[2]) for path in (shared / "models").glob("*.pkl")}
        assert other.versions() == live
        other.rookery("down")
        assert other.process.wait(timeout=30) == 0
    finally:
        shutil.rmtree(SYSTEM_FOLDER / instance_name(other.home), ignore_errors=True)
