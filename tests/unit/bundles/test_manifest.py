"""Signed manifests and aliases."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from common.bundles.manifest import (
    FORMAT,
    Aliases,
    FileEntry,
    Manifest,
    PredictorEntry,
    Samples,
    decode,
    encode,
    incompatibility,
    sign,
    verify,
)
from common.errors import BundleError
from common.features import Feature

KEY, OTHER = b"k" * 32, b"o" * 32


def manifest(**changes: Any) -> Manifest:
    """A manifest of a small model."""
    values: dict[str, Any] = {
        "format": FORMAT,
        "model": "forest",
        "version": 3,
        "dataset": "birds",
        "family": "forest",
        "task": "classification",
        "created_at": datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
        "event_id": "e",
        "run_id": "r",
        "snapshot": 7,
        "features": (Feature("x", "numeric", minimum=0.1, maximum=1e300),),
        "metrics": {"accuracy": 2 / 3},
        "files": {"bundle.pkl": FileEntry(size=1, sha256="00")},
        "predictor": PredictorEntry(kind="linear", file="predictor.npz"),
        "samples": Samples(records=[{"x": 0.1}], labels=[1.0], probabilities=[[0.1, 0.9]]),
    }
    return Manifest(**(values | changes))


def aliases(**changes: Any) -> Aliases:
    """Aliases of the same model."""
    values: dict[str, Any] = {"format": FORMAT, "model": "forest", "generation": 4, "live": 3, "trail": (3, 2)}
    return Aliases(**(values | changes))


@pytest.mark.parametrize("document", [manifest(), aliases()])
def test_what_was_signed_verifies(document: Manifest | Aliases) -> None:
    """A document verifies after a round trip through its file, by any of several keys."""
    signed = decode(encode(sign(document, KEY)), type(document))
    verify(signed, [KEY])
    verify(signed, [OTHER, KEY])


def test_reformatting_keeps_a_signature() -> None:
    """The signature is over the content, not over how the file is laid out."""
    content = msgspec.json.format(encode(sign(manifest(), KEY)), indent=0)
    verify(decode(content, Manifest), [KEY])


@pytest.mark.parametrize("changes", [{"version": 4}, {"metrics": {"accuracy": 1.0}}, {"files": {}}, {"default": True}])
def test_a_changed_manifest_does_not_verify(changes: dict[str, Any]) -> None:
    """Any field that changes breaks the signature, and the reason says so."""
    with pytest.raises(BundleError, match="changed after it was signed"):
        verify(msgspec.structs.replace(sign(manifest(), KEY), **changes), [KEY])


def test_every_field_is_signed() -> None:
    """No field of the aliases can be changed unnoticed."""
    signed = sign(aliases(), KEY)
    changed = {
        "model": "x",
        "generation": 5,
        "live": 2,
        "previous": 1,
        "candidate": 9,
        "shadow_share": 0.5,
        "trail": (),
    }
    for name, value in changed.items():
        with pytest.raises(BundleError):
            verify(msgspec.structs.replace(signed, **{name: value}), [KEY])


def test_another_installations_key_is_told_apart() -> None:
    """A signature by an unknown key is not called a damage."""
    with pytest.raises(BundleError, match="another installation"):
        verify(sign(manifest(), OTHER), [KEY])


def test_unsigned_is_refused() -> None:
    """Without a signature nothing verifies."""
    with pytest.raises(BundleError, match="not signed"):
        verify(manifest(), [KEY])


@pytest.mark.parametrize(
    "content", [b"", b"{", b"null", b"[" * 100_000, b'{"format": 1}', b"\xff\xfe", encode(manifest())[:-20]]
)
def test_damaged_documents_have_a_reason(content: bytes) -> None:
    """What is no manifest is a BundleError, however it is broken."""
    with pytest.raises(BundleError, match="cannot be read"):
        decode(content, Manifest)


def test_a_later_format_is_refused() -> None:
    """A manifest of a format that is not known here is not half understood."""
    with pytest.raises(BundleError, match="format 2"):
        decode(encode(manifest(format=2)), Manifest)


@pytest.mark.parametrize(
    ("here", "refused"),
    [
        ({"scikit-learn": "1.9.4", "numpy": "2.9.0"}, False),
        ({"scikit-learn": "1.10.0", "numpy": "2.4.6"}, True),
        ({"scikit-learn": "1.9.1", "numpy": "3.0.0"}, True),
        ({"numpy": "2.4.6"}, True),
    ],
)
def test_pickles_need_the_same_minor_version(here: dict[str, str], refused: bool) -> None:
    """Another minor of scikit-learn or another major of NumPy is refused with a reason that names both."""
    reason = incompatibility(manifest(libraries={"scikit-learn": "1.9.1", "numpy": "2.4.6"}), here)
    assert bool(reason) == refused
