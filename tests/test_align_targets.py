"""align_targets: targets are assigned to the steps of X that they belong to."""

import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sequence_helpers import (
    LENGTHS,
    N_TIMESTEPS,
    POSITIONS,
    every_layout,
    lay_out,
    present_of,
    ragged,
)

from sknt.data.sequences import (
    is_missing,
)
from sknt.data.targets import align_targets

nan = np.nan


def test_targets_in_an_array_stay_as_they_are():
    present = present_of(POSITIONS["inside"])
    for shape in [(3, N_TIMESTEPS), (3, N_TIMESTEPS, 2)]:
        y = np.random.RandomState(0).normal(size=shape)
        assert_array_equal(align_targets(y, present), y)


@every_layout
@pytest.mark.parametrize("step_shape", [(), (2,)])
def test_one_target_for_each_present_step_goes_to_that_step(positions, step_shape):
    targets = ragged(*step_shape)
    aligned = align_targets(targets, present_of(positions))
    assert_array_equal(aligned, lay_out(targets, positions))


@every_layout
def test_a_target_for_each_step_of_the_sample_as_given_stays_in_its_place(positions):
    rng = np.random.RandomState(0)
    targets = [rng.normal(size=max(steps) + 1) for steps in positions]
    aligned = align_targets(targets, present_of(positions))
    for row, own in zip(aligned, targets, strict=True):
        if len(own) in LENGTHS:  # one for each present step: tested above
            continue
        assert_array_equal(row[: len(own)], own)
        assert np.isnan(row[len(own) :]).all()


def test_a_gap_inside_a_sample_takes_targets_with_and_without_the_gap():
    present = np.array([[True, False, True]])
    assert_array_equal(align_targets([[7.0, 8.0]], present), [[7.0, nan, 8.0]])
    assert_array_equal(align_targets([[7.0, 9.0, 8.0]], present), [[7.0, 9.0, 8.0]])


@pytest.mark.parametrize("as_sample", [list, np.array, tuple])
def test_lists_of_string_labels_align_as_objects(as_sample):
    present = np.array([[False, True, True], [True, True, True]])
    y = align_targets([as_sample(["a", "b"]), as_sample(["c", "d", "e"])], present)
    assert np.isnan(y[0, 0])
    assert y[0, 1:].tolist() == ["a", "b"]
    assert y[1].tolist() == ["c", "d", "e"]


@pytest.mark.parametrize("labels", [["a", nan], np.array(["a", nan], dtype=object)])
def test_nan_among_string_labels_still_means_no_target(labels):
    y = align_targets([labels, ["b", "a"]], np.ones((2, 2), dtype=bool))
    assert_array_equal(is_missing(y), [[False, True], [False, False]])


def test_lists_of_series_and_frames_align_by_position():
    pd = pytest.importorskip("pandas")
    present = np.array([[True, True, False], [True, True, True]])
    y = [pd.Series([1, 2], index=[7, 8]), pd.Series([3, 4, 5])]
    aligned = align_targets(y, present)
    assert_array_equal(aligned.astype(float), [[1, 2, nan], [3, 4, 5]])
    assert_array_equal(align_targets(pd.DataFrame(np.eye(3)[:2]), present), np.eye(3)[:2])


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
        align_targets(y, PRESENT)


def test_targets_of_a_sequence_without_steps_lie_at_absent_steps():
    present = np.array([[True, True], [False, False]])
    aligned = align_targets([[1.0, 2.0], [3.0]], present)
    assert_array_equal(aligned, [[1.0, 2.0], [3.0, nan]])


@pytest.mark.parametrize("y", [[[1, 2]], np.ones((3, 3)), np.ones((1, 3, 2))])
def test_another_number_of_samples_is_refused_with_both_numbers(y):
    with pytest.raises(ValueError, match=rf"X has 2, y has {len(y)}"):
        align_targets(y, PRESENT)


@pytest.mark.parametrize("n_steps", [2, 4])
def test_another_number_of_steps_is_refused_with_both_numbers(n_steps):
    with pytest.raises(ValueError, match=f"y has {n_steps} steps, but X has 3"):
        align_targets(np.ones((2, n_steps)), PRESENT)


@pytest.mark.parametrize("y", [np.ones(2), [0, 1], np.ones((2, 3, 1, 1))])
def test_targets_for_sequences_are_refused_with_advice(y):
    expected = re.escape(f"y has shape {np.shape(y)}")
    with pytest.raises(ValueError, match=expected) as error:
        align_targets(y, PRESENT)
    assert "return_sequences=False" in str(error.value)
