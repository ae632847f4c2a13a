"""Masked entries of X are absent, masked entries of y are no targets."""

import numpy as np
import pytest
from helpers import small_classifier, small_regressor, weights_of
from numpy.testing import assert_array_equal
from reading_helpers import LABELS, every_reader, numbers, outputs

from sknt import mark_padding, pad_sequences, unpad_sequences
from sknt.metrics import bit_error_rate, make_sequence_scorer
from sknt.preprocessing import StepwiseTransformer, ToSequence

nan = np.nan
FILLER = -9.0


def with_gaps(*shape):
    """Numbers with absent steps, as NaN and as a masked array with another filler."""
    X = numbers(4, *shape)
    X[::2, -1] = X[1, 0] = nan
    masked = np.ma.masked_array(np.where(np.isnan(X), FILLER, X), np.isnan(X))
    return X, masked


LAYOUTS = {
    "sequences": lambda: with_gaps(2),
    "table": lambda: with_gaps(),
    "list": lambda: tuple(list(part) for part in with_gaps(2)),
    "ragged list": lambda: (
        [x[: 2 + i % 3] for i, x in enumerate(with_gaps(2)[0])],
        [x[: 2 + i % 3] for i, x in enumerate(with_gaps(2)[1])],
    ),
    "list of univariate sequences": lambda: tuple(list(part) for part in with_gaps()),
    "single precision": lambda: (
        with_gaps(2)[0].astype(np.float32),
        with_gaps(2)[1].astype(np.float32),
    ),
    "objects": lambda: (with_gaps(2)[0], with_gaps(2)[1].astype(object)),
}


@every_reader
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=list(LAYOUTS))
def test_masked_steps_are_absent(make, layout):
    X, masked = layout()
    model = make().fit(X, LABELS)
    assert_array_equal(outputs(model, masked), outputs(model, X))
    assert_array_equal(outputs(make().fit(masked, LABELS), X), outputs(model, X))


def test_masked_integers_are_absent_too():
    X = np.arange(48).reshape(12, 4) % 7
    masked = np.ma.masked_equal(X, 6)
    expected = small_classifier().fit(np.where(X == 6, nan, X), LABELS)
    assert_array_equal(
        expected.predict_proba(masked),
        expected.predict_proba(X * 1.0 + 0 * np.where(X == 6, nan, X)),
    )
    assert torch_equal(small_classifier().fit(masked, LABELS), expected)


def torch_equal(model, other):
    return (weights_of(model) == weights_of(other)).all()


@every_reader
def test_a_masked_feature_of_a_present_step_is_missing_as_nan_is(make):
    X = np.ma.masked_array(numbers(4, 2), False)
    X[3, 1, 0] = np.ma.masked
    if make is StepwiseTransformer:
        assert np.isnan(make().fit(X).transform(X)[3, 1, 0])
    else:
        with pytest.raises(ValueError, match=r"sample 3, step 1, feature\(s\) \[0\]"):
            make().fit(X, LABELS)


@pytest.mark.parametrize("marker", [nan, -1])
@pytest.mark.parametrize("as_list", [False, True])
def test_masked_targets_of_steps_are_none(marker, as_list):
    X = numbers(4, 2)
    y = (X[..., 0] > 0).astype(int)
    is_masked = np.random.RandomState(1).uniform(size=y.shape) < 0.3
    masked = np.ma.masked_array(np.where(is_masked, 7, y), is_masked)
    marked = np.where(is_masked, marker, y)
    masked, marked = (list(masked), list(marked)) if as_list else (masked, marked)
    params = {"return_sequences": True, "missing_target": marker}
    for make in (small_classifier, small_regressor):
        model, expected = make(**params).fit(X, masked), make(**params).fit(X, marked)
        assert torch_equal(model, expected)
        assert model.score(X, masked) == model.score(X, marked)
    assert small_classifier(**params).fit(X, masked).classes_.tolist() == [0, 1]


def test_masked_targets_of_sequences_are_none():
    X = numbers(4, 2)
    y = np.ma.masked_equal([0, 1, 9] * 4, 9)
    kept = ~y.mask
    model = small_classifier().fit(X, y)
    assert model.classes_.tolist() == [0, 1]
    assert torch_equal(model, small_classifier().fit(X[kept], y.data[kept]))
    assert model.score(X, y) == model.score(X[kept], y.data[kept])
    texts = np.ma.masked_array(["up", "down", "none"] * 4, [False, False, True] * 4)
    assert small_classifier().fit(X, texts).classes_.tolist() == ["down", "up"]
    values = np.ma.masked_greater(np.arange(12.0), 9)
    regressor = small_regressor().fit(X, values)
    assert regressor.target_mean_[0] == 4.5


def test_masked_pairs_of_a_stream_and_of_partial_fit():
    X, masked = with_gaps(2)
    y = np.ma.masked_array([0, 1, 7] * 4, [False, False, True] * 4)
    marked = [0, 1, nan] * 4
    for args in ((iter([(X, marked)]), iter([(masked, y)])),):
        models = [small_classifier().fit(pairs) for pairs in args]
        assert torch_equal(*models)
    first = small_classifier().partial_fit(X, marked, classes=[0, 1])
    assert torch_equal(small_classifier().partial_fit(masked, y, classes=[0, 1]), first)


def test_masked_weights_are_refused():
    weights = np.ma.masked_equal(np.arange(12.0), 3)
    with pytest.raises(ValueError, match="sample_weight.*NaN"):
        small_classifier().fit(numbers(4, 2), LABELS, weights)


def test_functions_and_transformers_read_the_mask():
    X, masked = with_gaps()
    assert_array_equal(ToSequence().fit_transform(masked), X[..., np.newaxis])
    assert_array_equal(mark_padding(masked, 0), X)
    assert_array_equal(pad_sequences(list(masked)), X)
    for own, expected in zip(unpad_sequences(masked), unpad_sequences(X), strict=True):
        assert_array_equal(own, expected)
    integers = pad_sequences([np.ma.masked_equal([1, 2, 3], 2), [4]])
    assert_array_equal(integers, [[1, nan, 3], [4, nan, nan]])
    assert integers.dtype == np.float64


def test_scores_leave_masked_targets_out():
    X = numbers(4, 2)
    y = (X[..., 0] > 0).astype(int)
    is_masked = np.arange(48).reshape(12, 4) % 3 == 0
    masked = np.ma.masked_array(np.where(is_masked, 1 - y, y), is_masked)
    marked = np.where(is_masked, nan, y)
    model = small_classifier(return_sequences=True).fit(X, y)
    for marker in (nan, -1):
        scorer = make_sequence_scorer("accuracy", missing_target=marker)
        expected = scorer(model, X, np.where(is_masked, marker, y))
        assert scorer(model, X, masked) == expected
    predicted = model.predict(X)[..., np.newaxis]
    expected = bit_error_rate(marked[..., np.newaxis], predicted)
    assert bit_error_rate(masked[..., np.newaxis], predicted) == expected
