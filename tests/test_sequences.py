"""Padded arrays: packing, padding, targets, and errors that name sample and step."""

import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sknt._targets import align_targets
from sknt.sequences import (
    Sequences,
    check_sequences,
    is_missing,
    is_table,
    mark_padding,
    pad_sequences,
    step_mask,
    unpad_sequences,
)

nan = np.nan
LENGTHS = [3, 1, 4]
N_TIMESTEPS = 6
POSITIONS = {
    "after": [[0, 1, 2], [0], [0, 1, 2, 3]],
    "before": [[3, 4, 5], [5], [2, 3, 4, 5]],
    "inside": [[0, 2, 5], [3], [0, 1, 4, 5]],
    "mixed": [[1, 2, 4], [0], [2, 3, 4, 5]],
}
every_layout = pytest.mark.parametrize(
    "positions", POSITIONS.values(), ids=POSITIONS.keys()
)


def ragged(*step_shape):
    rng = np.random.RandomState(0)
    return [rng.normal(size=(length, *step_shape)) for length in LENGTHS]


def lay_out(sequences, positions, fill=nan):
    first = np.asarray(sequences[0])
    shape = (len(sequences), N_TIMESTEPS, *first.shape[1:])
    array = np.full(shape, fill, first.dtype if first.dtype.kind == "f" else object)
    for i, sequence in enumerate(sequences):
        for step, position in zip(sequence, positions[i], strict=True):
            array[i, position] = step
    return array


def present_of(positions):
    present = np.zeros((len(positions), N_TIMESTEPS), dtype=bool)
    for i, steps in enumerate(positions):
        present[i, steps] = True
    return present


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
def test_pad_refuses_what_is_no_list_of_like_sequences(sequences, message):
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


# check_sequences


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
    for part, expected in zip(
        check_sequences(flat), check_sequences(flat[..., np.newaxis]), strict=True
    ):
        assert_array_equal(part, expected)


WHOLE = np.arange(12.0).reshape(2, 3, 2) - 4


def _object_array(samples):
    array = np.empty(len(samples), dtype=object)
    for i, sample in enumerate(samples):
        array[i] = sample
    return array


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
        lambda X: _object_array(list(X)),
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
def test_every_way_to_write_an_array_reads_the_same(convert):
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
        _object_array,
        lambda samples: [sample.tolist() for sample in samples],
    ],
)
@pytest.mark.parametrize("step_shape", [(), (2,)])
def test_a_list_reads_like_its_padded_array(convert, step_shape):
    samples = [sample.round(2).astype(np.float32) for sample in ragged(*step_shape)]
    result = check_sequences(convert(samples))
    for part, expected in zip(result, check_sequences(pad_sequences(samples)), strict=True):
        assert_array_equal(part, expected)


def test_lists_of_data_frames_and_series_read_by_position_not_by_index():
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


def test_checking_neither_changes_nor_shares_what_was_given():
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


def test_a_partly_missing_step_is_refused_with_its_place_and_the_way_out():
    with pytest.raises(ValueError, match=r"sample 1, step 2, feature\(s\) \[1\]") as e:
        check_sequences(_with(nan))
    assert "SimpleImputer" in str(e.value)


def test_a_place_is_that_in_the_array_given_not_in_the_packed_one():
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
def test_no_sample_and_no_feature_are_refused_with_the_shape(shape):
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
def test_what_is_not_numeric_is_refused_as_such(X):
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


# Sequences.pack and Sequences.unpack


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
def test_packing_x_itself_gives_its_packed_values(positions):
    X = lay_out(ragged(2), positions)
    sequences = check_sequences(X)
    assert_array_equal(sequences.pack(X), sequences.values)
    assert_array_equal(sequences.unpack(sequences.values), X)


def test_what_stands_at_absent_steps_is_lost_by_packing():
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
def test_any_fill_fits_and_the_values_stay_what_they_are(packed, fill):
    (first, second), (third, _) = packed
    assert _unpacked(packed, fill).tolist() == [[first, second], [third, fill]]


def test_integers_stay_integers_where_nothing_is_absent_or_the_fill_is_one():
    packed = np.array([[1, 2], [3, 4]])
    full = check_sequences(np.ones((2, 2))).unpack(packed)
    assert full.dtype == packed.dtype
    assert _unpacked(packed, -1).dtype == packed.dtype
    assert _unpacked(packed, nan).dtype == np.float64


def test_strings_stay_strings_where_nothing_is_absent():
    packed = np.array([["a", "b"]])
    assert check_sequences([[1.0, 2.0]]).unpack(packed).dtype == packed.dtype


def test_sequences_are_an_immutable_tuple_of_values_lengths_and_present():
    sequences = check_sequences(WHOLE)
    assert isinstance(sequences, Sequences)
    assert Sequences._fields == ("values", "lengths", "present")
    with pytest.raises(AttributeError):
        sequences.lengths = None


# align_targets


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
def test_targets_for_sequences_are_refused_with_the_way_out(y):
    expected = re.escape(f"y has shape {np.shape(y)}")
    with pytest.raises(ValueError, match=expected) as error:
        align_targets(y, PRESENT)
    assert "return_sequences=False" in str(error.value)


# is_missing


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


def test_nan_is_what_is_missing_unless_told_otherwise():
    assert_array_equal(is_missing(np.array([[0.0, nan]])), [[False, True]])


# is_table


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
        _object_array([np.ones(2), np.ones(3)]),
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
def test_sequences_are_no_table(X):
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


@pytest.mark.parametrize("function", [unpad_sequences, lambda X: mark_padding(X, 0)])
def test_sequences_of_unequal_length_are_no_array_yet(function):
    with pytest.raises(ValueError, match="pad_sequences first"):
        function([[1.0, 2.0], [3.0]])


def test_padding_is_marked_among_numbers_only():
    with pytest.raises(ValueError, match="mark numbers, not text"):
        mark_padding([["a", "b"], ["c", "d"]], 0)
