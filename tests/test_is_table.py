"""is_table: rows of equal length are a table, sequences are not."""

import numpy as np
import pytest
from sequence_helpers import object_array

from sknt.data.sequences import (
    check_sequences,
    is_table,
    pad_sequences,
)


@pytest.mark.parametrize(
    "X",
    [
        np.ones((2, 3)),
        np.array([[1, None]], dtype=object),
        [[1, 2], [3, 4]],
        ((1, 2), (3, 4)),
        [["a", "b"]],
    ],
    ids=["array", "objects", "lists", "tuples", "strings"],
)
def test_rows_of_one_length_are_a_table(X):
    assert is_table(X)


@pytest.mark.parametrize(
    "X",
    [
        np.ones((2, 3, 1)),
        [[1, 2], [3]],
        [np.ones(2), np.ones(2)],
        [np.ones((2, 1)), np.ones((2, 1))],
        [[[1, 2], [3, 4]], [[5, 6], [7, 8]]],
        object_array([np.ones(2), np.ones(3)]),
    ],
    ids=[
        "three dimensions",
        "ragged lists",
        "list of 1-D arrays",
        "list of 2-D arrays",
        "lists of lists of steps",
        "array of arrays",
    ],
)
def test_sequences_are_not_a_table(X):
    assert not is_table(X)


def test_a_data_frame_is_a_table_and_a_list_of_them_is_not():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1.0, 2.0]})
    assert is_table(frame)
    assert not is_table([frame, frame])


def test_a_list_that_begins_without_a_step_names_that_sample():
    X = [[], np.ones((2, 3)), np.ones((1, 3))]
    assert pad_sequences(X).shape == (3, 2, 3)
    with pytest.raises(ValueError, match="sample 0 of X has no step"):
        check_sequences(X)
