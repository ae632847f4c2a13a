"""Targets laid out like X, and which entries hold one."""

from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from sknt.data.arrays import as_labels, fill_masked, is_list_of_sequences, is_missing
from sknt.data.frames import check_frame, is_frame
from sknt.data.padding import arrays_of_steps
from sknt.data.sequences import Layout, concatenated


def check_targets(
    y: Any, layout: Layout, *, per_step: bool, missing_target: Any
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return targets, those of steps one sequence after the other, and which there are.

    Parameters
    ----------
    y : array-like or list
        Of shape (n_samples,) or (n_samples, n_outputs); with `per_step` as in
        :func:`align_targets`.
    layout : Layout
        Which steps of X are present.
    per_step : bool
        Whether there is a target for each step.
    missing_target : object
        The value that marks a missing target in y; masked entries are missing as well.

    Returns
    -------
    targets : ndarray of shape (n_samples, [n_outputs]), or with `per_step` of shape \
            (n_present, [n_outputs])
    valid : ndarray of bool of the same shape

    Raises
    ------
    ValueError
        If y is of another shape, infinite, or has no target at all.
    """
    y = fill_masked(y, missing_target)
    if per_step:
        targets = align_targets(y, layout)
    else:
        targets = _dense(y)
        if targets.ndim not in (1, 2):
            raise ValueError(
                "y should be a 1d array, a target for each sequence, or of shape "
                f"(n_samples, n_outputs), got an array of shape {targets.shape} instead. "
                "For a target for each step, use return_sequences=True"
            )
        _check_n_samples(len(layout.given), len(targets))
    valid = ~is_missing(targets, missing_target)
    if not valid.any():
        raise ValueError(
            f"y has no target: every entry is missing_target={missing_target!r} (or "
            "lies at an absent step of X)"
        )
    for unusable, what, advice in (
        (
            _not_finite(targets),
            "contains NaN, None or infinity",
            f", which is not missing_target={missing_target!r}; correct it or leave it out",
        ),
        (_too_large(targets), "has a value too large for double precision", "; scale y"),
    ):
        if (valid & unusable).any():
            first, *rest = np.argwhere(valid & unusable)[0].tolist()
            where = [*(layout.place(first) if per_step else [first]), *rest]
            raise ValueError(f"y {what} at index {where}{advice}")
    return targets, valid


def check_every_output(has_target: NDArray[np.bool_]) -> None:
    """Refuse targets if an output (an entry of the last axis) has none at all."""
    without = ~has_target.reshape(-1, has_target.shape[-1]).any(axis=0)
    if without.any():
        raise ValueError(
            f"output {np.flatnonzero(without)[0]} of y has no target: every entry is "
            "missing. Leave the output out"
        )


def typed_labels(labels: NDArray[Any]) -> NDArray[Any]:
    """Return labels as an array of numbers or of text, not of objects.

    Raises
    ------
    ValueError
        If they mix numbers and text, are of any other kind, or are too large.
    """
    if labels.dtype != object:
        return labels
    values = labels.tolist()
    for value in values:
        if not isinstance(value, str | Number | np.generic):
            raise ValueError(
                f"y has the label {value!r} of type {type(value).__name__}; labels are "
                "text or numbers"
            )
    if len({isinstance(value, str) for value in values}) > 1:
        raise ValueError(
            "y mixes text with other labels; make them all text or all numbers"
        )
    typed = np.array(values)
    if typed.dtype == object:
        raise ValueError(
            "y has labels that NumPy holds as objects, such as Decimal or integers of more "
            "than 64 bits; use smaller numbers, or text"
        )
    return typed


def _dense(y: Any) -> NDArray[Any]:
    if issparse(y):
        raise TypeError("y is sparse, but dense targets are required; use y.toarray()")
    if is_frame(y):
        check_frame(y)
    try:
        labels = as_labels(y)
    except ValueError as error:
        raise ValueError(
            "y has samples of unequal length; for a target for each step, use "
            "return_sequences=True"
        ) from error
    if labels.dtype.kind == "c":
        raise ValueError("Complex data not supported: y has complex numbers")
    return labels


def _not_finite(targets: NDArray[Any]) -> NDArray[np.bool_]:
    if targets.dtype.kind == "f":
        return ~np.isfinite(targets)
    if targets.dtype != object:
        return np.zeros(targets.shape, dtype=bool)
    infinite = (targets == np.inf) | (targets == -np.inf)
    return is_missing(targets) | np.asarray(infinite, dtype=bool)


def align_targets(y: Any, layout: Layout, name: str = "y") -> NDArray[Any]:
    """Return the targets, or other values, of the present steps of X in a row.

    Parameters
    ----------
    y : array-like of shape (n_samples, n_timesteps) or (n_samples, n_timesteps, \
            n_outputs), or list of array-like of shape (length_i,) or \
            (length_i, n_outputs)
        In a list, each sample has one target for each step of the sample in X, or one
        for each present step.
    layout : Layout
        Which steps of X are present.
    name : str, default="y"
        What the errors call them.

    Returns
    -------
    targets : ndarray of shape (n_present,) or (n_present, n_outputs)

    Raises
    ------
    ValueError
        If the number of samples, steps or dimensions does not fit X.
    """
    n_samples, n_timesteps = len(layout.given), layout.n_timesteps
    if is_list_of_sequences(y):
        _check_n_samples(n_samples, len(y), name)
        return _align_samples(y, layout, name)
    targets = _dense(y)
    if targets.ndim not in (2, 3):
        raise ValueError(
            f"{name} has shape {targets.shape}, but return_sequences=True takes a target "
            f"for each step: (n_samples, n_timesteps) = {(n_samples, n_timesteps)} or "
            "(n_samples, n_timesteps, n_outputs). For a target for each sequence, use "
            "return_sequences=False"
        )
    _check_n_samples(n_samples, len(targets), name)
    if targets.shape[1] != n_timesteps:
        raise ValueError(
            f"{name} has {targets.shape[1]} steps, but X has {n_timesteps}; give one for "
            "each step, and NaN where there is none"
        )
    return targets[layout.places()]


def _align_samples(y: Any, layout: Layout, name: str) -> NDArray[Any]:
    ends = np.cumsum(layout.given)
    aligned = []
    for i, steps in enumerate(y):
        positions = np.arange(layout.given[i])
        if layout.present is not None:
            own = layout.present[ends[i] - layout.given[i] : ends[i]]
            positions = positions[own]
        aligned.append(_align_sample(i, steps, positions, layout.n_timesteps, name))
    filled = [labels for labels in arrays_of_steps(aligned) if len(labels)]
    if not filled:
        return np.empty(0)
    targets = concatenated(filled)
    is_short = targets.dtype.kind == "f" and targets.dtype != np.longdouble
    return targets.astype(np.float64) if is_short else targets


def _align_sample(
    i: int, steps: Any, positions: NDArray[np.int64], n_timesteps: int, name: str
) -> NDArray[Any]:
    """Return what belongs to one sample's present steps, which are at these positions."""
    if is_frame(steps):
        check_frame(steps)
    try:
        labels = as_labels(steps)
    except ValueError:
        labels = np.empty(())  # unequal numbers of outputs
    if labels.ndim not in (1, 2):
        raise ValueError(
            f"sample {i} of {name} is not of shape (length,) or (length, n_outputs); give "
            "one for each step of the sample"
        )
    n_targets, n_present = len(labels), len(positions)
    until = positions[-1] + 1 if n_present else 0
    if n_targets == n_present:
        return labels
    if until <= n_targets <= n_timesteps:
        return labels[positions]
    found = f"{n_targets} {'targets' if name == 'y' else 'entries'}"
    raise ValueError(
        f"sample {i} of {name} has {found}, but sample {i} of X has {n_present} steps; "
        "give one for each step, and NaN where there is none"
    )


def _too_large(targets: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which long doubles double precision cannot hold."""
    if targets.dtype != np.longdouble:
        return np.zeros(targets.shape, dtype=bool)
    return np.asarray(np.abs(targets) > np.finfo(np.float64).max)


def _check_n_samples(n_samples: int, n_targets: int, name: str = "y") -> None:
    if n_samples != n_targets:
        raise ValueError(
            "Found input variables with inconsistent numbers of samples: X has "
            f"{n_samples}, {name} has {n_targets}"
        )
