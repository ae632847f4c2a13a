"""A change of layout: rows of nested data, with static features, become sequences."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin
from sklearn.utils.validation import check_is_fitted

from sknt._private import fit_context
from sknt.data.streams import is_stream
from sknt.preprocessing._containers import FrameOutputMixin
from sknt.preprocessing._layouts_cells import cells_by_column
from sknt.preprocessing._layouts_data import names_of
from sknt.preprocessing._layouts_nested import from_nested
from sknt.preprocessing._streams import StreamTransformerMixin, first_pair, refuse_stream


class NestedToSequence(
    CallbackSupportMixin,
    FrameOutputMixin,
    StreamTransformerMixin,
    BaseEstimator,
    auto_wrap_output_keys=None,  # type: ignore[call-arg]
):
    """Turn rows of nested data into sequences, and repeat static features at each step.

    The first step of a pipeline for X with one row for each sequence: in some cells its
    series, in others a number or a text that does not change, such as an age or a region.
    Since a row holds all that belongs to a sequence, splitters and searches keep it
    together.

    Parameters
    ----------
    features : str, list of str or None, default=None
        The columns to read, in this order. None takes all that there are in `fit`.

    Attributes
    ----------
    columns_ : list of str
        The columns that are read, matched by name.
    features_ : list of str
        Names of the features that they hold.

    See Also
    --------
    from_nested : The same as a function, for ids and targets in the data, too.
    StepwiseTransformer : Encodes and scales features, of text as well, at each step.

    Examples
    --------
    >>> import pandas as pd
    >>> from sknt.preprocessing import NestedToSequence
    >>> people = pd.DataFrame({"pulse": [[60.0, 61.0], [88.0]], "region": ["N", "S"]})
    >>> NestedToSequence().fit_transform(people)[0]
       pulse region
    0   60.0      N
    1   61.0      N
    """

    __module__ = "sknt.preprocessing"  # where users and pickles find it

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "features": [str, list, tuple, None]
    }

    def __init__(self, features=None):
        self.features = features

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.no_validation = True
        return tags

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> "NestedToSequence":
        """Remember the columns.

        Parameters
        ----------
        X : nested data, or stream
            As in :func:`from_nested`. Of a stream of pairs (X, y), the first is taken.
        y : None
            Ignored.

        Returns
        -------
        self : NestedToSequence

        Raises
        ------
        TypeError
            If X is not nested data.
        ValueError
            If a column cannot be read; the message has the column and the sample.
        """
        if is_stream(X):
            (X, y), _ = first_pair(X, y)
        context = self._init_callback_context()
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        found = list(cells_by_column(X))
        columns = found if self.features is None else names_of(self.features)
        self.features_ = self._read(X, columns).columns.features
        self.columns_ = columns
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def transform(self, X: Any) -> list[Any]:
        """Return the rows as sequences.

        Parameters
        ----------
        X : nested data
            As in `fit`. Columns that `fit` did not read are left out.

        Returns
        -------
        X_new : list of data frame
            One for each row of X, with one row for each step, of the library of X or else
            of pandas, unless `set_output` has named one.

        Raises
        ------
        ValueError
            If X lacks a column or holds other features than in `fit`.
        """
        check_is_fitted(self)
        refuse_stream(X)
        data = self._read(X, self.columns_)
        if data.columns.features != self.features_:
            raise ValueError(
                f"X has the features {data.columns.features}, but in fit it had "
                f"{self.features_}"
            )
        return data.X

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the names of the features of a step.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        feature_names_out : ndarray of str objects
        """
        check_is_fitted(self)
        return np.array(self.features_, dtype=object)

    def _read(self, X: Any, columns: list[str]) -> Any:
        library = self._library()
        frames = True if library == "default" else library
        return from_nested(X, features=columns, scalars="repeat", as_frames=frames)
