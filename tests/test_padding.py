"""pad_sequences, unpad_sequences and mark_padding."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sequence_helpers import every_layout, lay_out, ragged

from sknt.data.sequences import (
    check_sequences,
    is_missing,
    mark_padding,
    pad_sequences,
    unpad_sequences,
)

nan = np.nan


# pad_sequences and unpad_sequences


@pytest.mark.parametrize("step_shape", [(), (1,), (2,)])
def test_unpad_gives_back_what_pad_was_given(step_shape):
    sequences = ragged(*step_shape)
    padded = pad_sequences(sequences)
    assert padded.shape == (3, 4, *step_shape)
    result = unpad_sequences(padded)
    assert isinstance(result, list)
    for back, sequence in zip(result, sequences, strict=True):
        assert_array_equal(back, sequence)


@every_layout
def test_pad_after_unpad_moves_absent_steps_to_the_end(positions):
    sequences = ragged(2)
    moved = pad_sequences(unpad_sequences(lay_out(sequences, positions)))
    assert_array_equal(moved, pad_sequences(sequences))


def test_padding_is_nan_after_the_end_of_each_sequence_alone():
    padded = pad_sequences([[1.0, 2.0, 3.0], [4.0]])
    assert_array_equal(padded, [[1.0, 2.0, 3.0], [4.0, nan, nan]])


def test_unpad_keeps_steps_of_which_some_features_are_missing():
    array = np.array([[[1.0, nan], [nan, nan], [2.0, 3.0]]])
    (sequence,) = unpad_sequences(array)
    assert_array_equal(sequence, [[1.0, nan], [2.0, 3.0]])


def test_integers_are_padded_to_floats_because_nan_is_one():
    padded = pad_sequences([np.array([1, 2]), np.array([3], dtype=np.uint8)])
    assert padded.dtype == np.float64
    assert_array_equal(padded, [[1, 2], [3, nan]])


@pytest.mark.parametrize("as_sample", [list, np.array])
def test_string_labels_are_padded_with_nan_and_stay_strings(as_sample):
    padded = pad_sequences([as_sample(["up", "down"]), as_sample(["up"])])
    assert padded.dtype == object
    assert padded[0].tolist() == ["up", "down"]
    assert padded[1, 0] == "up"
    assert np.isnan(padded[1, 1])
    assert [s.tolist() for s in unpad_sequences(padded)] == [["up", "down"], ["up"]]


def test_nan_in_a_list_of_string_labels_does_not_become_a_label():
    padded = pad_sequences([["up", nan], ["down"]])
    assert_array_equal(is_missing(padded), [[False, True], [False, True]])


def test_pad_takes_an_array_that_is_padded_already():
    array = pad_sequences(ragged(2))
    assert_array_equal(pad_sequences(array), array)


def test_an_empty_sequence_is_padding_alone():
    padded = pad_sequences([np.ones((2, 1)), np.empty((0, 1))])
    assert np.isnan(padded[1]).all()
    assert len(unpad_sequences(padded)[1]) == 0


def test_pad_copies_so_that_the_samples_stay_as_they_were():
    sample = np.ones((2, 1))
    pad_sequences([sample])[:] = 7
    assert_array_equal(sample, np.ones((2, 1)))


@pytest.mark.parametrize(
    ("sequences", "message"),
    [
        ([], "no sequence"),
        ([np.ones((2, 2)), np.ones((2, 3))], r"sample 1 .*\(3,\).*\(2,\)"),
        ([np.ones((2, 1)), np.ones((2, 1)), np.ones(2)], "sample 2 "),
        ([np.ones(2), 3.0], "sample 1 is not a sequence"),
        ([np.ones(2), None], "sample 1 is not a sequence"),
        ([np.ones((1, 2, 3))], r"sample 0 .*\(1, 2, 3\)"),
        ([[[1, 2], [3, 4]], [[1, 2], [3]]], "sample 1 .*unequal length"),
        ([[[1, 2], [3]], [[1, 2]]], "sample 0 .*unequal length"),
    ],
)
def test_pad_refuses_anything_but_a_list_of_similar_sequences(sequences, message):
    with pytest.raises(ValueError, match=message):
        pad_sequences(sequences)


@pytest.mark.parametrize("array", [np.ones(3), np.ones((1, 2, 3, 4))])
@pytest.mark.parametrize("function", [unpad_sequences, lambda a: mark_padding(a, 0)])
def test_arrays_without_a_step_axis_are_refused_by_their_dimensions(function, array):
    with pytest.raises(ValueError, match=f"{array.ndim} dimensions"):
        function(array)


# mark_padding


def test_only_the_padding_value_at_the_end_is_absent_because_inside_it_is_data():
    marked = mark_padding([[0, 5, 0, 0], [7, 0, 0, 8], [0, 0, 0, 0]], 0)
    expected = [[0, 5, nan, nan], [7, 0, 0, 8], [nan] * 4]
    assert_array_equal(marked, expected)


def test_a_step_is_padding_only_if_every_feature_holds_the_value():
    array = np.array([[[1, 2], [-1, 3], [-1, -1]], [[4, 4], [-1, -1], [-1, 0]]])
    marked = mark_padding(array, -1)
    expected = [[[1, 2], [-1, 3], [nan, nan]], [[4, 4], [-1, -1], [-1, 0]]]
    assert_array_equal(marked, expected)


def test_a_step_of_padding_value_and_nan_stays_for_fit_to_refuse():
    marked = mark_padding([[[1.0, 2.0], [0.0, nan]]], 0)
    with pytest.raises(ValueError, match="sample 0, step 1"):
        check_sequences(marked)


def test_padding_before_steps_that_are_absent_already_is_trailing_too():
    assert_array_equal(mark_padding([[1.0, 0.0, nan]], 0), [[1.0, nan, nan]])


def test_marking_gives_a_copy_of_floats_and_leaves_its_argument_alone():
    for array in [np.array([[1.0, 0.0]]), np.array([[1, 0]])]:
        before = array.copy()
        marked = mark_padding(array, 0)
        assert marked.dtype == np.float64
        assert not np.shares_memory(marked, array)
        assert_array_equal(array, before)


def test_a_padding_value_is_found_in_single_precision_where_it_is_rounded():
    array = np.array([[1.0, -99.9]], dtype=np.float32)
    assert (array == -99.9)[0, 1]
    assert_array_equal(mark_padding(array, -99.9), [[1.0, nan]])


def test_marked_padding_packs_like_the_sequences_without_it():
    sequences = ragged(2)
    zero_padded = np.nan_to_num(pad_sequences(sequences))
    marked = mark_padding(zero_padded, 0)
    assert_array_equal(marked, pad_sequences(sequences))


@pytest.mark.parametrize("function", [unpad_sequences, lambda X: mark_padding(X, 0)])
def test_sequences_of_unequal_length_have_to_be_padded_first(function):
    with pytest.raises(ValueError, match="pad_sequences first"):
        function([[1.0, 2.0], [3.0]])


def test_padding_is_marked_among_numbers_only():
    with pytest.raises(ValueError, match="mark numbers, not text"):
        mark_padding([["a", "b"], ["c", "d"]], 0)
