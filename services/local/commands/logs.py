"""`rookery logs`: the log files of all processes as one stream."""

import sys

from common.errors import NotFoundError
from services.local.logfiles import follow as follow_files
from services.local.logfiles import last_lines, moment_of, readable
from services.local.session import open_session


def logs_command(process: str | None, *, follow: bool, count: int) -> None:
    """Prints the last lines, and with `follow` what comes."""
    folder = open_session().home.logs
    paths = {path.stem: path for path in sorted(folder.glob("*.log"))} if folder.is_dir() else {}
    if process is not None:
        if process not in paths:
            raise NotFoundError(f"there is no log of {process!r}; there are: {', '.join(paths) or 'none'}")
        paths = {process: paths[process]}
    lines = [(moment_of(line), name, line) for name, path in paths.items() for line in last_lines(path, count)]
    # Sorting is stable, and a line without a time keeps to the place where its file has it.
    for _moment, name, line in sorted(lines, key=lambda entry: entry[0])[-count:] if count else ():
        sys.stdout.write(readable(line, name) + "\n")
    if follow:
        for name, line in follow_files(paths):
            sys.stdout.write(readable(line, name) + "\n")
            sys.stdout.flush()
