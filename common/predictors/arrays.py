"""The file of a predictor: named arrays of numbers in NumPy's own `.npz`, read and written with pickling refused.

`numpy.load("predictor.npz")` shows what is in it. Shapes and meaning of each array stand with the kind that reads it:
`linear`, `forest` and `svc` in the modules of these names.
"""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import BundleError

Arrays = Mapping[str, NDArray[Any]]


def pack(arrays: Arrays) -> bytes:
    """The bytes of a predictor file. Raises BundleError for an array that holds anything but numbers."""
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf":
            raise BundleError(f"array {name!r} has type {array.dtype}, expected numbers")
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **{name: np.asarray(array, order="C") for name, array in arrays.items()})
    return content.getvalue()


def unpack(content: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of a predictor file. Raises BundleError where it is damaged or holds anything but numbers."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # zipfile, zlib and NumPy raise a dozen kinds for a damaged file
        raise BundleError(f"the predictor cannot be read: {error}") from error
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
            raise BundleError(f"array {name!r} of the predictor holds what is no finite number")
    return arrays


def size_of(*arrays: NDArray[Any]) -> int:
    """Bytes of memory that arrays take."""
    return sum(array.nbytes for array in arrays)
