"""Reads the model folder as if an enemy had written it: nothing is returned that was not verified.

Every file is opened without following links, must be a regular one of the stated size, and is read once, so that the
bytes that were hashed are the bytes that are used. Imports neither joblib nor scikit-learn.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from common.bundles import layout
from common.bundles.manifest import Aliases, FileEntry, Manifest, decode, verify
from common.errors import BundleError


class MissingBundleError(BundleError):
    """There is no such file or folder among the model versions."""


def read_aliases(models_dir: Path, model: str, keys: Sequence[bytes]) -> Aliases:
    """Which version is live. Raises BundleError with the reason, MissingBundleError where there is no such file."""
    content = _read(models_dir, [layout.VERSIONS, model], layout.ALIASES, layout.ALIASES_LIMIT_BYTES)
    aliases = decode(content, Aliases)
    verify(aliases, keys)
    if aliases.model != model:
        raise BundleError(f"the aliases are those of {aliases.model!r}")
    return aliases


def read_manifest(models_dir: Path, model: str, version: int, keys: Sequence[bytes]) -> Manifest:
    """The verified manifest of a version. Raises BundleError with the reason."""
    folder = [layout.VERSIONS, model, str(version)]
    manifest = decode(_read(models_dir, folder, layout.MANIFEST, layout.MANIFEST_LIMIT_BYTES), Manifest)
    verify(manifest, keys)
    if (manifest.model, manifest.version) != (model, version):
        raise BundleError(f"the manifest is that of {manifest.model}@{manifest.version}")
    return manifest


def verify_files(models_dir: Path, manifest: Manifest, names: Iterable[str] | None = None) -> dict[str, bytes]:
    """The bytes of a version's files (those named; all by default), each of the manifest's size and hash.

    Raises BundleError for the first file that is missing, a link, no regular file, or differs.
    """
    folder = [layout.VERSIONS, manifest.model, str(manifest.version)]
    files: dict[str, bytes] = {}
    for name in manifest.files if names is None else names:
        entry = manifest.files.get(name)
        if entry is None:
            raise BundleError(f"{name!r} is not listed in the manifest")
        content = _read(models_dir, folder, name, layout.FILE_LIMIT_BYTES, entry)
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            raise BundleError(f"{name} does not match its hash in the manifest")
        files[name] = content
    return files


def predictor_files(models_dir: Path, manifest: Manifest) -> dict[str, bytes]:
    """The verified bytes of the one file that the manifest's predictor is loaded from."""
    return verify_files(models_dir, manifest, [manifest.predictor.file])


def list_models(models_dir: Path) -> tuple[str, ...]:
    """The models that have a folder, sorted. Raises BundleError where the folder of versions cannot be read."""
    return tuple(sorted(name for name in _names(models_dir, [layout.VERSIONS]) if layout.is_model_name(name)))


def list_versions(models_dir: Path, model: str) -> tuple[int, ...]:
    """The versions that a model has a folder of, ascending. Raises BundleError where that cannot be read."""
    numbers = (layout.version_number(name) for name in _names(models_dir, [layout.VERSIONS, model]))
    return tuple(sorted(number for number in numbers if number is not None))


def _names(models_dir: Path, folders: Sequence[str]) -> list[str]:
    descriptor = _open_folder(models_dir, folders)
    try:
        return os.listdir(descriptor)  # noqa: PTH208 - pathlib lists no descriptor
    finally:
        os.close(descriptor)


def _open_folder(models_dir: Path, folders: Sequence[str]) -> int:
    """A descriptor of a folder beneath the model folder; only the model folder itself may be a link."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    at = str(models_dir)
    try:
        descriptor = os.open(models_dir, flags)
        for name in folders:
            at, parent = name, descriptor
            try:
                descriptor = os.open(_plain(name), flags | os.O_NOFOLLOW, dir_fd=parent)
            finally:
                os.close(parent)
    except OSError as error:
        raise _unreadable(at, error) from error
    return descriptor


def _read(
    models_dir: Path, folders: Sequence[str], name: str, limit_bytes: int, entry: FileEntry | None = None
) -> bytes:
    """The bytes of a regular file, at most `limit_bytes` and exactly the entry's size where one is given."""
    folder = _open_folder(models_dir, folders)
    try:
        # O_NONBLOCK: opening a FIFO does not wait for a writer; it is then refused as no regular file.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(_plain(name), flags, dir_fd=folder), "rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise BundleError(f"{name} is no regular file")
            if entry is not None and status.st_size != entry.size:
                raise BundleError(f"{name} has {status.st_size} bytes, the manifest says {entry.size}")
            if status.st_size > limit_bytes:
                raise BundleError(f"{name} has {status.st_size} bytes, more than the {limit_bytes} allowed")
            content = _read_all(file.fileno(), status.st_size)
    except OSError as error:
        raise _unreadable(name, error) from error
    finally:
        os.close(folder)
    if len(content) != status.st_size:
        raise BundleError(f"{name} changed while it was read")
    return content


def _read_all(descriptor: int, size: int) -> bytes:
    """At most one byte more than the stated size: a file that grows is noticed, not followed."""
    parts, missing = [], size + 1
    while missing > 0 and (part := os.read(descriptor, min(missing, 2**24))):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _plain(name: str) -> str:
    """A name that is one step beneath a folder. Raises BundleError for any other."""
    if not name or "/" in name or "\0" in name or name in {".", ".."}:
        raise BundleError(f"{name[:100]!r} is no plain file name")
    return name


def _unreadable(name: str, error: OSError) -> BundleError:
    if error.errno == errno.ENOENT:
        return MissingBundleError(f"{name} is missing")
    if error.errno in {errno.ELOOP, errno.ENOTDIR}:
        return BundleError(f"{name} is a link or not what it should be ({error.strerror})")
    return BundleError(f"{name} cannot be read: {error.strerror}")
