"""A change of shape: rows of a table become sequences."""

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from sknt._private import Interval, fit_context
from sknt.data.reading import readable
from sknt.data.sequences import as_numpy
from sknt.data.streams import is_stream
from sknt.preprocessing._streams import StreamTransformerMixin, first_pair, refuse_stream


class ToSequence(CallbackSupportMixin, StreamTransformerMixin, BaseEstimator):
    """Turn rows of a table into sequences: (n, T·C) into (n, T, C).

    The first step of a pipeline inside a meta-estimator of scikit-learn that insists on
    two dimensions (Bagging, SelfTraining, permutation_importance). A row holds the first
    step's features, then the second's, as ``X.reshape(len(X), -1)`` writes it.

    Parameters
    ----------
    n_features : int, default=1
        Number of features C per step.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns of the table.

    Examples
    --------
    >>> import numpy as np
    >>> from sknt.preprocessing import ToSequence
    >>> ToSequence(n_features=2).fit_transform(np.arange(12.0).reshape(2, 6)).shape
    (2, 3, 2)
    """

    __module__ = "sknt.preprocessing"  # where users and pickles find it

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_features": [Interval(Integral, 1, None, closed="left")]
    }

    def __init__(self, n_features=1):
        self.n_features = n_features

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> "ToSequence":
        """Check that the columns make up whole steps.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timesteps * n_features), or stream
            Of a stream of pairs (X, y), the first is taken.
        y : None
            Ignored.

        Returns
        -------
        self : ToSequence

        Raises
        ------
        ValueError
            If the number of columns is not a multiple of `n_features`.
        """
        if is_stream(X):
            (X, y), _ = first_pair(X, y)
        context = self._init_callback_context()
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        X = validate_data(
            self, readable(X), dtype=np.float64, ensure_all_finite="allow-nan"
        )
        self._check_columns(X)
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Return the rows as sequences.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timesteps * n_features)

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_timesteps, n_features)
        """
        check_is_fitted(self)
        refuse_stream(X)
        X = validate_data(
            self, readable(X), reset=False, dtype=np.float64, ensure_all_finite="allow-nan"
        )
        self._check_columns(X)
        return X.reshape(len(X), -1, self.n_features)

    def inverse_transform(self, X: Any) -> NDArray[np.float64]:
        """Return sequences as rows of a table.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timesteps, n_features)

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_timesteps * n_features)
        """
        X = np.asarray(as_numpy(X))
        return X.reshape(len(X), -1)

    def _check_columns(self, X: NDArray[np.float64]) -> None:
        if X.shape[1] % self.n_features:
            raise ValueError(
                f"X has {X.shape[1]} columns, which is not a multiple of "
                f"n_features={self.n_features}; give n_timesteps * n_features columns"
            )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_features_in_")
