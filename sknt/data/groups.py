"""Groups of sequences that belong together, such as those of one person. NumPy alone."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sknt.data.arrays import as_labels, fill_masked, is_missing


def check_groups(groups: Any, n_samples: int) -> NDArray[np.int64]:
    """Return equal numbers for sequences of the same group.

    Parameters
    ----------
    groups : array-like of shape (n_samples,)
        The group of each sequence: numbers, text or other values that can be compared.
    n_samples : int

    Returns
    -------
    numbers : ndarray of shape (n_samples,)

    Raises
    ------
    ValueError
        If the groups are of another shape, or some are missing.
    """
    try:
        labels = as_labels(fill_masked(groups, np.nan))
    except ValueError as error:
        raise ValueError(f"groups is not a list of groups: {error}") from error
    if labels.ndim != 1:
        raise ValueError(
            f"groups has shape {labels.shape}; give the group of each sequence, of shape "
            "(n_samples,)"
        )
    if len(labels) != n_samples:
        raise ValueError(
            f"groups has {len(labels)} entries, but X has {n_samples} sequences; give the "
            "group of each"
        )
    missing = is_missing(labels)
    if missing.any():
        raise ValueError(
            f"groups is missing at sample {np.flatnonzero(missing)[0]}; give the sequence "
            "a group, its own if it belongs to none"
        )
    known: dict[Any, int] = {}
    try:
        numbers = [known.setdefault(label, len(known)) for label in labels.tolist()]
    except TypeError as error:
        raise ValueError(f"groups has a group that cannot be compared: {error}") from error
    return np.array(numbers, dtype=np.int64)
