"""The present steps of sequences as the rows of one table, and rows as sequences again."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sknt.data.ragged import Ragged
from sknt.data.sequences import (
    Layout,
    given_steps,
    is_list_of_sequences,
    is_table,
    place_among,
)
from sknt.preprocessing._layouts_data import split_steps


class Arrangement(NamedTuple):
    """Where present steps belong, and in what.

    Attributes
    ----------
    form : {"table", "array", "list"}
        What the sequences are: of two dimensions, of three, or a list.
    layout : Layout
        Which steps are present.
    index : object
        The index of each sample, or that of a table, if they are frames of pandas.
    """

    form: str
    layout: Layout
    index: Any = None

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of steps of each sample, absent ones among them."""
        return self.layout.given

    def fill(self, steps: NDArray[Any]) -> NDArray[Any]:
        """Return an entry for every step, absent ones NaN, from those of present steps."""
        present = self.layout.present
        if present is None or present.all():
            return steps
        dtype = np.float64 if steps.dtype.kind in "biuf" else object
        filled = np.full((len(present), *steps.shape[1:]), np.nan, dtype)
        filled[present] = steps
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
    arrangement : Arrangement
    """

    table: Any
    arrangement: Arrangement


def rows_of_arrays(X: Any, doubt: Callable[[Ragged], None] | None = None) -> Rows:
    """Return the present steps of sequences of numbers.

    Parameters
    ----------
    X : ndarray, frame or list
        As ``readable`` returns it.
    doubt : callable or None
        Called with the present steps of each sequence.

    Raises
    ------
    ValueError
        If X is not numeric, infinite, or of another shape.
    """
    given = given_steps(X)
    steps = given.steps()
    infinite = np.isinf(steps)
    if infinite.any():
        i, feature = np.argwhere(infinite)[0].tolist()
        sample, step = place_among(given.lengths, i)
        raise ValueError(
            f"X contains infinity: sample {sample}, step {step}, feature {feature}. "
            "Clip the data"
        )
    present = np.asarray(~np.isnan(steps).all(axis=1))
    layout = Layout(given.lengths, present)
    table = steps[present]
    if doubt is not None:
        n_present = np.bincount(layout.places()[0], minlength=len(given))
        doubt(Ragged.in_a_row(table, n_present))
    form = "table" if is_table(X) else "array"
    if is_list_of_sequences(X) and form != "table":
        form = "list"
    return Rows(table, Arrangement(form, layout))
