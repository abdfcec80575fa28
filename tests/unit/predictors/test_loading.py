"""Predictor files: plain numbers, or refused."""

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from common.errors import BundleError
from common.predictors.arrays import pack, unpack
from common.predictors.loading import from_bytes, load_predictor
from tests.unit.bundles.test_manifest import manifest

LINEAR = {"weights": np.ones((2, 3)), "intercept": np.zeros(3), "link": np.array(1)}
# Two stumps on one column, three outputs each.
FOREST: dict[str, Any] = {
    "feature": np.array([0, -1, -1, 1, -1, -1]),
    "threshold": np.array([0.5, 0, 0, 1.5, 0, 0]),
    "right": np.array([2, -1, -1, 5, -1, -1]),
    "roots": np.array([0, 3]),
    "value": np.arange(18.0).reshape(6, 3),
    "start": np.zeros(3),
    "divisor": np.array(2.0),
    "link": np.array(1),
    "columns": np.array(2),
}


def test_arrays_come_back() -> None:
    """What is packed is unpacked, scalars too, and NumPy itself reads it without pickling."""
    found = unpack(pack(LINEAR))
    assert {name: array.tolist() for name, array in found.items()} == {
        name: array.tolist() for name, array in LINEAR.items()
    }
    with np.load(io.BytesIO(pack(LINEAR)), allow_pickle=False) as file:
        assert file["weights"].shape == (2, 3)


def test_a_hand_made_forest_answers() -> None:
    """The format as it is documented: left where not above the threshold, values summed and divided."""
    predictor = from_bytes("forest", pack(FOREST))
    found = predictor.predict_proba(np.array([[0.5, 2.0], [0.6, 1.0]]))
    assert found.tolist() == [[9.0, 10.0, 11.0], [9.0, 10.0, 11.0]]
    assert predictor.columns == 2
    assert predictor.nbytes > 0


@pytest.mark.parametrize(
    "change",
    [
        {"right": np.array([1, -1, -1, 5, -1, -1])},
        {"right": np.array([4, -1, -1, 5, -1, -1])},
        {"right": np.array([2, -1, -1, 99, -1, -1])},
        {"feature": np.array([7, -1, -1, 1, -1, -1])},
        {"value": np.zeros((3, 3))},
        {"roots": np.array([1, 3])},
        {"threshold": np.zeros(2)},
        {"link": np.array(9)},
        {"start": np.zeros(2)},
    ],
)
def test_nodes_that_are_no_trees_are_refused(change: dict[str, Any]) -> None:
    """A forest whose nodes lead nowhere, back, or out of the table is refused when it is loaded."""
    with pytest.raises(BundleError):
        from_bytes("forest", pack(FOREST | change)).predict_proba(np.zeros((1, 2)))


@pytest.mark.parametrize("kind", ["linear", "forest", "svc"])
def test_other_arrays_are_refused(kind: str) -> None:
    """A file of another kind's arrays is a BundleError."""
    with pytest.raises(BundleError):
        from_bytes(kind, pack({"other": np.zeros(2)}))


@pytest.mark.parametrize("kind", ["pickle", "", "onnx"])
def test_an_unknown_kind_is_refused(kind: str) -> None:
    """Only known kinds are loaded; a pickle is none of them."""
    with pytest.raises(BundleError, match="kind"):
        from_bytes(kind, pack(LINEAR))


@pytest.mark.parametrize("array", [np.array(["text"]), np.array([object()], dtype=object), np.array([1j])])
def test_only_numbers_are_packed(array: Any) -> None:
    """Nothing but numbers gets into a file."""
    with pytest.raises(BundleError):
        pack({"x": array})


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_are_finite(value: float) -> None:
    """A file with a NaN would answer NaN: it is refused."""
    with pytest.raises(BundleError, match="finite"):
        unpack(pack({"x": np.array([value])}))


def test_pickled_arrays_are_refused() -> None:
    """An array of objects in a file is not unpickled."""
    file = io.BytesIO()
    np.savez(file, x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(BundleError):
        unpack(file.getvalue())


@example(at=711, bit=0, cut=0)  # the archive says that a member is encrypted
@given(at=st.integers(0, 900), bit=st.integers(0, 7), cut=st.integers(0, 900))
def test_damage_raises_or_changes_numbers_only(at: int, bit: int, cut: int) -> None:
    """Whatever is flipped or cut, loading ends in a predictor or a BundleError."""
    content = bytearray(pack(LINEAR))
    content[at % len(content)] ^= 1 << bit
    for damaged in (bytes(content), pack(LINEAR)[:cut]):
        try:
            from_bytes("linear", damaged)
        except BundleError:
            continue


def test_a_predictor_fits_its_manifest() -> None:
    """A predictor of other columns than the manifest's, or without its file, is refused."""
    described = manifest(feature_columns=("a", "b", "c"))
    with pytest.raises(BundleError, match="2 columns"):
        load_predictor({"predictor.npz": pack(LINEAR)}, described)
    with pytest.raises(BundleError, match="missing"):
        load_predictor({}, described)
    assert load_predictor({"predictor.npz": pack(LINEAR)}, manifest(feature_columns=("a", "b"))).columns == 2
