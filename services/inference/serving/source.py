"""What the model folder says: the aliases of each model, and what the files of a version look like."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from common.bundles import layout
from common.bundles.manifest import Aliases
from common.bundles.reader import MissingBundleError, list_models, read_aliases
from common.errors import BundleError

Fingerprint = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True)
class Listing:
    """One look at the folder. `errors` has what could not be read, by model; `""` is the folder itself.

    `is_empty`: the folder is there and can be read, and no model has been published in it.
    """

    aliases: Mapping[str, Aliases]
    errors: Mapping[str, str]
    is_empty: bool = False


def read_folder(models_dir: Path, keys: Sequence[bytes]) -> Listing:
    """Reads the aliases of all models. A folder that is missing or empty is an error, never "no models"."""
    aliases: dict[str, Aliases] = {}
    errors: dict[str, str] = {}
    try:
        names = list_models(models_dir)
    except MissingBundleError as error:
        return Listing({}, {"": f"the model folder cannot be read: {error.message}"}, is_empty=models_dir.is_dir())
    except BundleError as error:
        return Listing({}, {"": f"the model folder cannot be read: {error.message}"})
    if not names:
        return Listing({}, {"": "the model folder is empty"}, is_empty=True)
    for name in names:
        try:
            aliases[name] = read_aliases(models_dir, name, keys)
        except BundleError as error:
            errors[name] = error.message
    return Listing(aliases, errors)


def fingerprint(models_dir: Path, model: str, version: int) -> Fingerprint:
    """Name, inode, size and time of each file of a version; empty where it has none. Its report does not count."""
    seen = []
    try:
        for path in sorted(layout.version_dir(models_dir, model, version).iterdir()):
            if path.name != layout.REPORT:
                status = path.lstat()
                seen.append((path.name, status.st_ino, status.st_size, status.st_mtime_ns))
    except OSError:
        return ()
    return tuple(seen)
