"""What a version says of itself, and which version is live: two signed JSON documents.

The signature is an HMAC-SHA256 over a purpose and the document's canonical form, which is the struct encoded compactly
with its `hmac` empty and fields at their default left out: reformatting a file keeps it valid, a later format may add
fields, and a manifest's signature never fits an aliases file.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from common.errors import BundleError
from common.features import Feature

FORMAT = 1


class FileEntry(msgspec.Struct, frozen=True):
    """Size and SHA-256 (hex) of one file of a version."""

    size: int
    sha256: str


class PredictorEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which predictor answers: its kind, its file, and for kind `pickle` why no exact one exists."""

    kind: str
    file: str
    why: str = ""


class Samples(msgspec.Struct, frozen=True, omit_defaults=True):
    """Records and what training answered: a label each (a class's index into `classes`, or a number for regression)."""

    records: list[dict[str, float | str]] = []
    labels: list[float] = []
    probabilities: list[list[float]] = []


class Manifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything about one version that inference and people need without opening the bundle."""

    format: int
    model: str
    version: int
    dataset: str
    family: str
    task: str
    created_at: datetime
    event_id: str
    run_id: str
    snapshot: int
    snapshot_digest: str = ""
    spec_digest: str = ""
    target: str = ""
    rows: int = 0
    rows_train: int = 0
    rows_test: int = 0
    estimator: str = ""
    features: tuple[Feature, ...] = ()
    feature_columns: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    metrics: dict[str, float] = {}
    best_params: dict[str, Any] = {}
    report: dict[str, Any] = {}
    scores: list[dict[str, Any]] = []  # of the search: one entry per candidate
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()  # what the estimator complained of, such as not having converged
    libraries: dict[str, str] = {}
    git_revision: str = ""
    sampling: dict[str, Any] = {}  # rows trained on where they are not all of the snapshot: a sample, or chunks
    files: dict[str, FileEntry] = {}
    predictor: PredictorEntry
    samples: Samples = Samples()
    default: bool = False  # the default model of the default data set: what /predict answers with
    key_id: str = ""
    hmac: str = ""


class Aliases(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which version of a model is live. `generation` only rises; `trail` holds what was live, newest first."""

    format: int
    model: str
    generation: int
    live: int
    previous: int | None = None
    candidate: int | None = None
    shadow_share: float = 0.0
    trail: tuple[int, ...] = ()
    key_id: str = ""
    hmac: str = ""


Document = TypeVar("Document", bound=Manifest | Aliases)


def key_id(key: bytes) -> str:
    """A name for a key that does not give it away: it tells another installation's signature from a broken one."""
    return hmac.new(key, b"rookery key id", hashlib.sha256).hexdigest()[:16]


def signature(payload: bytes, key: bytes, *, purpose: str) -> str:
    """The HMAC-SHA256, as hex, of a payload for one purpose."""
    return hmac.new(key, purpose.encode() + b"\n" + payload, hashlib.sha256).hexdigest()


def sign(document: Document, key: bytes) -> Document:
    """The document with `key_id` and `hmac` set."""
    named = msgspec.structs.replace(document, key_id=key_id(key), hmac="")
    return msgspec.structs.replace(named, hmac=signature(_canonical(named), key, purpose=_purpose(named)))


def verify(document: Manifest | Aliases, keys: Sequence[bytes]) -> None:
    """Raises BundleError where none of the keys made the document's signature."""
    what = type(document).__name__.lower()
    if not document.hmac:
        raise BundleError(f"the {what} is not signed")
    payload = _canonical(msgspec.structs.replace(document, hmac=""))
    if any(hmac.compare_digest(signature(payload, key, purpose=_purpose(document)), document.hmac) for key in keys):
        return
    if document.key_id not in {key_id(key) for key in keys}:
        raise BundleError(f"the {what} is signed by another installation (key {_short(document.key_id)})")
    raise BundleError(f"the {what} was changed after it was signed")


def encode(document: Manifest | Aliases) -> bytes:
    """The document as a file holds it: readable JSON."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def decode(content: bytes, kind: type[Document]) -> Document:
    """Reads a document; its signature is not looked at. Raises BundleError where it is none, or of another format."""
    what = kind.__name__.lower()
    try:
        document = msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(f"the {what} cannot be read: {_short(str(error))}") from error
    if document.format != FORMAT:
        raise BundleError(f"the {what} has format {document.format}, expected {FORMAT}")
    return document


def incompatibility(manifest: Manifest, libraries: Mapping[str, str]) -> str | None:
    """Why a pickle of this version must not be loaded beside these libraries; None where it may.

    scikit-learn promises nothing for a pickle read by another version than wrote it; the same minor version is what
    holds in practice (https://scikit-learn.org/stable/model_persistence.html). For numpy it is the major one.
    """
    for name, parts in (("scikit-learn", 2), ("numpy", 1)):
        written, here = manifest.libraries.get(name, ""), libraries.get(name, "")
        if written.split(".")[:parts] != here.split(".")[:parts]:
            return f"written with {name} {_short(written) or 'unknown'}, here is {here or 'none'}"
    return None


def _canonical(document: Manifest | Aliases) -> bytes:
    return msgspec.json.encode(document, order="deterministic")


def _purpose(document: Manifest | Aliases) -> str:
    return f"rookery {type(document).__name__.lower()}"


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:197]}..."  # noqa: PLR2004 - a line's worth
