"""The rules that the structure of the project keeps."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("common", "services", "beat", "migrations")
# Each process has one place that reads the environment and opens connections; for the calls of the command line that
# work on a running instance it is the session.
COMPOSITION_ROOTS = {
    "services/ingest/worker.py",
    "services/preprocess/worker.py",
    "services/train/worker.py",
    "services/inference/main.py",
    "services/console/main.py",
    "services/local/cli.py",
    "services/local/session.py",
    "services/local/nursery.py",  # writes it: a fork gets the environment that it would have been started with
    "beat/app.py",
    "migrations/env.py",
}
HEAVY = ("pandas", "sklearn", "seaborn", "celery", "sqlalchemy", "joblib", "scipy", "matplotlib")


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Every module of the product, with its syntax tree."""
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def imported(tree: ast.Module) -> Iterator[str]:
    """The names of the modules that a module imports, also within functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def test_common_imports_no_service_and_services_none_of_each_other() -> None:
    """Imports run one way: services and beat import common, and nothing imports a service but itself."""
    wrong = []
    for name, tree in modules():
        room = name.split("/")
        own = "services." + room[1] if room[0] == "services" else room[0]
        for target in imported(tree):
            if target.startswith("services.") and not (target + ".").startswith(own + "."):
                wrong.append(f"{name} imports {target}")
            if target.split(".")[0] == "beat" and room[0] != "beat":
                wrong.append(f"{name} imports {target}")
    assert not wrong


def test_no_import_goes_round_in_a_circle() -> None:
    """No module of the product imports itself by way of others, counting imports at module level."""
    trees = {name.removesuffix(".py").replace("/", ".").removesuffix(".__init__"): tree for name, tree in modules()}
    graph: dict[str, set[str]] = {module: set() for module in trees}
    for module, tree in trees.items():
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = {f"{node.module}.{alias.name}" for alias in node.names}
                graph[module] |= {name if name in trees else node.module for name in names}
            elif isinstance(node, ast.Import):
                graph[module] |= {alias.name for alias in node.names}
    assert not circle_in(graph)


def test_no_import_of_the_page_goes_round_in_a_circle() -> None:
    """No script of the console imports itself by way of others, counting those that are loaded later."""
    app = ROOT / "services/console/static/app"
    graph = {
        str(path): {
            str((path.parent / name).resolve())
            for name in re.findall(r"""(?:from|import)\s*\(?\s*["'](\.{1,2}/[^"']+)["']""", path.read_text())
        }
        for path in app.rglob("*.js")
    }
    assert sum(map(len, graph.values())) > len(graph)
    assert not circle_in(graph)


def circle_in(graph: Mapping[str, set[str]]) -> str:
    """The first way that leads back to where it began, in words; empty where there is none."""
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> str:
        if module in way:
            return " -> ".join((*way[way.index(module) :], module))
        if module in done or module not in graph:
            return ""
        found = next(filter(None, (visit(other, (*way, module)) for other in sorted(graph[module] - {module}))), "")
        done.add(module)
        return found

    return next(filter(None, (visit(module, ()) for module in graph)), "")


def test_only_composition_roots_read_the_environment() -> None:
    """`os.environ` and `os.getenv` stand in composition roots alone."""
    readers = {
        name
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
    }
    assert readers <= COMPOSITION_ROOTS


@pytest.mark.parametrize("module", ["services.inference.main", "services.local.cli"])
def test_what_must_start_at_once_imports_nothing_heavy(module: str) -> None:
    """Inference and the command line start without pandas, scikit-learn, Celery and SQLAlchemy."""
    script = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_code_knows_the_example() -> None:
    """The built-in data set is named in its own files and its tests alone."""
    paths = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    assert not [str(path) for path in paths if "penguin" in path.read_text().lower()]
