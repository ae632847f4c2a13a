"""X as estimators and transformers accept it: a table, an array of sequences, a list."""

from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from sknt.data.sequences import as_numpy, is_list, is_table


class SequenceInputMixin:
    """Checks that X is of the same kind as in fit.

    For a table, ``n_features_in_`` is its fixed number of columns. Otherwise it is the
    number of features per step, and sequences, in arrays and lists alike, may be longer or
    shorter than in fit.
    """

    n_features_in_: int
    _n_inputs: int
    _fitted_on_table: bool

    def _validate_table(self, X: Any, *, reset: bool) -> Any:
        """Check a table as scikit-learn does; leave sequences as they are."""
        X = as_numpy(X)
        table = is_table(X)
        if reset:
            self._fitted_on_table = table
            if not table:
                self.__dict__.pop("feature_names_in_", None)
        if table and (reset or (self._fitted_on_table and not is_list(X))):
            return validate_data(self, X, reset=reset, ensure_all_finite=False)
        return np.asarray(X) if table else X

    def _check_n_inputs(self, n_features: int, *, reset: bool) -> None:
        """Check, or with ``reset`` remember, the number of features per step."""
        if reset:
            self._n_inputs = n_features
            if not self._fitted_on_table:
                self.n_features_in_ = n_features
        elif n_features != self._n_inputs:
            raise ValueError(
                f"X has {n_features} features, but {type(self).__name__} is expecting "
                f"{self._n_inputs} features as input, as in fit (two dimensions are "
                "univariate sequences: one feature)"
            )
