"""Renders a report into a temporary folder and renames it in: readers see all of it or nothing."""

import os
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path

from common.bundles import layout
from common.bundles.reader import MissingBundleError, read_manifest, verify_files
from common.bundles.writer import sync_folder, write_synced
from common.errors import NotFoundError
from services.train.report.card import model_card
from services.train.report.evidence import gather
from services.train.report.pictures import draw


def render_report(
    models_dir: Path, model: str, version: int, keys: Sequence[bytes], *, decision: str, live: bool
) -> Path:
    """Draws the report of a version from its own files, over an older one; returns its folder.

    Raises NotFoundError where the version was swept, BundleError where it does not verify.
    """
    try:
        manifest = read_manifest(models_dir, model, version, keys)
        files = verify_files(models_dir, manifest)
    except MissingBundleError as error:
        raise NotFoundError(f"{model}@{version}: {error.message}") from error
    evidence = gather(manifest, files)
    target = layout.report_dir(models_dir, model, version)
    temporary = target.with_name(f"{layout.TEMPORARY}{uuid.uuid4().hex}")
    temporary.mkdir()
    try:
        pictures = draw(evidence)
        for name, content in pictures.items():
            write_synced(temporary / name, content)
        card = model_card(evidence, pictures=list(pictures), decision=decision, live=live)
        write_synced(temporary / "model_card.md", card.encode())
        sync_folder(temporary)
        _replace(temporary, target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return target


def _replace(new: Path, target: Path) -> None:
    """Puts a folder in another's place. A full folder cannot be renamed over, so the old one steps aside first."""
    old = target.with_name(f"{layout.TEMPORARY}{uuid.uuid4().hex}")
    if target.exists():
        target.rename(old)
    os.rename(new, target)  # noqa: PTH104 - the step that readers see
    sync_folder(target.parent)
    shutil.rmtree(old, ignore_errors=True)
