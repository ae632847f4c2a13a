"""X as estimators and transformers accept it: a table, an array of sequences, a list."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import validate_data

from sknt.data.arrays import is_list, is_missing, is_table
from sknt.data.doubts import warn
from sknt.data.frames import first_frame, is_frame, refuse_text, text_names
from sknt.data.reading import readable

_ADVICE_FOR_LISTS = (
    "Encode text as numbers, in a pipeline for instance by "
    "StepwiseTransformer(ColumnTransformer([...])) with a OneHotEncoder, or leave the "
    "column out"
)
_ADVICE_ON_NAMES = (
    "Give the columns names that are text, so that a ColumnTransformer can go by them"
)
_ADVICE_FOR_TABLES = (
    "Each row of a frame is read as a sequence of numbers. If a row is a step, give a list "
    "of frames, one for each sequence (sknt.preprocessing.from_long_frame)"
)


class SequenceInputMixin:
    """Checks that X is of the same kind as in fit.

    For a table, ``n_features_in_`` is its number of columns, which is fixed unless fit saw
    padded sequences in it. Otherwise it is the number of features per step, and
    sequences, in arrays and lists alike, may be longer or shorter than in fit.
    """

    n_features_in_: int
    _n_inputs: int
    _fitted_on_table: bool
    _fixed_width: bool
    _reads_text = False
    """Whether frames in a list, with names that are text, may have columns of text."""

    def _validate_table(self, X: Any, *, reset: bool, has_targets: bool = False) -> Any:
        """Check a table as scikit-learn does; leave sequences as they are.

        Where it comes with targets, it may show that what fit saw as a table of a fixed
        width were sequences that happened to be equally long.
        """
        from_list = is_list(X)
        X = readable(X)
        table = is_table(X)
        if reset:
            self._fitted_on_table = table
            self._fixed_width = table and not _is_padded(X)
            self.__dict__.pop("feature_names_in_", None)
        elif has_targets and (not table or self._shows_sequences(X, from_list=from_list)):
            self._fixed_width = False
        if not table:
            self._check_names(X, reset=reset)
            self._check_text(X)
            return X
        if is_frame(X):
            refuse_text(X, "", _ADVICE_FOR_TABLES)
        if reset:
            return validate_data(self, X, reset=True, ensure_all_finite=False)
        if self._fixed_width and not from_list:
            self._check_width(X)
            return validate_data(self, X, reset=False, ensure_all_finite=False)
        X = np.asarray(X)
        if not has_targets:  # their number says how many sequences there are
            self._doubt_one_column(X, from_list=from_list)
        return X

    def _shows_sequences(self, X: Any, *, from_list: bool) -> bool:
        """Return whether a table must be sequences: padded, or of another length."""
        return _is_padded(X) or (from_list and X.shape[1:] != (self.n_features_in_,))

    def _check_names(self, X: Any, *, reset: bool) -> None:
        """Check, or with ``reset`` remember, the names of columns of frames in a list."""
        if not reset and self._fitted_on_table:
            return
        frame = first_frame(X) if is_list(X) else None
        if frame is not None:
            validate_data(self, frame, reset=reset, skip_check_array=True)
        elif hasattr(self, "feature_names_in_"):  # scikit-learn warns that X has none
            without = np.empty((1, self.n_features_in_))
            validate_data(self, without, reset=False, skip_check_array=True)

    def _check_text(self, X: Any) -> None:
        """Refuse frames in a list that have columns of text, naming sample and column."""
        if not is_list(X):
            return
        advice = _ADVICE_ON_NAMES if self._reads_text else _ADVICE_FOR_LISTS
        for i, frame in enumerate(X):
            if is_frame(frame) and not (self._reads_text and text_names(frame)):
                refuse_text(frame, f" of sample {i}", advice)

    def _check_width(self, X: Any) -> None:
        """Refuse an array of another width with more advice than scikit-learn gives."""
        is_array = isinstance(X, np.ndarray) and X.ndim == 2
        if is_array and X.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {X.shape[1]} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input, the columns of the table in "
                "fit. For sequences of any length, give X[:, :, np.newaxis], in fit and "
                "now, or a list of sequences now"
            )

    def _doubt_one_column(self, X: NDArray[Any], *, from_list: bool) -> None:
        """Refuse one column, which is one series of many steps or many series of one."""
        fitted_on_one = self._fitted_on_table and self.n_features_in_ == 1
        if X.shape[1:] != (1,) or len(X) == 1 or self._n_inputs != 1 or fitted_on_one:
            return
        if not from_list:
            raise ValueError(
                f"X has one column and {len(X)} rows; give [X] if it is one sequence of "
                f"{len(X)} steps, or np.reshape(X, (-1, 1, 1)) if it is {len(X)} sequences "
                "of one step"
            )
        warn(
            f"X is read as {len(X)} sequences of one step each; if it is one sequence, "
            "give [X]. A list of arrays leaves no doubt"
        )

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
                "univariate sequences: one feature; one sequence with several is [X])"
            )


def _is_padded(X: Any) -> bool:
    """Return whether the rows of an array are padded: NaN at their ends, and only there."""
    if not isinstance(X, np.ndarray) or X.ndim != 2:
        return False
    present = ~is_missing(X)
    before = np.pad(present, ((0, 0), (1, 0)))[:, :-1]
    n_parts = (present & ~before).sum(axis=1)
    return bool((n_parts <= 1).all() and not present.all())
