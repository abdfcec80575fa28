"""The files of a version's report, as train rendered them beside the version."""

from pathlib import Path

import msgspec

from common.bundles.layout import is_model_name, report_dir

CARD = "model_card.md"
_KINDS = {
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".md": "text/markdown",
    ".json": "application/json",
    ".txt": "text/plain",
    ".html": "text/html",
}
_MOST_BYTES = 20 * 2**20


class ReportFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a report; `title` is its name in words."""

    name: str
    title: str
    kind: str
    size_bytes: int


def list_files(models_dir: Path, model: str, version: int) -> list[ReportFile]:
    """The files of a report, by name; none before it is rendered."""
    if not is_model_name(model):
        return []
    folder = report_dir(models_dir, model, version)
    if not folder.is_dir() or folder.is_symlink():
        return []
    return [
        ReportFile(
            name=path.name,
            title=path.stem.replace("_", " ").capitalize(),
            kind=_KINDS[path.suffix],
            size_bytes=path.stat().st_size,
        )
        for path in sorted(folder.iterdir())
        if path.suffix in _KINDS and path.is_file() and not path.is_symlink()
    ]


def read_file(models_dir: Path, model: str, version: int, name: str) -> tuple[str, bytes] | None:
    """The media type and content of one of the files that `list_files` names; None for anything else."""
    found = next((file for file in list_files(models_dir, model, version) if file.name == name), None)
    if found is None or found.size_bytes > _MOST_BYTES:
        return None
    return found.kind, (report_dir(models_dir, model, version) / name).read_bytes()


def read_card(models_dir: Path, model: str, version: int) -> str:
    """The model card in Markdown; empty before it is rendered."""
    found = read_file(models_dir, model, version, CARD)
    return found[1].decode(errors="replace") if found else ""
