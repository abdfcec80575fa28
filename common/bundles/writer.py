"""Writes versions so that a crash at any point leaves either nothing or a whole version.

A version is written into a temporary folder of the same file system, its files synced, the manifest last, and then
renamed to its number; it never changes afterwards. What a crash leaves behind has a temporary name.
"""

import hashlib
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

import msgspec

from common.bundles import layout
from common.bundles.manifest import Aliases, FileEntry, Manifest, encode, sign
from common.errors import BundleError


def write_version(models_dir: Path, manifest: Manifest, files: Mapping[str, bytes], key: bytes) -> Manifest:
    """Writes a version's files and its manifest, which is completed (`files`, signature) and returned.

    Raises BundleError where the version exists already: whose it is, is the caller's question.
    """
    target = layout.version_dir(models_dir, manifest.model, manifest.version)
    if not layout.is_model_name(manifest.model):
        raise BundleError(f"{manifest.model!r} cannot be a model's name")
    entries = {
        name: FileEntry(size=len(content), sha256=hashlib.sha256(content).hexdigest())
        for name, content in files.items()
    }
    signed = sign(msgspec.structs.replace(manifest, files=entries), key)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.parent / f"{layout.TEMPORARY}{manifest.version}-{uuid.uuid4().hex}"
    temporary.mkdir()
    try:
        for name, content in files.items():
            write_synced(temporary / name, content)
        write_synced(temporary / layout.MANIFEST, encode(signed))
        sync_folder(temporary)
        try:
            # Onto an existing version this fails: a folder that is not empty is never replaced.
            temporary.rename(target)
        except OSError as error:
            if not target.exists():
                raise
            raise BundleError(f"{manifest.model}@{manifest.version} exists already") from error
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(target.parent)
    sync_folder(target.parent.parent)
    return signed


def write_aliases(models_dir: Path, aliases: Aliases, key: bytes) -> Aliases:
    """Signs the aliases of a model and puts them in place in one step; gives them back as written."""
    signed = sign(aliases, key)
    path = layout.model_dir(models_dir, aliases.model) / layout.ALIASES
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{layout.TEMPORARY}{uuid.uuid4().hex}")
    try:
        write_synced(temporary, encode(signed))
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    return signed


def link_live(models_dir: Path, model: str, version: int) -> None:
    """Makes `<model>.pkl` a relative link to a version's bundle, in one step, unless it is that already."""
    if is_linked(models_dir, model, version):
        return
    link = layout.live_link(models_dir, model)
    temporary = link.with_name(f"{layout.TEMPORARY}{uuid.uuid4().hex}")
    temporary.symlink_to(_target(model, version))
    try:
        temporary.replace(link)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(models_dir)


def is_linked(models_dir: Path, model: str, version: int) -> bool:
    """Tells whether `<model>.pkl` is a link to a version's bundle."""
    link = layout.live_link(models_dir, model)
    return link.is_symlink() and os.readlink(link) == _target(model, version)  # noqa: PTH115 - compared as text


def _target(model: str, version: int) -> str:
    """The text of the link: relative, so that the folder can be mounted anywhere."""
    return f"{layout.VERSIONS}/{model}/{version}/{layout.BUNDLE}"


def write_synced(path: Path, content: bytes) -> None:
    """Writes a new file and waits until the disk has it."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Waits until the disk has a folder's entries: a rename is durable only then."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
