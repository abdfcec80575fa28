"""Ways for a version to be broken, forged or hostile, each applied to a folder that was whole."""

import io
import os
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from common.bundles.layout import BUNDLE, MANIFEST, PREDICTOR
from common.bundles.manifest import Manifest, PredictorEntry, decode, encode, sign
from common.features import Encoder
from common.predictors import load_predictor
from tests.bundles import KEY

HUGE_BYTES = 3 * 2**30
Apply = Callable[[Path, random.Random, Path], object]


class Damage(msgspec.Struct, frozen=True):
    """One kind; `apply` takes the version's folder, a source of choices, and the file that hostile code would write."""

    name: str
    apply: Apply


class _Hostile:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return (Path.touch, (self.marker,))


def _change(name: str, change: Callable[[bytes, random.Random], bytes]) -> Apply:
    """Changes a file's content."""

    def apply(folder: Path, source: random.Random, _marker: Path) -> None:
        path = folder / name
        path.write_bytes(change(path.read_bytes(), source))

    return apply


def _flip(content: bytes, source: random.Random) -> bytes:
    """One bit, anywhere."""
    at = source.randrange(len(content))
    return content[:at] + bytes([content[at] ^ (1 << source.randrange(8))]) + content[at + 1 :]


def _cut(content: bytes, source: random.Random) -> bytes:
    return content[: source.randrange(len(content))]


def _noise(content: bytes, source: random.Random) -> bytes:
    return source.randbytes(len(content))


def _resign(key: bytes = KEY, **changes: Any) -> Apply:
    """A manifest changed by someone who has a key; the right one unless another is given."""

    def apply(folder: Path, _source: random.Random, _marker: Path) -> None:
        manifest = decode((folder / MANIFEST).read_bytes(), Manifest)
        (folder / MANIFEST).write_bytes(encode(sign(msgspec.structs.replace(manifest, **changes), key)))

    return apply


def _unsign(folder: Path, _source: random.Random, _marker: Path) -> None:
    manifest = decode((folder / MANIFEST).read_bytes(), Manifest)
    (folder / MANIFEST).write_bytes(encode(msgspec.structs.replace(manifest, hmac="", key_id="")))


def _link(name: str) -> Apply:
    def apply(folder: Path, _source: random.Random, _marker: Path) -> None:
        elsewhere = folder.parent.parent.parent / f"{name}-{folder.name}"
        (folder / name).rename(elsewhere)
        (folder / name).symlink_to(elsewhere)

    return apply


def _remove(name: str) -> Apply:
    def apply(folder: Path, _source: random.Random, _marker: Path) -> None:
        (folder / name).unlink()

    return apply


def _grow(name: str) -> Apply:
    """A file of gigabytes, most of it a hole."""

    def apply(folder: Path, _source: random.Random, _marker: Path) -> None:
        os.truncate(folder / name, HUGE_BYTES)

    return apply


def _pipe(name: str) -> Apply:
    def apply(folder: Path, _source: random.Random, _marker: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return apply


def _hostile_pickle(folder: Path, _source: random.Random, marker: Path) -> None:
    """A pickle in the bundle's place, in a version that is to be served from it, by someone without the key."""
    (folder / BUNDLE).write_bytes(pickle.dumps(_Hostile(marker)))
    manifest = decode((folder / MANIFEST).read_bytes(), Manifest)
    entry = PredictorEntry(kind="pickle", file=BUNDLE)
    (folder / MANIFEST).write_bytes(encode(msgspec.structs.replace(manifest, predictor=entry)))


def _hostile_predictor(folder: Path, _source: random.Random, marker: Path) -> None:
    """A pickle in the place of arrays, as numpy would unpickle it if it were allowed to."""
    (folder / PREDICTOR).write_bytes(_packed({"values": np.array([_Hostile(marker)], dtype=object)}))


def _forge(folder: Path, _source: random.Random, _marker: Path) -> None:
    """A forest with other leaves where no sample of the manifest comes to: whole, and no longer what was trained.

    Only its hash can tell: the samples are answered as they should be.
    """
    manifest = decode((folder / MANIFEST).read_bytes(), Manifest)
    with np.load(io.BytesIO((folder / PREDICTOR).read_bytes())) as arrays:
        parts = {name: arrays[name] for name in arrays.files}
    rows = Encoder(manifest.features).encode(manifest.samples.records)
    trained = load_predictor({PREDICTOR: _packed(parts)}, manifest).predict_proba(rows)
    for leaf in range(len(parts["value"])):
        value = parts["value"].copy()
        value[leaf] = np.roll(value[leaf], 1)
        forged = _packed({**parts, "value": value})
        if np.array_equal(load_predictor({PREDICTOR: forged}, manifest).predict_proba(rows), trained):
            parts["value"] = value
    (folder / PREDICTOR).write_bytes(_packed(parts))


def _packed(arrays: dict[str, Any]) -> bytes:
    """The arrays as the content of a file."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _samples(folder: Path, source: random.Random, marker: Path) -> None:
    """Samples that the model answers otherwise."""
    samples = decode((folder / MANIFEST).read_bytes(), Manifest).samples
    other = msgspec.structs.replace(samples, labels=[(label + 1) % 3 for label in samples.labels])
    _resign(samples=other)(folder, source, marker)


def _features(folder: Path, source: random.Random, marker: Path) -> None:
    """Features of which one is missing."""
    features = decode((folder / MANIFEST).read_bytes(), Manifest).features
    _resign(features=features[1:])(folder, source, marker)


def _empty(folder: Path, _source: random.Random, _marker: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


DAMAGES = (
    Damage("predictor flipped", _change(PREDICTOR, _flip)),
    Damage("manifest flipped", _change(MANIFEST, _flip)),
    Damage("predictor cut", _change(PREDICTOR, _cut)),
    Damage("manifest cut", _change(MANIFEST, _cut)),
    Damage("predictor is noise", _change(PREDICTOR, _noise)),
    Damage("manifest is noise", _change(MANIFEST, _noise)),
    Damage("predictor longer", _change(PREDICTOR, lambda content, source: content + source.randbytes(7))),
    Damage("predictor is a link", _link(PREDICTOR)),
    Damage("manifest is a link", _link(MANIFEST)),
    Damage("predictor missing", _remove(PREDICTOR)),
    Damage("manifest missing", _remove(MANIFEST)),
    Damage("predictor of 3 GB", _grow(PREDICTOR)),
    Damage("manifest of 3 GB", _grow(MANIFEST)),
    Damage("predictor is a pipe", _pipe(PREDICTOR)),
    Damage("manifest is a pipe", _pipe(MANIFEST)),
    Damage("unsigned", _unsign),
    Damage("signed with another key", _resign(b"the key of another installation!")),
    Damage("metrics changed", _change(MANIFEST, lambda content, _: content.replace(b"accuracy", b"accurate"))),
    Damage("another version's number", _resign(version=1)),
    Damage("another model's name", _resign(model="svc")),
    Damage("unknown format", _resign(format=99)),
    Damage("unknown predictor", _resign(predictor=PredictorEntry(kind="crystal ball", file=PREDICTOR))),
    Damage("file outside", _resign(predictor=PredictorEntry(kind="forest", file="../1/predictor.npz"))),
    Damage("pickle of another library", _resign(
        libraries={"python": "3.11", "numpy": "1.0.0", "scikit-learn": "0.1.0", "joblib": "1.0.0"},
        predictor=PredictorEntry(kind="pickle", file=BUNDLE),
    )),
    Damage("samples answered otherwise", _samples),
    Damage("other features", _features),
    Damage("no classes", _resign(classes=())),
    Damage("hostile pickle", _hostile_pickle),
    Damage("hostile predictor", _hostile_predictor),
    Damage("predictor forged", _forge),
    Damage("folder empty", _empty),
    Damage("folder missing", lambda folder, _source, _marker: shutil.rmtree(folder)),
)  # fmt: skip
