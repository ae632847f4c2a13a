"""align_targets: targets are assigned to the steps of X that they belong to."""

import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sequence_helpers import (
    N_TIMESTEPS,
    every_layout,
    present_of,
    ragged,
)

from sknt.data.sequences import Layout, is_missing
from sknt.data.targets import align_targets

nan = np.nan


def aligned(y, present):
    return align_targets(y, Layout.of(present))


@every_layout
@pytest.mark.parametrize("step_shape", [(), (2,)])
def test_of_an_array_those_of_present_steps_are_taken(positions, step_shape):
    y = np.random.RandomState(0).normal(size=(3, N_TIMESTEPS, *step_shape))
    expected = [y[i, step] for i, steps in enumerate(positions) for step in steps]
    assert_array_equal(aligned(y, present_of(positions)), expected)


@every_layout
@pytest.mark.parametrize("step_shape", [(), (2,)])
def test_one_target_for_each_present_step_goes_to_that_step(positions, step_shape):
    targets = ragged(*step_shape)
    assert_array_equal(aligned(targets, present_of(positions)), np.concatenate(targets))


@every_layout
def test_of_a_target_for_each_step_as_given_those_of_present_steps_are_taken(positions):
    rng = np.random.RandomState(0)
    targets = [rng.normal(size=max(steps) + 1) for steps in positions]
    expected = [
        own if len(own) == len(steps) else own[steps]
        for own, steps in zip(targets, positions, strict=True)
    ]
    assert_array_equal(aligned(targets, present_of(positions)), np.concatenate(expected))


def test_a_gap_inside_a_sample_takes_targets_with_and_without_the_gap():
    present = np.array([[True, False, True]])
    assert_array_equal(aligned([[7.0, 8.0]], present), [7.0, 8.0])
    assert_array_equal(aligned([[7.0, 9.0, 8.0]], present), [7.0, 8.0])


@pytest.mark.parametrize("as_sample", [list, np.array, tuple])
def test_lists_of_string_labels_align(as_sample):
    present = np.array([[False, True, True], [True, True, True]])
    y = aligned([as_sample(["a", "b"]), as_sample(["c", "d", "e"])], present)
    assert y.tolist() == ["a", "b", "c", "d", "e"]


def test_numbers_do_not_become_text_beside_the_labels_of_other_samples():
    y = aligned([np.array(["a", "b"]), np.array([1, 2])], np.ones((2, 2), dtype=bool))
    assert y.tolist() == ["a", "b", 1, 2]


@pytest.mark.parametrize("labels", [["a", nan], np.array(["a", nan], dtype=object)])
def test_nan_among_string_labels_still_means_no_target(labels):
    y = aligned([labels, ["b", "a"]], np.ones((2, 2), dtype=bool))
    assert_array_equal(is_missing(y), [False, True, False, False])


def test_lists_of_series_and_frames_align_by_position():
    pd = pytest.importorskip("pandas")
    present = np.array([[True, True, False], [True, True, True]])
    y = [pd.Series([1, 2], index=[7, 8]), pd.Series([3, 4, 5])]
    assert_array_equal(aligned(y, present), [1, 2, 3, 4, 5])
    frame = pd.DataFrame(np.eye(3)[:2])
    assert_array_equal(aligned(frame, present), [1, 0, 0, 1, 0])


PRESENT = np.array([[True, True, False], [True, True, True]])


@pytest.mark.parametrize(
    ("y", "sample"),
    [
        ([[1, 2, 3, 4], [1, 2, 3]], 0),
        ([[1, 2], [1, 2]], 1),
        ([[1, 2], []], 1),
        ([[], [1, 2, 3]], 0),
        ([[1, 2], 3], 1),
        ([3, [1, 2, 3]], 0),
        ([[1, 2], None], 1),
        ([[[1, 2], [3]], [[1, 2], [1, 2], [1, 2]]], 0),
        ([[[1, 2], [3, 4]], [[1], [2], [3]]], 1),
    ],
    ids=[
        "too many",
        "too few",
        "none for second",
        "none for first",
        "a number second",
        "a number first",
        "None",
        "ragged outputs inside",
        "other number of outputs",
    ],
)
def test_a_list_of_targets_that_does_not_fit_names_the_sample(y, sample):
    with pytest.raises(ValueError, match=f"sample {sample} "):
        aligned(y, PRESENT)


def test_targets_of_a_sequence_without_steps_lie_at_absent_steps():
    present = np.array([[True, True], [False, False]])
    assert_array_equal(aligned([[1.0, 2.0], [3.0]], present), [1.0, 2.0])


@pytest.mark.parametrize("y", [[[1, 2]], np.ones((3, 3)), np.ones((1, 3, 2))])
def test_another_number_of_samples_is_refused_with_both_numbers(y):
    with pytest.raises(ValueError, match=rf"X has 2, y has {len(y)}"):
        aligned(y, PRESENT)


@pytest.mark.parametrize("n_steps", [2, 4])
def test_another_number_of_steps_is_refused_with_both_numbers(n_steps):
    with pytest.raises(ValueError, match=f"y has {n_steps} steps, but X has 3"):
        aligned(np.ones((2, n_steps)), PRESENT)


@pytest.mark.parametrize("y", [np.ones(2), [0, 1], np.ones((2, 3, 1, 1))])
def test_targets_for_sequences_are_refused_with_advice(y):
    expected = re.escape(f"y has shape {np.shape(y)}")
    with pytest.raises(ValueError, match=expected) as error:
        aligned(y, PRESENT)
    assert "return_sequences=False" in str(error.value)
