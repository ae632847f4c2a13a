"""Padding before sequences, and to a given length."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sknt import mark_padding, pad_sequences, unpad_sequences

nan = np.nan
SEQUENCES = [[1.0, 2.0, 3.0], [4.0]]


def test_padding_goes_to_the_side_that_is_asked_for():
    assert_array_equal(pad_sequences(SEQUENCES, side="right"), [[1, 2, 3], [4, nan, nan]])
    assert_array_equal(pad_sequences(SEQUENCES, side="left"), [[1, 2, 3], [nan, nan, 4]])


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("max_length", [None, 3, 5])
def test_unpad_gives_the_sequences_back(side, max_length):
    padded = pad_sequences(SEQUENCES, max_length=max_length, side=side)
    assert padded.shape == (2, max_length or 3)
    for own, expected in zip(unpad_sequences(padded), SEQUENCES, strict=True):
        assert_array_equal(own, expected)


def test_longer_sequences_lose_the_steps_at_that_side():
    assert_array_equal(pad_sequences(SEQUENCES, max_length=2), [[1, 2], [4, nan]])
    left = pad_sequences(SEQUENCES, max_length=2, side="left")
    assert_array_equal(left, [[2, 3], [nan, 4]])


@pytest.mark.parametrize("max_length", [0, -1, 1.5, "2", True])
def test_a_length_that_is_none_is_refused(max_length):
    with pytest.raises(ValueError, match="max_length"):
        pad_sequences(SEQUENCES, max_length=max_length)


def test_an_unknown_side_is_refused():
    with pytest.raises(ValueError, match=r"side='after'.*left.*right"):
        pad_sequences(SEQUENCES, side="after")
    with pytest.raises(ValueError, match=r"side='after'.*both.*left.*right"):
        mark_padding([[0.0]], 0, side="after")


def test_padding_is_marked_on_the_side_that_is_asked_for():
    array = [[0, 0, 5, 0, 7, 0], [0, 1, 1, 1, 1, 1]]
    right = mark_padding(array, 0, side="right")
    assert_array_equal(right, [[0, 0, 5, 0, 7, nan], [0, 1, 1, 1, 1, 1]])
    left = mark_padding(array, 0, side="left")
    assert_array_equal(left, [[nan, nan, 5, 0, 7, 0], [nan, 1, 1, 1, 1, 1]])
    both = mark_padding(array, 0, side="both")
    assert_array_equal(both, [[nan, nan, 5, 0, 7, nan], [nan, 1, 1, 1, 1, 1]])


@pytest.mark.parametrize("side", ["left", "right"])
def test_marked_padding_equals_padding_with_nan(side):
    rng = np.random.RandomState(0)
    sequences = [rng.normal(size=(n, 2)) for n in (3, 1, 4)]
    padded = pad_sequences(sequences, side=side)
    assert_array_equal(mark_padding(np.nan_to_num(padded), 0, side=side), padded)
