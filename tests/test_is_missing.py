"""is_missing: entries that equal the marker."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sknt.data.sequences import (
    is_missing,
)

nan = np.nan


@pytest.mark.parametrize(
    ("values", "marker", "expected"),
    [
        (np.array([1.0, nan]), nan, [False, True]),
        (np.array([1.0, nan]), np.float64("nan"), [False, True]),
        (np.array([1.0, nan]), np.float32("nan"), [False, True]),
        (np.array([1.0, nan]), -1, [False, False]),
        (np.array([1, 2]), nan, [False, False]),
        (np.array([-1, 2]), -1, [True, False]),
        (np.array([-1, 2]), "none", [False, False]),
        (np.array(["a", nan, None], dtype=object), nan, [False, True, True]),
        (np.array(["a", nan, None], dtype=object), None, [False, False, True]),
        (np.array(["a", ""]), "", [False, True]),
        (np.array(["a", "nan"]), nan, [False, False]),
        (np.array(["a", "b"]), -1, [False, False]),
        (np.array(["a", "b"]), None, [False, False]),
        (np.array([True, False]), nan, [False, False]),
    ],
)
def test_entries_are_missing_if_they_equal_the_marker_and_nan_equals_nan(
    values, marker, expected
):
    missing = is_missing(values, marker)
    assert missing.dtype == bool
    assert_array_equal(missing, expected)


def test_nan_marks_missing_values_by_default():
    assert_array_equal(is_missing(np.array([[0.0, nan]])), [[False, True]])
