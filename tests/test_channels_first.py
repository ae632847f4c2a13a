"""Series with channels first become sequences, and sequences such series."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from sknt import NTMSequenceRegressor, pad_sequences, unpad_sequences
from sknt.preprocessing import from_channels_first, to_channels_first

nan = np.nan
rng = np.random.default_rng(0)
LENGTHS = [4, 2, 7]
LISTS = [rng.normal(size=(3, length)) for length in LENGTHS]


def test_each_channel_becomes_a_feature():
    X = rng.normal(size=(4, 2, 9))
    for given in (X, X.tolist(), torch.tensor(X), list(X)):
        result = np.asarray(from_channels_first(given))
        assert result.shape == (4, 9, 2)
        for sample in range(4):
            for channel in range(2):
                assert_array_equal(result[sample, :, channel], X[sample, channel])


def test_lists_of_unequal_lengths_are_padded_or_stay_lists():
    padded = from_channels_first(LISTS)
    assert_array_equal(padded, pad_sequences([sample.T for sample in LISTS]))
    lists = from_channels_first(LISTS, padded=False)
    for own, sample in zip(lists, LISTS, strict=True):
        assert_array_equal(own, sample.T)


def test_masked_values_are_absent():
    X = np.ma.masked_equal([[[1.0, -9.0], [2.0, -9.0]]], -9)
    assert_array_equal(from_channels_first(X), [[[1, 2], [nan, nan]]])
    assert_array_equal(from_channels_first(list(X)), [[[1, 2], [nan, nan]]])


@pytest.mark.parametrize("X", [rng.normal(size=(4, 2, 9)), LISTS, pad_sequences(LISTS[:1])])
def test_there_and_back_is_the_same(X):
    for one, other in (
        (from_channels_first, to_channels_first),
        (to_channels_first, from_channels_first),
    ):
        arguments = {"padded": False} if one is from_channels_first else {}
        if isinstance(X, list) and one is to_channels_first:
            X = [sample.T for sample in X]
        back = other(one(X, **arguments))
        if isinstance(X, list) and isinstance(back, np.ndarray):
            back = unpad_sequences(back)
        for own, sample in zip(back, X, strict=True):
            assert_array_equal(own, sample)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.ones((3, 4)), "X has 2 dimensions; give .*n_channels, n_timesteps"),
        (np.ones((3, 4, 2, 2)), "X has 4 dimensions"),
        ([np.ones(3), np.ones(4)], "sample 0 has 1 dimensions; give .*n_channels, length"),
        ([np.ones((2, 3)), np.ones((2, 3, 1))], "sample 1 has 3 dimensions"),
        (
            [np.ones((2, 3)), np.ones((1, 4))],
            "sample 1 has 1 channels, but sample 0 has 2; all samples need",
        ),
        ([np.ones((5, 2)), np.ones((7, 2))], "sample 1 has 7 .*the other way round"),
    ],
)
def test_other_shapes_are_refused(X, message):
    with pytest.raises(ValueError, match=message):
        from_channels_first(X)


def test_features_of_unequal_numbers_are_refused_on_the_way_back():
    with pytest.raises(ValueError, match="sample 1 has 3 features, but sample 0 has 2"):
        to_channels_first([np.ones((4, 2)), np.ones((4, 3))])
    with pytest.raises(ValueError, match=r"n_timesteps, n_features"):
        to_channels_first(np.ones((4, 2)))


def test_tslearns_arrays_are_sequences_already():
    """(n, longest, d) with NaN after the end, as to_time_series_dataset makes them."""
    series = [[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0], [2.0, 5.0, 6.0, 7.0]]
    X = np.full((3, 4, 1), np.nan)
    for row, own in zip(X, series, strict=True):
        row[: len(own), 0] = own
    assert_array_equal(X[..., 0], pad_sequences(series))
    y = [1.0, 2.0, 3.0]
    model = NTMSequenceRegressor(memory_size=4, max_epochs=2, random_state=0)
    expected = model.fit([np.array(own)[:, np.newaxis] for own in series], y).predict(X)
    assert_array_equal(model.fit(X, y).predict(X), expected)
