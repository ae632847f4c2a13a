"""Sequences.unpack."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sequence_helpers import every_layout, lay_out, ragged

from sknt.data.sequences import check_sequences

nan = np.nan


@every_layout
@pytest.mark.parametrize("step_shape", [(), (2,), (2, 3)])
def test_unpacking_lays_steps_out_like_X(positions, step_shape):
    sequences = check_sequences(lay_out(ragged(1), positions))
    steps = ragged(*step_shape)
    assert_array_equal(sequences.unpack(np.concatenate(steps)), lay_out(steps, positions))


@every_layout
def test_the_steps_of_X_unpack_to_X(positions):
    X = lay_out(ragged(2), positions)
    sequences = check_sequences(X)
    assert_array_equal(sequences.unpack(sequences.inputs.steps()), X)


def _unpacked(steps, fill):
    return check_sequences([[1.0, 2.0], [3.0]]).unpack(np.array(steps), fill)


@pytest.mark.parametrize(
    ("steps", "fill"),
    [
        ([1, 2, 3], -1),
        ([1, 2, 3], 0.5),
        ([1, 2, 3], None),
        ([1, 2, 3], "none"),
        (["a", "b", "c"], "a longer fill"),
        (["a", "b", "c"], -1),
    ],
)
def test_any_fill_fits_and_leaves_the_values_unchanged(steps, fill):
    first, second, third = steps
    assert _unpacked(steps, fill).tolist() == [[first, second], [third, fill]]


def test_integers_stay_integers_if_no_step_is_absent_or_the_fill_is_an_integer():
    steps = np.array([1, 2, 3, 4])
    full = check_sequences(np.ones((2, 2))).unpack(steps)
    assert full.dtype == steps.dtype
    assert _unpacked(steps[:3], -1).dtype == steps.dtype
    assert _unpacked(steps[:3], nan).dtype == np.float64


def test_strings_stay_strings_if_no_step_is_absent():
    steps = np.array(["a", "b"])
    assert check_sequences([[1.0, 2.0]]).unpack(steps).dtype == steps.dtype
