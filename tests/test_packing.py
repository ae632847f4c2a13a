"""Sequences.pack and Sequences.unpack."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sequence_helpers import LENGTHS, WHOLE, every_layout, lay_out, ragged

from sknt.data.sequences import (
    Sequences,
    check_sequences,
)

nan = np.nan


@every_layout
@pytest.mark.parametrize("step_shape", [(), (2,), (2, 3)])
def test_unpack_undoes_pack_and_pack_undoes_unpack(positions, step_shape):
    sequences = check_sequences(lay_out(ragged(1), positions))
    steps = lay_out(ragged(*step_shape), positions)
    packed = sequences.pack(steps)
    assert packed.shape == (3, max(LENGTHS), *step_shape)
    assert_array_equal(sequences.unpack(packed), steps)
    assert_array_equal(sequences.pack(sequences.unpack(packed)), packed)


@every_layout
def test_packing_X_itself_gives_its_packed_values(positions):
    X = lay_out(ragged(2), positions)
    sequences = check_sequences(X)
    assert_array_equal(sequences.pack(X), sequences.values)
    assert_array_equal(sequences.unpack(sequences.values), X)


def test_packing_drops_the_values_of_absent_steps():
    sequences = check_sequences([[1.0, nan, 2.0]])
    assert_array_equal(sequences.pack(np.array([[5.0, 99.0, 6.0]])), [[5.0, 6.0]])


def _unpacked(packed, fill):
    return check_sequences([[1.0, 2.0], [3.0]]).unpack(np.array(packed), fill)


@pytest.mark.parametrize(
    ("packed", "fill"),
    [
        ([[1, 2], [3, 0]], -1),
        ([[1, 2], [3, 0]], 0.5),
        ([[1, 2], [3, 0]], None),
        ([[1, 2], [3, 0]], "none"),
        ([["a", "b"], ["c", ""]], "a longer fill"),
        ([["a", "b"], ["c", ""]], -1),
    ],
)
def test_any_fill_fits_and_leaves_the_values_unchanged(packed, fill):
    (first, second), (third, _) = packed
    assert _unpacked(packed, fill).tolist() == [[first, second], [third, fill]]


def test_integers_stay_integers_if_no_step_is_absent_or_the_fill_is_an_integer():
    packed = np.array([[1, 2], [3, 4]])
    full = check_sequences(np.ones((2, 2))).unpack(packed)
    assert full.dtype == packed.dtype
    assert _unpacked(packed, -1).dtype == packed.dtype
    assert _unpacked(packed, nan).dtype == np.float64


def test_strings_stay_strings_if_no_step_is_absent():
    packed = np.array([["a", "b"]])
    assert check_sequences([[1.0, 2.0]]).unpack(packed).dtype == packed.dtype


def test_sequences_are_an_immutable_tuple_of_values_lengths_and_present():
    sequences = check_sequences(WHOLE)
    assert isinstance(sequences, Sequences)
    assert Sequences._fields == ("values", "lengths", "present")
    with pytest.raises(AttributeError):
        sequences.lengths = None
