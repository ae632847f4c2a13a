"""Sequences as arrays: what is there, where in X it was, and checks. NumPy alone.

A step that is all NaN is absent, wherever it is in the sequence. What is absent is found
once, here; everything downstream sees only runs of present steps, and their lengths.
``arrays`` has what is read as an array, ``ragged`` the runs, ``padding`` the functions for
users.
"""

from numbers import Number
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sknt.data.arrays import (
    as_labels,
    as_numpy,
    is_list,
    is_list_of_sequences,
    is_missing,
    is_table,
)
from sknt.data.cells import refuse_dates
from sknt.data.frames import is_frame
from sknt.data.padding import (
    arrays_of_steps,
    as_steps,
    mark_padding,
    pad_sequences,
    unpad_sequences,
)
from sknt.data.ragged import Ragged, adjoin
from sknt.data.reading import readable

__all__ = [
    "Layout",
    "Sequences",
    "as_labels",
    "as_numpy",
    "check_sequences",
    "is_list",
    "is_list_of_sequences",
    "is_missing",
    "is_table",
    "layout_of",
    "mark_padding",
    "pad_sequences",
    "padded_steps",
    "step_mask",
    "unpad_sequences",
]

EXACT = 2**53
"""Double precision holds all whole numbers up to this one."""

FLOAT32_MAX = float(np.finfo(np.float32).max)


class Layout(NamedTuple):
    """Where in X the present steps of its sequences are.

    Attributes
    ----------
    given : ndarray of int64 of shape (n_samples,)
        Number of steps of each sample, with those that are absent.
    present : ndarray of bool of shape (given.sum(),) or None
        Which of them are present, one sample after the other; None: all.
    """

    given: NDArray[np.int64]
    present: NDArray[np.bool_] | None

    @classmethod
    def of(cls, present: NDArray[np.bool_]) -> "Layout":
        """Return the layout of an array, from a mask (n_samples, n_timesteps)."""
        return cls(np.full(len(present), present.shape[1]), present.ravel())

    @property
    def n_timesteps(self) -> int:
        """Number of steps of the padded array."""
        return int(self.given.max(initial=0))

    def places(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return sample and step of each present step, each of shape (n_present,)."""
        samples = np.repeat(np.arange(len(self.given)), self.given)
        steps = adjoin(np.zeros(len(self.given), np.int64), self.given)
        if self.present is None:
            return samples, steps
        return samples[self.present], steps[self.present]

    def place(self, i: int) -> tuple[int, int]:
        """Return sample and step of one present step."""
        if self.present is not None:
            i = int(np.flatnonzero(self.present)[i])
        return place_among(self.given, i)

    def mask(self) -> NDArray[np.bool_]:
        """Return which steps are present, of shape (n_samples, n_timesteps)."""
        present = np.zeros((len(self.given), self.n_timesteps), bool)
        present[self.places()] = True
        return present

    def unpack(self, steps: NDArray[Any], fill: Any = np.nan) -> NDArray[Any]:
        """Lay values of present steps out like X.

        Parameters
        ----------
        steps : ndarray of shape (n_present, ...)
            One sequence after the other.
        fill : object, default=nan
            Value of absent steps; if there are any, the dtype is widened to hold it.

        Returns
        -------
        values : ndarray of shape (n_samples, n_timesteps, ...)
        """
        n_samples, n_timesteps = len(self.given), self.n_timesteps
        shape, dtype = (n_samples, n_timesteps, *steps.shape[1:]), steps.dtype
        if len(steps) == n_samples * n_timesteps:
            return steps.reshape(shape)
        is_number = np.issubdtype(dtype, np.number) and isinstance(fill, Number)
        wide = np.result_type(dtype, type(fill)) if is_number else np.dtype(object)
        if wide.kind == "f" and _is_beyond_doubles(steps):
            wide = np.dtype(object)
        values = np.full(shape, fill, wide)
        values[self.places()] = steps
        return values


def _is_beyond_doubles(values: NDArray[Any]) -> bool:
    """Return whether there are whole numbers that double precision may not hold."""
    is_whole = values.dtype.kind in "iu" and values.size > 0
    return is_whole and not -EXACT <= int(values.min()) <= int(values.max()) <= EXACT


class Sequences(NamedTuple):
    """Checked sequences.

    Attributes
    ----------
    inputs : Ragged
        The present steps.
    layout : Layout
        Where they were in X.
    """

    inputs: Ragged
    layout: Layout

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of present steps, at least 1, of shape (n_samples,)."""
        return self.inputs.lengths

    @property
    def values(self) -> NDArray[np.float64]:
        """The steps packed to the left, then zeros: (n_samples, longest, n_features)."""
        return self.inputs.padded()

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which steps of X are present, of shape (n_samples, n_timesteps)."""
        return self.layout.mask()

    def unpack(self, steps: NDArray[Any], fill: Any = np.nan) -> NDArray[Any]:
        """Lay values of present steps out like X, as :meth:`Layout.unpack`."""
        return self.layout.unpack(steps, fill)


def step_mask(lengths: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which steps of packed sequences are present, shape (n_samples, longest)."""
    return np.arange(lengths.max()) < lengths[:, np.newaxis]


def place_among(given: NDArray[np.int64], i: int) -> tuple[int, int]:
    """Return sample and step of the i-th of all steps, one sample after the other."""
    ends = np.cumsum(given)
    sample = int(np.searchsorted(ends, i, side="right"))
    return sample, i - int(ends[sample] - given[sample])


def check_sequences(X: Any) -> Sequences:
    """Check sequences and find their present steps.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_timesteps, n_features) or \
            (n_samples, n_timesteps), or list of array-like of shape \
            (length_i, n_features) or (length_i,)
        Two dimensions are univariate sequences. A step that is all NaN is absent.

    Returns
    -------
    sequences : Sequences
        Of an array, these are views; no more of it is in memory than a piece at a time.

    Raises
    ------
    ValueError
        If X is not numeric, has no sample or no feature, has an infinite value, a step
        that is partly NaN, or a sequence without any step.
    """
    given = given_steps(X)
    present = np.ones(int(given.lengths.sum()), bool)
    first, lengths = given.first.copy(), given.lengths.copy()
    end, in_a_row = 0, True
    for rows in given.pieces():
        piece = given.take(rows)
        start, end = end, end + int(piece.lengths.sum())
        is_there = _check_steps(piece, rows.start)
        if is_there.all():
            continue
        present[start:end] = is_there
        before, lengths[rows], unbroken = _runs(Layout(piece.lengths, is_there))
        first[rows] += before
        in_a_row &= unbroken
    if not lengths.all():
        raise ValueError(
            f"sample {np.flatnonzero(lengths == 0)[0]} of X has no step: every one of "
            "its steps is NaN. Leave the sample out"
        )
    layout = Layout(given.lengths, None if present.all() else present)
    if in_a_row:
        return Sequences(Ragged(given.array, given.block, first, lengths), layout)
    return Sequences(_without_gaps(given, present, lengths), layout)


def _check_steps(piece: Ragged, first_sample: int) -> NDArray[np.bool_]:
    """Return which steps of some samples are present; refuse what cannot be read."""
    steps = piece.steps()

    def place(is_wrong: Any) -> tuple[int, int]:
        sample, step = place_among(piece.lengths, int(is_wrong.argmax()))
        return first_sample + sample, step

    too_large = np.abs(steps) > FLOAT32_MAX
    if too_large.any():
        sample, step = place(too_large.any(axis=1))
        feature = np.argwhere(too_large)[0, 1]
        raise ValueError(
            f"X contains infinity or a value too large for float32: sample {sample}, "
            f"step {step}, feature {feature}. Clip or scale the data"
        )
    missing = np.isnan(steps)
    present = ~missing.all(axis=1)
    partly = present & missing.any(axis=1)
    if partly.any():
        sample, step = place(partly)
        features = np.flatnonzero(missing[partly][0])
        advice = "fill other gaps, for instance with StepwiseTransformer(SimpleImputer())"
        whole = np.isnan(piece.take([sample - first_sample]).steps())
        if _ends_early(whole, features):
            advice += (
                "; or, if axis 1 has the features and axis 2 the steps, use "
                "sknt.preprocessing.from_channels_first"
            )
        raise ValueError(
            f"X contains NaN in part of a step: sample {sample}, step {step}, "
            f"feature(s) {features.tolist()}. A step that is all NaN is absent; {advice}"
        )
    return np.asarray(present)


def _ends_early(missing: NDArray[np.bool_], features: NDArray[np.int64]) -> bool:
    """Return whether all steps of a sequence miss the same features, the last ones."""
    return (
        bool((missing == missing[0]).all())
        and features[-1] - features[0] + 1 == len(features) == len(missing[0]) - features[0]
    )


def _runs(layout: Layout) -> tuple[NDArray[np.int64], NDArray[np.int64], bool]:
    """Return the first step and the number of those that are present, and if in a row."""
    samples, steps = layout.places()
    lengths = np.bincount(samples, minlength=len(layout.given))
    filled = lengths > 0
    begins = (np.cumsum(lengths) - lengths)[filled]
    first = np.zeros_like(lengths)
    first[filled] = steps[begins]
    last = steps[begins + lengths[filled] - 1]
    return first, lengths, bool((last - first[filled] + 1 == lengths[filled]).all())


def _without_gaps(
    given: Ragged, present: NDArray[np.bool_], lengths: NDArray[np.int64]
) -> Ragged:
    """Copy the present steps, if in some sequences absent ones lie between them."""
    steps = np.empty((int(lengths.sum()), given.n_features))
    read = written = 0
    for rows in given.pieces():
        piece = given.take(rows).steps()
        kept = piece[present[read : read + len(piece)]]
        steps[written : written + len(kept)] = kept
        read, written = read + len(piece), written + len(kept)
    return Ragged.in_a_row(steps, lengths)


def padded_steps(X: Any) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return sequences as one array, and which of their steps are present.

    Parameters
    ----------
    X : array-like or list
        As in :func:`check_sequences`, but steps may be partly NaN, and values infinite.

    Returns
    -------
    values : ndarray of shape (n_samples, n_timesteps, n_features)
    present : ndarray of bool of shape (n_samples, n_timesteps)

    Raises
    ------
    ValueError
        If X is not numeric, is of another shape, or has no sample or no feature.
    """
    values = given_steps(X).padded(fill=np.nan)
    return values, np.asarray(~np.isnan(values).all(axis=2))


def layout_of(X: Any) -> Layout:
    """Return which steps are present, of X as :func:`padded_steps` reads it.

    Frames in a list may have columns of text, and columns in any order: a transformer may
    be about to encode the ones and to sort the others.
    """
    X = readable(X)
    if is_list_of_sequences(X) and any(map(is_frame, X)):
        of_samples = [_present_rows(i, sample) for i, sample in enumerate(X)]
        given_rows = np.array(list(map(len, of_samples)))
        return Layout(given_rows, np.concatenate(of_samples))
    given = given_steps(X)
    present = [~np.isnan(given.take(rows).steps()).all(axis=1) for rows in given.pieces()]
    return Layout(given.lengths, np.concatenate(present))


def _present_rows(i: int, sample: Any) -> NDArray[np.bool_]:
    missing = is_missing(as_steps(i, sample))
    return np.asarray(~missing.reshape(len(missing), -1).all(axis=1))


def given_steps(X: Any) -> Ragged:
    """Return all steps of sequences, absent ones too, without a copy where X is an array.

    Parameters
    ----------
    X : array-like or list
        As in :func:`padded_steps`.

    Returns
    -------
    given : Ragged

    Raises
    ------
    ValueError
        As in :func:`padded_steps`.
    """
    X = readable(X)
    if is_list_of_sequences(X):
        return _listed_steps(X)
    array = _as_numbers(np.asarray(as_numpy(X)))
    if array.ndim == 2:
        array = array[:, :, np.newaxis]
    if array.ndim != 3:
        raise ValueError(
            f"X has {array.ndim} dimensions; give (n_samples, n_timesteps, n_features), "
            "(n_samples, n_timesteps) or a list of arrays. Reshape your data either "
            "using X.reshape(-1, 1) if it has a single step or X.reshape(1, -1) if it "
            "is a single sample"
        )
    n_samples, n_timesteps, n_features = array.shape
    if n_samples == 0 or n_features == 0:
        raise ValueError(
            f"Found array with {n_samples} sample(s) and {n_features} feature(s) "
            f"(shape={array.shape}) while a minimum of 1 is required."
        )
    return Ragged.in_blocks(array, np.full(n_samples, n_timesteps))


def _listed_steps(X: Any) -> Ragged:
    """Return the steps of a list of sequences, in a row."""
    arrays = arrays_of_steps(X)
    lengths = np.array([len(array) for array in arrays])
    filled = [array for array in arrays if len(array)]
    if not filled:
        return Ragged.in_a_row(np.empty((0, 1)), lengths)
    steps = _as_numbers(concatenated(filled))
    if steps.ndim == 1:
        steps = steps[:, np.newaxis]
    if steps.shape[1] == 0:
        raise ValueError("The sequences have no feature; a minimum of 1 is required.")
    return Ragged.in_a_row(steps, lengths)


def concatenated(arrays: list[NDArray[Any]]) -> NDArray[Any]:
    """Concatenate arrays, as objects if some hold numbers and others do not."""
    is_number = {array.dtype.kind in "biuf" for array in arrays}
    if len(is_number) > 1:
        arrays = [array.astype(object) for array in arrays]
    return np.concatenate(arrays)


def _as_numbers(array: NDArray[Any]) -> NDArray[Any]:
    refuse_dates(array, "X")
    if array.dtype.kind == "c":
        raise ValueError("Complex data not supported: X has complex numbers")
    if array.dtype.kind not in "biufO":
        raise ValueError(
            f"X is not numeric: it is of dtype {array.dtype}. Encode text as numbers"
        )
    if array.dtype.kind != "O":
        return array
    try:
        return array.astype(np.float64)
    except (OverflowError, TypeError, ValueError) as error:
        raise ValueError(f"X is not numeric: {error}. Encode text as numbers") from error
