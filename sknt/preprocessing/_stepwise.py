"""A transformer of scikit-learn applied to the present steps of sequences."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, clone
from sklearn.callback import CallbackSupportMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from sknt._private import HasMethods, fit_context
from sknt.data.doubts import warn_if_axes_look_swapped
from sknt.data.frames import is_frame
from sknt.data.inputs import SequenceInputMixin
from sknt.data.reading import readable
from sknt.data.sequences import Layout, as_numpy, is_list_of_sequences, is_table
from sknt.data.streams import is_stream
from sknt.data.targets import align_targets
from sknt.preprocessing._containers import (
    FrameOutputMixin,
    as_array,
    as_frames,
    as_numbers,
)
from sknt.preprocessing._rows import Rows, rows_of_arrays
from sknt.preprocessing._rows_of_frames import (
    are_named_frames,
    frames_in_order,
    rows_of_frames,
    text_columns,
)
from sknt.preprocessing._streams import StreamTransformerMixin, first_pair, refuse_stream


def _inner_has(method: str) -> Any:
    """Return a check that the inner transformer has a method."""

    def check(stepwise: "StepwiseTransformer") -> bool:
        inner = getattr(stepwise, "transformer_", stepwise.transformer)
        return inner is None or hasattr(inner, method)  # a StandardScaler has them all

    return check


class StepwiseTransformer(
    SequenceInputMixin,
    CallbackSupportMixin,
    FrameOutputMixin,
    StreamTransformerMixin,
    BaseEstimator,
    auto_wrap_output_keys=None,  # type: ignore[call-arg]
):
    """Apply a scikit-learn transformer to every present step of sequences.

    The transformer sees the present steps of all sequences, one after the other, as a
    table of shape (n_steps, n_features). Absent steps (all NaN) stay absent. Of a list of
    data frames, the table is a frame with their columns, so that a ``ColumnTransformer``
    can treat columns of text, categories and numbers each in its way.

    Parameters
    ----------
    transformer : transformer or None, default=None
        Such as ``StandardScaler()``, which is what None stands for, ``SimpleImputer()``
        for steps that are partly NaN, ``PCA(3)``, or a ``ColumnTransformer``.

    Attributes
    ----------
    transformer_ : transformer
        The fitted transformer.
    n_features_in_ : int
        Number of features per step; for a two-dimensional X, its number of columns.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if X was a frame or a list of frames with names that are all
        text.

    See Also
    --------
    NestedToSequence : Makes frames of one row for each sequence, with static features.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import MinMaxScaler
    >>> from sknt.preprocessing import StepwiseTransformer
    >>> X = np.array([[[0.0], [4.0]], [[2.0], [np.nan]]])
    >>> StepwiseTransformer(MinMaxScaler()).fit_transform(X)[..., 0]
    array([[0. , 1. ],
           [0.5, nan]])

    Frames with a column of text:

    >>> import pandas as pd
    >>> from sklearn.compose import make_column_transformer
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> frames = [
    ...     pd.DataFrame({"kind": ["u", "v"], "a": [1.0, 2.0]}),
    ...     pd.DataFrame({"kind": ["v"], "a": [3.0]}),
    ... ]
    >>> columns = make_column_transformer(
    ...     (OneHotEncoder(), ["kind"]), (MinMaxScaler(), ["a"])
    ... )
    >>> StepwiseTransformer(columns).fit_transform(frames)
    [array([[1. , 0. , 0. ],
           [0. , 1. , 0.5]]), array([[0., 1., 1.]])]
    """

    __module__ = "sknt.preprocessing"  # where users and pickles find it

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "transformer": [HasMethods(["fit", "transform"]), None]
    }

    transformer_: Any
    _reads_text = True

    def __init__(self, transformer=None):
        self.transformer = transformer

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None) -> "StepwiseTransformer":
        """Fit the transformer to the present steps.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timesteps, n_features) or \
                (n_samples, n_timesteps), list of such samples or of data frames, or stream
            Frames have one row for each step; a row is absent if it is missing in every
            column. Of a stream, that is, an iterator of pairs (X, y) or a function that
            returns one, the first pair is taken.
        y : array-like of shape (n_samples,) or (n_samples, n_timesteps), default=None
            For a transformer that takes targets: each step gets its own, or that of its
            sequence.

        Returns
        -------
        self : StepwiseTransformer

        Raises
        ------
        ValueError
            If X has no present step, is not of a valid shape, or has a column that cannot
            be read.
        """
        if is_stream(X):
            (X, y), _ = first_pair(X, y)
        return self._fit(X, y, partial=False)

    @available_if(_inner_has("partial_fit"))
    @fit_context(prefer_skip_nested_validation=False)
    def partial_fit(self, X: Any, y: Any = None) -> "StepwiseTransformer":
        """Fit the transformer to some more sequences.

        Parameters
        ----------
        X : array-like or list
            As in `fit`, but no stream; sequences may be longer or shorter than before.
        y : array-like, default=None
            As in `fit`.

        Returns
        -------
        self : StepwiseTransformer
        """
        refuse_stream(X)
        return self._fit(X, y, partial=True)

    def _fit(self, X: Any, y: Any, *, partial: bool) -> "StepwiseTransformer":
        context = self._init_callback_context()
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        continues = partial and hasattr(self, "transformer_")
        rows = self._rows(X, reset=not continues)
        targets = None if y is None else _targets_of_steps(y, rows.arrangement.layout)
        if continues:
            inner = self.transformer_
        else:
            inner = (
                StandardScaler() if self.transformer is None else clone(self.transformer)
            )
        learn = inner.partial_fit if partial else inner.fit
        self.transformer_ = learn(rows.table, targets)
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def _new_transformer(self) -> Any:
        return StandardScaler() if self.transformer is None else clone(self.transformer)

    def transform(self, X: Any) -> Any:
        """Transform the present steps.

        Parameters
        ----------
        X : array-like or list
            As in `fit`, but no stream. Columns of frames are matched by name.

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_timesteps, n_features_out), or list of \
                ndarray of shape (length_i, n_features_out)
            A list if X is one. NaN at absent steps; of shape (n_samples, n_timesteps) if X
            is a table and the result has one feature per step. After `set_output`, a list
            of data frames; of a table with one feature per step, one data frame.

        Raises
        ------
        ValueError
            If X has another number of features than in `fit` or lacks a column, or the
            result is to be an array, but is not numeric.
        """
        check_is_fitted(self)
        refuse_stream(X)
        rows = self._rows(X, reset=False)
        steps = self.transformer_.transform(rows.table)
        library = self._library()
        if library == "default":
            return rows.arrangement.lay_out(as_numbers(steps))
        if not hasattr(steps, "shape") or len(np.shape(steps)) != 2:
            steps = as_array(steps)
        return as_frames(steps, rows.arrangement, self._names_out(rows), library)

    @available_if(_inner_has("inverse_transform"))
    def inverse_transform(self, X: Any) -> Any:
        """Undo the transformation of the present steps.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timesteps, n_features_out), or list of \
                array-like of shape (length_i, n_features_out)

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_timesteps, n_features), or list of \
                ndarray of shape (length_i, n_features)
            Objects if the features are not numbers.
        """
        check_is_fitted(self)
        rows = rows_of_arrays(readable(X))
        steps = as_array(self.transformer_.inverse_transform(rows.table))
        return rows.arrangement.lay_out(steps)

    @available_if(_inner_has("get_feature_names_out"))
    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the names of the features of a transformed step.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the features before; None takes ``feature_names_in_`` or, without
            them, "x0", "x1" and so on.

        Returns
        -------
        feature_names_out : ndarray of str objects
            For a table with one feature per step, the names of its steps.
        """
        check_is_fitted(self)
        if not self._fitted_on_table:
            return self.transformer_.get_feature_names_out(input_features)
        steps = OneToOneFeatureMixin.get_feature_names_out(self, input_features)
        names = self.transformer_.get_feature_names_out()
        return steps if len(names) == 1 else names

    def _names_out(self, rows: Rows) -> NDArray[Any]:
        """Return the names of columns of transformed data."""
        names = self.transformer_.get_feature_names_out()
        n_steps = rows.arrangement.lengths[0]
        if rows.arrangement.form != "table" or len(names) > 1:
            return names
        if self._fitted_on_table and n_steps == self.n_features_in_:
            return self.get_feature_names_out()
        return np.array([f"x{step}" for step in range(n_steps)], dtype=object)

    def _rows(self, X: Any, *, reset: bool) -> Rows:
        read = readable(X)
        frames = are_named_frames(read)
        if frames:
            names = None if reset else getattr(self, "feature_names_in_", None)
            X = frames_in_order(read, names)
        X = self._validate_table(X, reset=reset)
        doubt = warn_if_axes_look_swapped if reset else None
        known = None if reset else getattr(self, "_text_columns", None)
        rows = rows_of_frames(X, known) if frames else rows_of_arrays(X, doubt)
        if reset:
            self._text_columns = text_columns(rows.table) if frames else []
        self._check_n_inputs(rows.table.shape[1], reset=reset)
        if not len(rows.table):
            raise ValueError("X has no present step: every step is NaN")
        if is_frame(read):
            index = getattr(read, "index", None)
            rows = rows._replace(arrangement=rows.arrangement._replace(index=index))
        return rows


def _targets_of_steps(y: Any, layout: Layout) -> NDArray[Any]:
    """Return each present step's own target, or that of its sequence."""
    try:
        return align_targets(y, layout)
    except ValueError:  # not a target for each step
        if is_list_of_sequences(y) and not is_table(y):
            raise
        y = np.asarray(as_numpy(y))
        check_consistent_length(layout.given, y)
        return y[layout.places()[0]]
