"""The model folder: whole versions or nothing, and a reader that trusts nothing."""

import os
import threading
from pathlib import Path

import pytest

from common.bundles import layout, writer
from common.bundles.manifest import Aliases, Manifest
from common.bundles.reader import (
    MissingBundleError,
    list_models,
    list_versions,
    predictor_files,
    read_aliases,
    read_manifest,
    verify_files,
)
from common.bundles.writer import link_live, write_aliases, write_version
from common.errors import BundleError
from tests.unit.bundles.test_manifest import KEY, OTHER, aliases, manifest

FILES = {"bundle.pkl": b"bundle" * 100, "predictor.npz": b"arrays" * 50}


@pytest.fixture
def written(tmp_path: Path) -> Manifest:
    """Version 3 of a model in the test's folder."""
    return write_version(tmp_path, manifest(files={}), FILES, KEY)


def folder(models_dir: Path) -> Path:
    """The folder of the version."""
    return layout.version_dir(models_dir, "forest", 3)


def test_what_is_written_is_read(tmp_path: Path, written: Manifest) -> None:
    """A version's manifest and files come back as they were given, and nothing else is left in the folder."""
    assert read_manifest(tmp_path, "forest", 3, [OTHER, KEY]) == written
    assert verify_files(tmp_path, written) == FILES
    assert list(predictor_files(tmp_path, written)) == ["predictor.npz"]
    assert list_models(tmp_path) == ("forest",)
    assert list_versions(tmp_path, "forest") == (3,)
    assert sorted(path.name for path in folder(tmp_path).parent.iterdir()) == ["3"]


def test_a_version_never_changes(tmp_path: Path, written: Manifest) -> None:
    """Writing an existing version again is refused and leaves nothing behind."""
    with pytest.raises(BundleError, match="exists already"):
        write_version(tmp_path, manifest(files={}), {"bundle.pkl": b"other"}, KEY)
    assert verify_files(tmp_path, written) == FILES
    assert sorted(path.name for path in folder(tmp_path).parent.iterdir()) == ["3"]


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk refuses a file, no version and no leftover is seen."""

    def full(path: Path, content: bytes) -> None:
        if path.name == layout.MANIFEST:
            raise OSError(28, "No space left on device")
        path.write_bytes(content)

    monkeypatch.setattr(writer, "write_synced", full)
    with pytest.raises(OSError, match="No space"):
        write_version(tmp_path, manifest(files={}), FILES, KEY)
    assert list_versions(tmp_path, "forest") == ()
    assert list(layout.model_dir(tmp_path, "forest").iterdir()) == []


@pytest.mark.parametrize("name", ["bundle.pkl", "predictor.npz"])
@pytest.mark.parametrize("damage", ["flipped", "truncated", "longer", "missing", "linked", "fifo", "folder"])
def test_a_damaged_file_is_refused(tmp_path: Path, written: Manifest, name: str, damage: str) -> None:
    """Whatever happened to a file, it is refused with a reason that names it, and nothing waits for it."""
    path = folder(tmp_path) / name
    content = path.read_bytes()
    path.unlink()
    if damage == "flipped":
        path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    elif damage == "truncated":
        path.write_bytes(content[:-1])
    elif damage == "longer":
        path.write_bytes(content + b"x")
    elif damage == "linked":
        elsewhere = tmp_path / "elsewhere"
        elsewhere.write_bytes(content)
        path.symlink_to(elsewhere)
    elif damage == "fifo":
        os.mkfifo(path)
    elif damage == "folder":
        path.mkdir()
    with pytest.raises(BundleError, match=name):
        verify_files(tmp_path, written)


def test_a_linked_folder_is_refused(tmp_path: Path, written: Manifest) -> None:
    """A version that is a link to another folder is none."""
    os.rename(folder(tmp_path), tmp_path / "moved")  # noqa: PTH104 - the folder itself
    folder(tmp_path).symlink_to(tmp_path / "moved")
    with pytest.raises(BundleError, match="link"):
        verify_files(tmp_path, written)
    with pytest.raises(BundleError):
        read_manifest(tmp_path, "forest", 3, [KEY])


def test_a_huge_manifest_is_not_read(tmp_path: Path, written: Manifest) -> None:
    """A file beyond its bound is refused by its size, before any of it is read."""
    del written
    with (folder(tmp_path) / layout.MANIFEST).open("r+b") as file:
        file.truncate(2**40)
    with pytest.raises(BundleError, match="more than"):
        read_manifest(tmp_path, "forest", 3, [KEY])


def test_a_manifest_of_another_version_is_refused(tmp_path: Path, written: Manifest) -> None:
    """A version copied under another number or model does not pass for that."""
    del written
    os.rename(folder(tmp_path), folder(tmp_path).with_name("4"))  # noqa: PTH104 - the folder itself
    with pytest.raises(BundleError, match="forest@3"):
        read_manifest(tmp_path, "forest", 4, [KEY])


@pytest.mark.parametrize("name", ["../evil", "a/b", "", ".", "..", "x\0y"])
def test_names_cannot_leave_the_folder(tmp_path: Path, written: Manifest, name: str) -> None:
    """A name with a path in it reaches no file."""
    with pytest.raises(BundleError):
        read_aliases(tmp_path, name, [KEY])
    with pytest.raises(BundleError):
        verify_files(tmp_path, written, [name])


def test_aliases_are_replaced_in_one_step(tmp_path: Path) -> None:
    """A reader beside a hundred writes always sees whole, verified aliases."""
    write_aliases(tmp_path, aliases(generation=0), KEY)
    seen: list[Aliases] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.append(read_aliases(tmp_path, "forest", [KEY]))

    reader = threading.Thread(target=read)
    reader.start()
    for generation in range(1, 100):
        write_aliases(tmp_path, aliases(generation=generation), KEY)
    done.set()
    reader.join()
    generations = [entry.generation for entry in seen]
    assert generations == sorted(generations)
    assert [path.name for path in layout.model_dir(tmp_path, "forest").iterdir()] == ["aliases.json"]


def test_aliases_of_another_model_are_refused(tmp_path: Path) -> None:
    """Aliases copied from one model to another do not verify there."""
    write_aliases(tmp_path, aliases(model="other"), KEY)
    target = layout.model_dir(tmp_path, "forest")
    target.mkdir()
    (layout.model_dir(tmp_path, "other") / layout.ALIASES).rename(target / layout.ALIASES)
    with pytest.raises(BundleError, match="other"):
        read_aliases(tmp_path, "forest", [KEY])


def test_the_link_is_relative(tmp_path: Path, written: Manifest) -> None:
    """The live link leads to the bundle wherever the folder is mounted, and changing it never removes it."""
    del written
    link_live(tmp_path, "forest", 2)
    link_live(tmp_path, "forest", 3)
    moved = tmp_path.with_name(f"{tmp_path.name}-moved")
    tmp_path.rename(moved)
    assert (moved / "forest.pkl").read_bytes() == FILES["bundle.pkl"]
    moved.rename(tmp_path)


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    """No folder is not the same as no models."""
    with pytest.raises(MissingBundleError):
        list_models(tmp_path / "none")
    with pytest.raises(MissingBundleError):
        read_aliases(tmp_path, "forest", [KEY])
