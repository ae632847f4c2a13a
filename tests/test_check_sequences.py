"""check_sequences: every layout packs alike; errors name sample and step."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sequence_helpers import (
    LENGTHS,
    POSITIONS,
    WHOLE,
    every_layout,
    lay_out,
    object_array,
    present_of,
    ragged,
)

from sknt.data.sequences import (
    check_sequences,
    pad_sequences,
    step_mask,
)

nan = np.nan


def assert_same(one, other):
    assert_array_equal(one.values, other.values)
    assert_array_equal(one.lengths, other.lengths)
    assert_array_equal(one.present, other.present)


@every_layout
@pytest.mark.parametrize("n_features", [1, 3])
def test_absent_steps_anywhere_pack_to_the_sequences_without_them(positions, n_features):
    sequences = ragged(n_features)
    result = check_sequences(lay_out(sequences, positions))
    assert_array_equal(result.lengths, LENGTHS)
    assert_array_equal(result.present, present_of(positions))
    assert result.values.shape == (3, max(LENGTHS), n_features)
    for values, sequence in zip(result.values, sequences, strict=True):
        assert_array_equal(values[: len(sequence)], sequence)
        assert_array_equal(values[len(sequence) :], 0)  # no NaN enters the network


def test_two_dimensions_are_sequences_of_one_feature():
    flat = lay_out(ragged(), POSITIONS["inside"])
    assert_same(check_sequences(flat), check_sequences(flat[..., np.newaxis]))


def _read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "convert",
    [
        lambda X: X.astype(np.float32),
        lambda X: X.astype(np.int64),
        lambda X: X.astype(object),
        lambda X: X.tolist(),
        lambda X: list(X),
        lambda X: tuple(X),
        lambda X: object_array(list(X)),
        _read_only,
        np.asfortranarray,
        lambda X: np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1],
    ],
    ids=[
        "float32",
        "int",
        "object",
        "nested lists",
        "list of arrays",
        "tuple",
        "array of arrays",
        "read-only",
        "fortran",
        "reversed view",
    ],
)
def test_every_way_of_writing_an_array_reads_the_same(convert):
    result = check_sequences(convert(WHOLE))
    assert_array_equal(result.values, WHOLE)
    assert result.values.dtype == np.float64
    assert_array_equal(result.lengths, [3, 3])
    assert result.present.all()


@pytest.mark.parametrize(
    "convert",
    [
        list,
        tuple,
        object_array,
        lambda samples: [sample.tolist() for sample in samples],
    ],
)
@pytest.mark.parametrize("step_shape", [(), (2,)])
def test_a_list_reads_like_its_padded_array(convert, step_shape):
    samples = [sample.round(2).astype(np.float32) for sample in ragged(*step_shape)]
    assert_same(check_sequences(convert(samples)), check_sequences(pad_sequences(samples)))


def test_lists_of_data_frames_and_series_are_read_by_position_not_by_index():
    pd = pytest.importorskip("pandas")
    samples = ragged(2)
    frames = [pd.DataFrame(s, index=range(9, 9 + len(s))) for s in samples]
    assert_array_equal(check_sequences(frames).values, check_sequences(samples).values)
    columns = [frame[0] for frame in frames]
    assert_array_equal(
        check_sequences(columns).values, check_sequences(samples).values[..., :1]
    )


def test_none_in_objects_is_an_absent_step_like_nan():
    result = check_sequences(np.array([[1, None, 2], [nan, 3, None]], dtype=object))
    assert_array_equal(result.lengths, [2, 1])
    assert_array_equal(result.values[..., 0], [[1, 2], [3, 0]])


@pytest.mark.parametrize("shape", [(1, 4, 2), (3, 1, 2), (1, 1, 1)])
def test_a_single_sample_or_step_is_enough(shape):
    X = np.random.RandomState(0).normal(size=shape)
    result = check_sequences(X)
    assert_array_equal(result.values, X)
    assert_array_equal(result.lengths, np.full(shape[0], shape[1]))


def test_checking_neither_changes_nor_shares_its_argument():
    X = WHOLE.copy()
    result = check_sequences(X)
    assert not np.shares_memory(result.values, X)
    assert_array_equal(X, WHOLE)


def _with(value, where=(1, 2, 1)):
    X = WHOLE.copy()
    X[where] = value
    return X


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e39, -1e39])
def test_values_beyond_float32_are_refused_with_their_place(value):
    with pytest.raises(ValueError, match="sample 1, step 2, feature 1"):
        check_sequences(_with(value))


def test_the_largest_float32_is_still_taken():
    X = _with(float(np.finfo(np.float32).max))
    assert_array_equal(check_sequences(X).values, X)


def test_a_partly_missing_step_is_refused_with_its_place_and_advice():
    with pytest.raises(ValueError, match=r"sample 1, step 2, feature\(s\) \[1\]") as e:
        check_sequences(_with(nan))
    assert "SimpleImputer" in str(e.value)


def test_a_reported_place_is_that_in_the_original_array_not_in_the_packed_one():
    X = np.full((2, 5, 2), nan)
    X[:, 3:] = 1.0
    X[1, 4, 0] = nan
    with pytest.raises(ValueError, match=r"sample 1, step 4, feature\(s\) \[0\]"):
        check_sequences(X)


@pytest.mark.parametrize(
    "X",
    [
        np.array([[[1.0], [2.0]], [[nan], [nan]]]),
        [np.ones((2, 1)), np.empty((0, 1))],
        [[1.0, 2.0], []],
    ],
)
def test_a_sequence_without_any_step_is_refused_by_its_number(X):
    with pytest.raises(ValueError, match=r"sample 1 .*no step"):
        check_sequences(X)


@pytest.mark.parametrize("shape", [(0, 3, 2), (2, 3, 0), (0, 0)])
def test_arrays_without_samples_or_features_are_refused_with_their_shape(shape):
    with pytest.raises(ValueError, match=r"minimum of 1 is required"):
        check_sequences(np.empty(shape))


def test_an_empty_list_is_refused():
    with pytest.raises(ValueError, match=r"dimensions|no sequence"):
        check_sequences([])


@pytest.mark.parametrize("X", [np.ones(3), np.ones((1, 2, 3, 4)), 1.0])
def test_other_numbers_of_dimensions_are_refused_with_those_that_fit(X):
    with pytest.raises(ValueError, match=f"{np.ndim(X)} dimensions") as error:
        check_sequences(X)
    assert "(n_samples, n_timesteps, n_features)" in str(error.value)


@pytest.mark.parametrize(
    ("X", "sample"),
    [
        ([np.ones((2, 2)), np.ones((2, 3))], 1),
        ([[[1, 2], [3, 4]], [[1, 2], [3]]], 1),
        ([[[1, 2], [3]], [[1, 2], [3, 4]]], 0),
        ([np.ones(3), None], 1),
        ([None, np.ones(3)], 0),
        ([3.0, np.ones(3)], 0),
    ],
    ids=[
        "other number of features",
        "ragged second",
        "ragged first",
        "None second",
        "None first",
        "number first",
    ],
)
def test_a_list_that_is_ragged_in_features_is_refused_by_the_sample(X, sample):
    with pytest.raises(ValueError, match=f"sample {sample} "):
        check_sequences(X)


@pytest.mark.parametrize(
    "X",
    [
        np.array([["a", "b"]]),
        np.array([["a", 1.0]], dtype=object),
        [["a", "b"], ["c"]],
        [[{}, 1.0]],
    ],
)
def test_data_that_are_not_numeric_are_refused_as_such(X):
    with pytest.raises(ValueError, match="not numeric"):
        check_sequences(X)


@pytest.mark.parametrize(
    "X",
    [
        np.array([["2020-01-01", "NaT"]], dtype="M8[D]"),
        [np.array(["2020-01-01", "2020-01-02"], dtype="M8[D]")],
    ],
    ids=["array", "list"],
)
def test_dates_are_refused_because_nat_would_become_a_huge_number(X):
    with pytest.raises(ValueError, match="not numeric"):
        check_sequences(X)


def test_complex_numbers_are_refused_rather_than_cut_to_their_real_part():
    with pytest.raises(ValueError, match=r"[Cc]omplex"):
        check_sequences(np.ones((2, 2), dtype=complex))


def test_the_step_mask_counts_steps_from_the_left():
    mask = step_mask(np.array([2, 1, 3]))
    assert_array_equal(mask, [[1, 1, 0], [1, 0, 0], [1, 1, 1]])
