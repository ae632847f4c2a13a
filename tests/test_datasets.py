"""The task generators, against a decoder that reads them step by step."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.utils import check_random_state

from sknt.data.sequences import check_sequences
from sknt.datasets import make_copy


def decode(x, y):
    """Read one sample as the paper describes the task; return its bits."""
    n_timesteps, n_bits = y.shape
    assert x.shape == (n_timesteps, n_bits + 1)
    delimiters = [t for t in range(n_timesteps) if x[t, n_bits] == 1]
    assert len(delimiters) == 1
    length = delimiters[0]
    bits = []
    for t in range(n_timesteps):
        if t < length:
            assert x[t, n_bits] == 0
            bits.append([int(bit) for bit in x[t, :n_bits]])
            assert_array_equal(x[t, :n_bits], bits[-1])
            assert all(bit in (0, 1) for bit in bits[-1])
            assert all(np.isnan(value) for value in y[t])
        elif t == length:
            assert all(value == 0 for value in x[t, :n_bits])
            assert all(np.isnan(value) for value in y[t])
        elif t <= 2 * length:
            assert all(value == 0 for value in x[t])
            assert_array_equal(y[t], bits[t - length - 1])
        else:
            assert all(np.isnan(value) for value in [*x[t], *y[t]])
    return bits


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"n_bits": 1, "max_length": 1},
        {"n_bits": 3, "min_length": 2, "max_length": 5},
        {"n_bits": 2, "min_length": 4, "max_length": 4},
    ],
)
def test_copy_asks_for_the_bits_before_the_delimiter_in_their_order(params):
    X, y = make_copy(40, random_state=0, **params)
    n_bits, longest = params.get("n_bits", 8), params.get("max_length", 20)
    assert X.shape == (40, 2 * longest + 1, n_bits + 1)
    assert y.shape == (40, 2 * longest + 1, n_bits)
    for x, targets in zip(X, y, strict=True):
        bits = decode(x, targets)
        assert params.get("min_length", 1) <= len(bits) <= longest


def test_copy_lengths_are_uniform_with_both_ends_included():
    X, y = make_copy(1200, n_bits=1, min_length=2, max_length=5, random_state=0)
    lengths = [len(decode(x, targets)) for x, targets in zip(X, y, strict=True)]
    counts = {length: lengths.count(length) for length in set(lengths)}
    assert set(counts) == {2, 3, 4, 5}
    # 300 expected, standard deviation 15
    assert all(225 < count < 375 for count in counts.values())


def test_copy_bits_are_fair_and_independent_between_channels_and_steps():
    X, y = make_copy(500, n_bits=2, min_length=4, max_length=4, random_state=0)
    bits = np.array([decode(x, targets) for x, targets in zip(X, y, strict=True)])
    columns = bits.reshape(500, 8)
    # standard deviation of a mean 0.022, of a correlation 0.045
    assert np.abs(columns.mean(axis=0) - 0.5).max() < 0.11
    correlation = np.corrcoef(columns, rowvar=False) - np.eye(8)
    assert np.abs(correlation).max() < 0.22


def test_copy_is_data_that_the_package_accepts():
    X, _ = make_copy(20, n_bits=2, max_length=3, random_state=0)
    sequences = check_sequences(X)
    lengths = [int(np.flatnonzero(x[:, -1] == 1)[0]) for x in X]
    assert_array_equal(sequences.lengths, 2 * np.array(lengths) + 1)


def test_copy_is_the_same_for_the_same_seed_and_differs_for_another():
    X, y = make_copy(10, random_state=3)
    for random_state in [3, np.random.RandomState(3)]:
        X_again, y_again = make_copy(10, random_state=random_state)
        assert_array_equal(X_again, X)
        assert_array_equal(y_again, y)
    X_other, _ = make_copy(10, random_state=4)
    assert not np.array_equal(X_other, X, equal_nan=True)


def test_copy_continues_a_generator_so_that_a_second_call_gives_new_data():
    rng = np.random.RandomState(0)
    first, second = make_copy(10, random_state=rng), make_copy(10, random_state=rng)
    assert not np.array_equal(first[0], second[0], equal_nan=True)


def test_copy_with_a_seed_leaves_the_global_generator_alone():
    global_generator = check_random_state(None)
    before = global_generator.get_state()
    make_copy(10, random_state=0)
    for now, then in zip(global_generator.get_state(), before, strict=True):
        assert_array_equal(now, then)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_samples": 0}, "n_samples=0"),
        ({"n_samples": -1}, "n_samples=-1"),
        ({"n_bits": 0}, "n_bits=0"),
        ({"min_length": 0}, "min_length=0"),
        ({"max_length": 0}, "max_length=0"),
        ({"min_length": 5, "max_length": 4}, "min_length=5 and max_length=4"),
    ],
)
def test_copy_refuses_invalid_sizes_by_name(params, message):
    with pytest.raises(ValueError, match=message):
        make_copy(**params)


def test_copy_takes_everything_but_the_number_of_samples_by_keyword():
    with pytest.raises(TypeError, match="positional"):
        make_copy(10, 8)
