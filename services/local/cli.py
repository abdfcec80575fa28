"""The `rookery` command. Each command imports what it needs when it is called, so that `--help` is quick."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from common.errors import RookeryError

app = typer.Typer(
    name="rookery",
    help="Trains and serves models of tabular data, driven by events.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
events_app = typer.Typer(help="Events: what happens, and what was given up.", invoke_without_command=True)
models_app = typer.Typer(help="Models: which versions there are, and which one is live.", invoke_without_command=True)
app.add_typer(events_app, name="events")
app.add_typer(models_app, name="models")
datasets_app = typer.Typer(help="Data sets: the spec files, and writing one.", no_args_is_help=True)
app.add_typer(datasets_app, name="datasets")

_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Reason = Annotated[str, typer.Option("--reason", "-m", help="Why; the history keeps it.")]


def main() -> None:
    """Runs the command; an error of ours is one line on standard error and exit code 1."""
    try:
        app()
    except RookeryError as error:
        print(f"rookery: {error.message}", file=sys.stderr)  # noqa: T201 - the one line that a person reads
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read us (head, less) has enough; nothing may be written to the pipe at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


@app.command()
def up() -> None:
    """Run the whole stack in the foreground, until Ctrl-C."""
    from rich.console import Console

    from services.local.surroundings import read_environment
    from services.local.up import up as run_stack

    raise typer.Exit(run_stack(read_environment(Path.cwd(), os.environ), Console()))


@app.command()
def down() -> None:
    """End the running stack."""
    from rich.console import Console

    from services.local.session import open_session
    from services.local.up import down as end_stack

    end_stack(open_session().home, Console())


@app.command()
def run(
    dataset: Annotated[str | None, typer.Argument(help="The data set; all of them if not given.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Go on also where nothing changed.")] = False,
    start: Annotated[
        str, typer.Option("--from", help="The stage to begin with: ingest, preprocess, train.")
    ] = "ingest",
) -> None:
    """Ask for a run, show it, and exit with 0 where it went well."""
    from services.local.commands.runs import run_command

    raise typer.Exit(run_command(dataset, force=force, stage=start))


@app.command()
def runs(
    dataset: Annotated[str | None, typer.Option(help="Of this data set alone.")] = None,
    state: Annotated[str | None, typer.Option(help="running, completed, failed, trained, held, ...")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those that found nothing new.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List runs, the newest first."""
    from services.local.commands.runs import runs_command

    runs_command(dataset, state, everything=everything, limit=limit, as_json=as_json)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show every process, address, queue and model."""
    from services.local.commands.instance import status_command

    raise typer.Exit(status_command(as_json=as_json))


@events_app.callback()
def events(
    context: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as they happen.")] = False,
    dead: Annotated[bool, typer.Option("--dead", help="The dead letters alone.")] = False,
    kind: Annotated[str | None, typer.Option("--type", help="Of this type alone.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Of this data set alone.")] = None,
    run_id: Annotated[str | None, typer.Option("--run", help="Of this run alone; the end of its id is enough.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 30,
    as_json: AsJson = False,
) -> None:
    """List events, oldest first."""
    if context.invoked_subcommand is not None:
        return
    from services.local.commands.events import events_command

    events_command(follow=follow, dead=dead, kind=kind, dataset=dataset, run=run_id, limit=limit, as_json=as_json)


@events_app.command("dead")
def events_dead(as_json: AsJson = False) -> None:
    """List the dead letters."""
    from services.local.commands.events import events_command

    events_command(follow=False, dead=True, kind=None, dataset=None, run=None, limit=1000, as_json=as_json)


@events_app.command("retry")
def events_retry(event: Annotated[str, typer.Argument(help="The event's id, or its last digits.")]) -> None:
    """Give a dead letter new attempts."""
    from services.local.commands.events import retry_command

    retry_command(event)


@events_app.command("discard")
def events_discard(event: Annotated[str, typer.Argument(help="The event's id, or its last digits.")]) -> None:
    """Take a dead letter off the list for good."""
    from services.local.commands.events import discard_command

    discard_command(event)


@models_app.callback()
def models(context: typer.Context, as_json: AsJson = False) -> None:
    """List the models."""
    if context.invoked_subcommand is None:
        from services.local.commands.models import list_command

        list_command(as_json=as_json)


@models_app.command("list")
def models_list(as_json: AsJson = False) -> None:
    """List the models."""
    from services.local.commands.models import list_command

    list_command(as_json=as_json)


@models_app.command("show")
def models_show(model: str, as_json: AsJson = False) -> None:
    """List the versions of a model."""
    from services.local.commands.models import show_command

    show_command(model, as_json=as_json)


@models_app.command("history")
def models_history(
    model: Annotated[str | None, typer.Argument(help="Of this model alone.")] = None, as_json: AsJson = False
) -> None:
    """List who decided what and why."""
    from services.local.commands.models import history_command

    history_command(model, as_json=as_json)


@models_app.command("promote")
def models_promote(
    model: str,
    version: int,
    reason: Reason = "",
    pin: Annotated[bool, typer.Option("--pin", help="Later versions wait.")] = False,
) -> None:
    """Make a version live, whatever the gate said of it."""
    from services.local.commands.models import promote_command

    promote_command(model, version, reason, pin=pin)


@models_app.command("rollback")
def models_rollback(
    model: str,
    version: Annotated[int | None, typer.Option(help="To this version; default: the one before.")] = None,
    reason: Reason = "",
) -> None:
    """Go back to the version that was live before."""
    from services.local.commands.models import rollback_command

    rollback_command(model, version, reason)


@models_app.command("pin")
def models_pin(model: str, reason: Reason = "") -> None:
    """Keep the live version; later ones wait."""
    from services.local.commands.models import pin_command

    pin_command(model, reason)


@models_app.command("unpin")
def models_unpin(model: str, reason: Reason = "") -> None:
    """Let the next version that passes the gate go live."""
    from services.local.commands.models import unpin_command

    unpin_command(model, reason)


@app.command()
def predict(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A CSV with a row per record.")],
    model: Annotated[str | None, typer.Option(help="The model, as name or name@version.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to; default FILE.predictions.csv.")
    ] = None,
) -> None:
    """Write a CSV with predictions added."""
    from services.local.commands.predict import predict_command

    predict_command(file, model, output)


@app.command()
def pause(dataset: str, reason: Reason = "") -> None:
    """Stop looking at a data set's source until it is resumed."""
    from services.local.commands.instance import pause_command

    pause_command(dataset, reason)


@app.command()
def resume(dataset: str) -> None:
    """Look at a paused data set's source again."""
    from services.local.commands.instance import resume_command

    resume_command(dataset)


@datasets_app.command("list")
def datasets_list(as_json: AsJson = False) -> None:
    """Every spec file, right or wrong."""
    from services.local.commands.datasets import list_command

    list_command(as_json=as_json)


@datasets_app.command("check")
def datasets_check(
    names: Annotated[list[str] | None, typer.Argument(help="Data sets; without any, all.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what is wrong with spec files, and what would be right; ends with 1 where one is wrong."""
    from services.local.commands.datasets import check_command

    check_command(names or [], as_json=as_json)


@datasets_app.command("show")
def datasets_show(name: str) -> None:
    """One data set with every default filled in."""
    from services.local.commands.datasets import show_command

    show_command(name)


@datasets_app.command("init")
def datasets_init(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A CSV or Parquet file.")],
    target: Annotated[str, typer.Option(help="The column to predict.")],
    name: Annotated[str, typer.Option(help="The data set's name; by default the file's.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace a spec that is there.")] = False,
) -> None:
    """Write a commented spec from a look at a CSV or Parquet file; the file is all it takes."""
    from services.local.commands.datasets import init_command

    init_command(file, target, name, force=force)


@app.command()
def backup(file: Annotated[Path, typer.Argument(dir_okay=False, help="The file to write.")]) -> None:
    """Keep database, models and signing key in one file."""
    from services.local.commands.backup import backup_command

    backup_command(file)


@app.command()
def restore(file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A file of `backup`.")]) -> None:
    """Make this instance what a backup holds; no stack may run."""
    from services.local.commands.backup import restore_command

    restore_command(file)


@app.command(context_settings=_PASS_ON)
def psql(context: typer.Context) -> None:
    """Open psql on this instance's database; arguments are psql's."""
    from services.local.commands.shells import psql_command

    psql_command(context.args)


@app.command(context_settings=_PASS_ON)
def redis(context: typer.Context) -> None:
    """Open redis-cli on this instance's Redis; arguments are redis-cli's."""
    from services.local.commands.shells import redis_command

    redis_command(context.args)


@app.command()
def logs(
    process: Annotated[str | None, typer.Argument(help="One process: ingest, train, inference, ...")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as they are written.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines.")] = 50,
) -> None:
    """Read the logs of all processes as one, in the order of time."""
    from services.local.commands.logs import logs_command

    logs_command(process, follow=follow, count=lines)
