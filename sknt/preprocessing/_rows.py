"""The present steps of sequences as the rows of one table, and rows as sequences again."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sknt.data.sequences import is_list_of_sequences, is_table, padded_steps
from sknt.preprocessing._layouts_data import split_steps


class Layout(NamedTuple):
    """Where present steps belong.

    Attributes
    ----------
    form : {"table", "array", "list"}
        What the sequences are: of two dimensions, of three, or a list.
    lengths : ndarray of shape (n_samples,)
        Number of steps of each sample, absent ones among them.
    present : ndarray of bool of shape (n_steps,)
        Which steps of all samples, one sample after the other, are present.
    index : object
        The index of each sample, or that of a table, if they are frames of pandas.
    """

    form: str
    lengths: NDArray[np.int64]
    present: NDArray[np.bool_]
    index: Any = None

    def mask(self) -> NDArray[np.bool_]:
        """Return which steps are present, of shape (n_samples, n_timesteps)."""
        within = np.arange(self.lengths.max(initial=0)) < self.lengths[:, np.newaxis]
        mask = np.zeros(within.shape, bool)
        mask[within] = self.present
        return mask

    def fill(self, steps: NDArray[Any]) -> NDArray[Any]:
        """Return an entry for every step, absent ones NaN, from those of present steps."""
        if self.present.all():
            return steps
        dtype = np.float64 if steps.dtype.kind in "biuf" else object
        filled = np.full((len(self.present), *steps.shape[1:]), np.nan, dtype)
        filled[self.present] = steps
        return filled

    def lay_out(self, steps: NDArray[Any]) -> Any:
        """Return rows, shape (n_present, n_features), as sequences, absent steps NaN.

        Returns
        -------
        sequences : list of ndarray of shape (length_i, n_features), or ndarray of shape \
                (n_samples, n_timesteps, n_features)
            Of a table, a table again if there is one feature.
        """
        filled = self.fill(steps)
        if self.form == "list":
            return split_steps(filled, self.lengths)
        shape = (len(self.lengths), -1) if len(filled) else (len(self.lengths), 0)
        if self.form == "table" and steps.shape[1] == 1:
            return filled.reshape(shape)
        return filled.reshape(*shape, steps.shape[1])


class Rows(NamedTuple):
    """The present steps of all samples, one after the other.

    Attributes
    ----------
    table : ndarray or data frame of shape (n_present, n_features)
    layout : Layout
    """

    table: Any
    layout: Layout


def rows_of_arrays(
    X: Any, doubt: Callable[[NDArray[np.float64], NDArray[np.bool_]], None] | None = None
) -> Rows:
    """Return the present steps of sequences of numbers.

    Parameters
    ----------
    X : ndarray, frame or list
        As ``readable`` returns it.
    doubt : callable or None
        Called with the values and the mask of all steps, once they are in one array.

    Raises
    ------
    ValueError
        If X is not numeric, infinite, or of another shape.
    """
    values, present = padded_steps(X)
    infinite = np.isinf(values)
    if infinite.any():
        sample, step, feature = np.argwhere(infinite)[0]
        raise ValueError(
            f"X contains infinity: sample {sample}, step {step}, feature {feature}. "
            "Clip the data"
        )
    if doubt is not None:
        doubt(values, present)
    if is_list_of_sequences(X) and not is_table(X):
        lengths = np.array([len(sample) for sample in X])
        within = np.arange(values.shape[1]) < lengths[:, np.newaxis]
        return Rows(values[present], Layout("list", lengths, present[within]))
    form = "table" if is_table(X) else "array"
    lengths = np.full(len(values), values.shape[1])
    return Rows(values[present], Layout(form, lengths, present.ravel()))
