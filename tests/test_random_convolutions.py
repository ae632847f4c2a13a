"""Features of random convolutions, against slow loops."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sknt.convolutions.features import (
    N_TAPS,
    TAPS,
    RandomConvolutions,
    Whole,
    describe,
    draw_bank,
    response,
    to_whole,
)
from sknt.data.ragged import Ragged


def make_series(n_samples=7, n_channels=3, longest=40, seed=0):
    rng = np.random.RandomState(seed)
    lengths = rng.randint(1, longest + 1, size=n_samples)
    lengths[0] = longest
    series = rng.randint(-(10**6), 10**6, size=(n_samples, n_channels, longest))
    units = 2.0 ** rng.randint(15, 22, size=n_samples)
    return Whole(series.astype(np.int32), lengths, units)


def make_sequences(n_samples=12, n_features=2, longest=40, seed=0):
    rng = np.random.RandomState(seed)
    lengths = rng.randint(2, longest + 1, size=n_samples)
    lengths[0] = longest
    values = rng.normal(size=(n_samples, longest, n_features)).cumsum(axis=1)
    values[np.arange(longest) >= lengths[:, np.newaxis]] = 0
    return values, lengths


def slow_response(series, taps, dilation):
    found = []
    for t in range(len(series)):
        total = 0
        for tap in range(N_TAPS):
            at = t + (tap - N_TAPS // 2) * dilation
            if 0 <= at < len(series):
                total += (2 if tap in taps else -1) * int(series[at])
        found.append(total)
    return found


def test_there_are_84_different_convolutions_whose_weights_add_up_to_0():
    assert len({tuple(taps) for taps in TAPS}) == 84
    flat = np.ones(200, np.int32)
    for taps in TAPS:
        assert not response(flat, taps, 3)[12:-12].any()


def bank_of(whole, n_thresholds, random_state):
    series, lengths, units = whole

    def drawn(i):
        return series[i, :, : lengths[i]], units[i]

    return draw_bank(drawn, lengths, series.shape[1], n_thresholds, random_state)


@pytest.mark.parametrize("dilation", [1, 2, 7])
@pytest.mark.parametrize("n_steps", [1, 5, 30])
def test_a_response_is_that_of_a_slow_loop(dilation, n_steps):
    series = np.random.RandomState(0).randint(-1000, 1000, n_steps).astype(np.int32)
    for taps in TAPS[::11]:
        assert_array_equal(
            response(series, taps, dilation), slow_response(series, taps, dilation)
        )


@pytest.mark.parametrize("n_channels", [1, 3, 12])
def test_counts_are_those_of_a_slow_loop(n_channels):
    whole = make_series(4, n_channels, 25)
    series, lengths, units = whole
    bank = bank_of(whole, 200, np.random.RandomState(1))
    counts, sums = describe(whole, bank, "reference")
    for d, dilation in enumerate(bank.dilations):
        for k in (0, 40, 83):
            chosen = bank.channels[d, k, : bank.n_channels[d, k]]
            assert len(set(chosen)) == len(chosen) >= 1
            for i, n in enumerate(lengths):
                found = slow_response(series[i, chosen, :n].sum(axis=0), TAPS[k], dilation)
                assert sums[i, d, k] == sum(max(r, 0) for r in found)
                for f in range(bank.first[d, k], bank.first[d, k + 1]):
                    assert counts[i, f] == sum(
                        r / units[i] > bank.thresholds[f] for r in found
                    )


@pytest.mark.parametrize("n_channels", [1, 4])
def test_the_kernels_count_the_same(n_channels):
    whole = make_series(9, n_channels, 61)
    bank = bank_of(whole, 500, np.random.RandomState(1))
    expected = describe(whole, bank, "reference")
    for one, other in zip(describe(whole, bank, "auto"), expected, strict=True):
        assert_array_equal(one, other)
    garbage = whole.series.copy()
    for row, n in zip(garbage, whole.lengths, strict=True):
        row[:, n:] = 77_777
    found = describe(whole._replace(series=garbage), bank, "auto")
    for one, other in zip(found, expected, strict=True):
        assert_array_equal(one, other)


def test_dilations_reach_over_the_sequences_and_no_further():
    for longest in (2, 9, 16, 300):
        whole = make_series(5, 1, longest)
        whole.lengths[:] = longest
        bank = bank_of(whole, 5000, np.random.RandomState(0))
        assert bank.dilations[0] == 1
        assert bank.dilations[-1] * (N_TAPS - 1) < max(longest, N_TAPS)
        assert len(bank.thresholds) == bank.first[-1, -1] == 84 * round(5000 / 84)


def test_features_are_shares_and_means_over_values_and_differences():
    values, lengths = make_sequences()
    model = RandomConvolutions(
        Ragged.in_blocks(values, lengths), 1000, np.random.RandomState(0)
    )
    features = model.transform(Ragged.in_blocks(values, lengths))
    assert features.shape == (12, model.n_features)
    assert features.min() >= 0
    shares = features[:, : 84 * 6]  # six thresholds each
    counts = shares * lengths[:, np.newaxis]
    assert_allclose(counts, counts.round(), atol=1e-4)
    assert shares.max() <= 1
    # A constant added to a whole sequence leaves its differences as they are.
    moved = values.copy()
    moved[3, : lengths[3]] += 5
    half = model.n_features // 2
    again = model.transform(Ragged.in_blocks(moved, lengths))
    assert_array_equal(again[:, half:], features[:, half:])
    assert (again[3, :half] != features[3, :half]).any()


@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_features_depend_on_their_sequence_alone(backend):
    values, lengths = make_sequences(n_samples=6)
    model = RandomConvolutions(
        Ragged.in_blocks(values, lengths), 400, np.random.RandomState(0), backend
    )
    features = model.transform(Ragged.in_blocks(values, lengths))
    for i, n in enumerate(lengths):
        alone = model.transform(Ragged.in_blocks(values[i : i + 1, :n], lengths[i : i + 1]))
        assert_array_equal(alone[0], features[i])
    longer = np.pad(values, ((0, 0), (0, 9), (0, 0)))
    assert_array_equal(model.transform(Ragged.in_blocks(longer, lengths)), features)


def test_units_do_not_matter():
    values, lengths = make_sequences()
    features = [
        RandomConvolutions(inputs, 400, np.random.RandomState(0)).transform(inputs)
        for inputs in (Ragged.in_blocks(v, lengths) for v in (values, values * 1024))
    ]
    assert_array_equal(*features)


def test_sequences_of_small_amplitude_are_described_as_well_as_others():
    values, lengths = make_sequences()
    small = (
        values * np.where(np.arange(12) % 2 == 0, 2.0**-20, 1)[:, np.newaxis, np.newaxis]
    )
    whole, expected = (to_whole(v, lengths, np.ones(2)) for v in (small, values))
    assert_array_equal(whole.series, expected.series)
    assert np.abs(whole.series).max(axis=(1, 2)).min() >= 2**23
    assert_allclose(whole.units[::2], expected.units[::2] * 2**20)
    # Thresholds drawn from any of them tell their steps apart.
    bank = bank_of(whole, 84 * 40, np.random.RandomState(0))
    counts, _ = describe(whole, bank, "auto")
    inner = (counts > 0) & (counts < lengths[:, np.newaxis])
    assert inner[::2].mean() > 0.3
    assert inner[1::2].mean() > 0.3


def test_extreme_values_do_not_overflow():
    values, lengths = make_sequences(n_features=12)
    values[1, 0] = 1e30
    model = RandomConvolutions(
        Ragged.in_blocks(values, lengths), 400, np.random.RandomState(0)
    )
    features = model.transform(Ragged.in_blocks(values * 1e8, lengths))
    assert np.isfinite(features).all()
    assert np.isfinite(model.transform(Ragged.in_blocks(values * 1e250, lengths))).all()
    values[2] *= 1e-320
    assert np.isfinite(model.transform(Ragged.in_blocks(values, lengths))).all()
    flat = Ragged.in_blocks(np.ones((3, 20, 1)), np.full(3, 20))
    constant = RandomConvolutions(flat, 400, np.random.RandomState(0))
    assert np.isfinite(constant.transform(flat.mapped(lambda steps: 3 * steps))).all()
