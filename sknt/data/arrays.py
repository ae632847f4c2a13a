"""What people pass as X and y, as NumPy arrays: tensors, lists, labels. NumPy alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sknt.data.cells import as_objects
from sknt.data.frames import check_frame, is_frame, without_dictionaries


def is_missing(values: NDArray[Any], marker: Any = np.nan) -> NDArray[np.bool_]:
    """Return which entries equal a marker; NaN equals NaN and, among objects, None."""
    if marker != marker:
        missing = np.asarray(values != values, dtype=bool)
        if values.dtype == object:
            missing |= np.asarray(values == None, dtype=bool)  # noqa: E711
        return missing
    return np.asarray(values == marker, dtype=bool)


def as_numpy(values: Any) -> Any:
    """Return a torch tensor as a detached array, and anything else unchanged.

    Masked entries of a masked array become NaN, and what Arrow holds loses dictionaries.

    Raises
    ------
    TypeError
        If the tensor is sparse, nested, quantized or on the device "meta".
    """
    if isinstance(values, np.ma.MaskedArray):
        if values.dtype.kind in "biu":
            values = values.astype(np.float64)
        return fill_masked(values, np.nan)
    if hasattr(values, "to_pylist"):  # of Arrow
        return without_dictionaries(values)
    if not hasattr(values, "detach"):
        return values
    for kind in ("is_sparse", "is_sparse_csr", "is_nested", "is_quantized", "is_meta"):
        if getattr(values, kind, False):
            raise TypeError(
                f"a tensor of this kind ({kind}) cannot be read; give a dense one that "
                "holds data, such as X.to_dense(), or a list of one tensor per sequence"
            )
    tensor = values.detach().cpu()
    try:
        return tensor.numpy()
    except TypeError:  # NumPy has no bfloat16
        return tensor.float().numpy()


def fill_masked(values: Any, marker: Any) -> Any:
    """Put a marker into the masked entries of masked arrays, alone or in a list.

    Integers and text become objects if that is what can hold the marker. Anything else is
    returned unchanged.
    """
    if isinstance(values, np.ma.MaskedArray):
        mask, data = np.ma.getmaskarray(values), values.data
        if not mask.any():
            return data
        data = data.copy() if data.dtype.kind == "f" else as_objects(data)
        data[mask] = marker
        return data
    listed = is_list(values) or is_list_of_sequences(values)
    if listed and any(isinstance(value, np.ma.MaskedArray) for value in values):
        return [fill_masked(value, marker) for value in values]
    return values


def is_list(X: Any) -> bool:
    """Return whether X is a list, tuple, deque or other Python sequence, but not text."""
    return isinstance(X, Sequence) and not isinstance(X, str | bytes)


def is_list_of_sequences(X: Any) -> bool:
    """Return whether X is a list (or an object array or series) of sequences."""
    if is_list(X):
        return any(has_length(item) for item in X)
    is_objects = getattr(X, "ndim", None) == 1 and getattr(X, "dtype", None) == np.dtype(
        object
    )
    return is_objects and any(has_length(item) for item in X)


def is_table(X: Any) -> bool:
    """Return whether X is a table: below three dimensions, and not a list of sequences.

    Plain lists of equal length are a table too, as everywhere in scikit-learn; a list of
    arrays is a list of sequences.
    """
    if not is_list_of_sequences(X):
        return getattr(X, "ndim", 2) < 3
    return (
        all(is_list(row) for row in X)
        and len({len(row) for row in X}) == 1
        and not any(has_length(value) for row in X for value in row)
    )


def has_length(item: Any) -> bool:
    """Return whether an item is itself a sequence, and not text."""
    if hasattr(item, "ndim"):  # len() of a zero-dimensional array raises
        return item.ndim > 0
    return hasattr(item, "__len__") and not isinstance(item, str | bytes)


def as_labels(values: Any) -> NDArray[Any]:
    """Return an array in which NaN among text stays NaN rather than the text "nan".

    Missing values of pandas become NaN as well.

    Raises
    ------
    ValueError
        If a column of a frame holds dates or sequences.
    """
    values = as_numpy(values)
    if is_frame(values):
        check_frame(values)
    if is_list(values):
        values = [as_numpy(value) for value in values]
    if hasattr(values, "isna"):
        missing, values = np.asarray(values.isna()), values.to_numpy()
        if values.dtype == object and missing.any():
            values = np.where(missing, np.nan, values)
    array = np.asarray(values)
    if array.dtype.kind in "SU" and not isinstance(values, np.ndarray):
        array = np.asarray(values, dtype=object)
    return array
