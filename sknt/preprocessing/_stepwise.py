"""A transformer of scikit-learn applied to the present steps of sequences."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.callback import CallbackSupportMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from sknt._private import HasMethods, fit_context
from sknt.data.doubts import warn_if_axes_look_swapped
from sknt.data.inputs import SequenceInputMixin
from sknt.data.ragged import Ragged
from sknt.data.reading import readable
from sknt.data.sequences import (
    Layout,
    as_numpy,
    is_list_of_sequences,
    is_table,
    padded_steps,
)
from sknt.data.targets import align_targets


def _inverts(stepwise: "StepwiseTransformer") -> bool:
    inner = getattr(stepwise, "transformer_", stepwise.transformer)
    return inner is None or hasattr(inner, "inverse_transform")


class StepwiseTransformer(
    SequenceInputMixin, CallbackSupportMixin, TransformerMixin, BaseEstimator
):
    """Apply a scikit-learn transformer to every present step of sequences.

    The transformer sees the present steps of all sequences, one after the other, as a
    table of shape (n_steps, n_features). Absent steps (all NaN) stay absent.

    Parameters
    ----------
    transformer : transformer or None, default=None
        Such as ``StandardScaler()``, which is what None stands for, ``SimpleImputer()``
        for steps that are partly NaN, or ``PCA(3)``.

    Attributes
    ----------
    transformer_ : transformer
        The fitted transformer.
    n_features_in_ : int
        Number of features per step; for a two-dimensional X, its number of columns.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import MinMaxScaler
    >>> from sknt.preprocessing import StepwiseTransformer
    >>> X = np.array([[[0.0], [4.0]], [[2.0], [np.nan]]])
    >>> StepwiseTransformer(MinMaxScaler()).fit_transform(X)[..., 0]
    array([[0. , 1. ],
           [0.5, nan]])
    """

    __module__ = "sknt.preprocessing"  # where users and pickles find it

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "transformer": [HasMethods(["fit", "transform"]), None]
    }

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
                (n_samples, n_timesteps), or list of such samples
        y : array-like of shape (n_samples,) or (n_samples, n_timesteps), default=None
            For a transformer that takes targets: each step gets its own, or that of its
            sequence.

        Returns
        -------
        self : StepwiseTransformer

        Raises
        ------
        ValueError
            If X has no present step, or is not of a valid shape.
        """
        context = self._init_callback_context()
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        values, present = self._check_steps(X, reset=True)
        y_steps = None if y is None else _targets_of_steps(y, present)
        inner = StandardScaler() if self.transformer is None else clone(self.transformer)
        self.transformer_ = inner.fit(values[present], y_steps)
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def transform(self, X: Any) -> NDArray[Any]:
        """Transform the present steps.

        Parameters
        ----------
        X : array-like or list
            As in `fit`.

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_timesteps, n_features_out)
            NaN at absent steps; of shape (n_samples, n_timesteps) if X is a table and the
            result has one feature per step.
        """
        check_is_fitted(self)
        values, present = self._check_steps(X, reset=False)
        return _apply(
            self.transformer_.transform, values, present, flat=is_table(readable(X))
        )

    @available_if(_inverts)
    def inverse_transform(self, X: Any) -> NDArray[Any]:
        """Undo the transformation of the present steps.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timesteps, n_features_out)

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_timesteps, n_features)
        """
        check_is_fitted(self)
        values, present = padded_steps(X)
        return _apply(
            self.transformer_.inverse_transform, values, present, flat=is_table(readable(X))
        )

    def _check_steps(
        self, X: Any, *, reset: bool
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        values, present = padded_steps(self._validate_table(X, reset=reset))
        self._check_n_inputs(values.shape[2], reset=reset)
        if np.isinf(values).any():
            sample, step, feature = np.argwhere(np.isinf(values))[0]
            raise ValueError(
                f"X contains infinity: sample {sample}, step {step}, feature {feature}. "
                "Clip the data"
            )
        if not present.any():
            raise ValueError("X has no present step: every step is NaN")
        if reset:
            steps = Ragged.in_a_row(values[present], present.sum(axis=1))
            warn_if_axes_look_swapped(steps)
        return values, present


def _apply(
    function: Callable[..., Any],
    values: NDArray[np.float64],
    present: NDArray[np.bool_],
    *,
    flat: bool,
) -> NDArray[Any]:
    """Apply a function to the present steps; ``flat`` drops the axis of one feature."""
    steps = function(values[present])
    steps = steps.toarray() if issparse(steps) else np.asarray(steps)
    result = np.full((*present.shape, steps.shape[1]), np.nan)
    result[present] = steps
    return result[..., 0] if flat and steps.shape[1] == 1 else result


def _targets_of_steps(y: Any, present: NDArray[np.bool_]) -> NDArray[Any]:
    """Return each present step's own target, or that of its sequence."""
    try:
        return align_targets(y, Layout.of(present))
    except ValueError:  # not a target for each step
        if is_list_of_sequences(y) and not is_table(y):
            raise
        y = np.asarray(as_numpy(y))
        check_consistent_length(present, y)
        return np.repeat(y, present.sum(axis=1), axis=0)
