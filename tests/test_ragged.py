"""Sequences of unequal length take memory for their steps, not for padding."""

import tracemalloc

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from sknt import NTMSequenceClassifier, NTMSequenceRegressor, pad_sequences
from sknt.data import ragged
from sknt.data.ragged import MOST_PADDING, of_similar_lengths
from sknt.data.sequences import check_sequences
from sknt.training import batches
from sknt.training.automatic import n_convolutions_for, patch_size_for

nan = np.nan
SMALL = {"memory_size": 8, "hidden_size": 8, "max_epochs": 1, "random_state": 0}


def make_ragged(n_short=4000, n_long=5000):
    rng = np.random.RandomState(0)
    X = [rng.normal(size=(5, 4)) for _ in range(n_short)]
    return [*X, rng.normal(size=(n_long, 4))]


def peak_of(function):
    """Return what a function gives, and the most memory of arrays while it ran."""
    tracemalloc.start()
    try:
        return function(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def n_bytes(X):
    return sum(x.nbytes for x in X)


@pytest.mark.parametrize("per_step", [False, True])
def test_a_long_sequence_among_short_ones_takes_memory_for_its_own_steps(per_step):
    X = make_ragged()
    y = [(x[:, 0] > 0) * 1 if per_step else len(x) % 2 for x in X]
    y = y if per_step else [0, 1] * 2000 + [1]
    model = NTMSequenceClassifier(**SMALL, return_sequences=per_step)
    data, peak = peak_of(lambda: model._training_data(X, y, reset=True)[0].dataset())
    assert len(data) == len(X)
    assert peak < 5 * n_bytes(X)


def test_of_an_array_nothing_is_copied_for_the_checks():
    X = np.random.RandomState(0).normal(size=(200_000, 10, 4))
    X[::2, 6:] = nan
    sequences, peak = peak_of(lambda: check_sequences(X))
    assert np.shares_memory(sequences.inputs.array, X)
    assert peak < X.nbytes


@pytest.fixture
def mapped(tmp_path):
    """An array in a file, some of its sequences shorter than others."""
    rng = np.random.RandomState(0)
    X = rng.normal(3, 2, size=(60, 3000, 20)).astype(np.float32)
    X[::3, 2000:] = nan
    X[1::3, :100] = nan
    np.save(tmp_path / "X.npy", X)
    return np.load(tmp_path / "X.npy", mmap_mode="r")


@pytest.mark.parametrize("Estimator", [NTMSequenceClassifier, NTMSequenceRegressor])
def test_a_file_is_read_by_batch_and_gives_the_same_fit(mapped, Estimator):
    y = np.arange(60) % 2
    params = {**SMALL, "n_convolutions": 0, "standardize": True}
    model = Estimator(**params)
    data, peak = peak_of(lambda: model._training_data(mapped, y, reset=True)[0].dataset())
    batch, _ = data[torch.tensor([0, 1, 2, 5])]
    assert peak + batch["x"].nbytes < mapped.nbytes
    of_file = Estimator(**params).fit(mapped, y)
    in_memory = Estimator(**params).fit(np.array(mapped), y)
    assert_array_equal(of_file.predict(mapped), in_memory.predict(np.array(mapped)))


LAYOUTS = {
    "as it is": lambda X: X,
    "single": lambda X: X.astype(np.float32),
    "fortran": np.asfortranarray,
    "reversed": lambda X: X[::-1, ::-1, ::-1][::-1, ::-1, ::-1],
    "every second": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "read-only": lambda X: np.broadcast_to(X, X.shape),
    "list": lambda X: [x[~np.isnan(x).all(axis=1)] for x in X],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("gaps", ["none", "after", "before", "inside"])
def test_steps_are_those_of_a_slow_loop(layout, gaps):
    rng = np.random.RandomState(0)
    X = rng.randint(-8, 8, size=(7, 6, 2)).astype(float)
    for row in X[::2]:
        row[{"none": [], "after": [4, 5], "before": [0], "inside": [2, 3]}[gaps]] = nan
    expected = [x[~np.isnan(x).all(axis=1)] for x in X]
    inputs = check_sequences(LAYOUTS[layout](X)).inputs
    assert_array_equal(inputs.steps(), np.concatenate(expected))
    assert_array_equal(inputs.padded(fill=nan), pad_sequences(expected))
    rows = np.array([5, 0, 0, 3])
    some = [2 * expected[i] for i in rows]
    doubled = inputs.mapped(lambda steps: 2 * steps).take(rows)
    assert_array_equal(doubled.steps(), np.concatenate(some))
    assert_array_equal(
        doubled.padded(9, fill=nan)[:, :6], pad_sequences(some, max_length=6)
    )
    pieces = [inputs.take(own).steps() for own in inputs.pieces(n_values=9, most=3)]
    assert len(pieces) > 2
    assert_array_equal(np.concatenate(pieces), inputs.steps())


def test_batches_of_similar_lengths_hold_each_row_once_with_little_padding():
    lengths = np.random.RandomState(0).geometric(0.01, size=500)
    found = list(of_similar_lengths(lengths, 50, 3000))
    assert_array_equal(np.sort(np.concatenate(found)), np.arange(500))
    for rows in found:
        padded = lengths[rows].max() * len(rows)
        assert len(rows) <= 50
        assert padded <= MOST_PADDING * lengths[rows].sum()
        assert padded <= 3000 or len(rows) == 1


@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize("memory", ["ntm", "dnc", None])
@pytest.mark.parametrize("per_step", [False, True])
def test_a_batch_run_in_groups_gives_the_gradient_of_the_whole(
    monkeypatch, backend, memory, per_step
):
    rng = np.random.RandomState(0)
    X = [rng.normal(size=(n, 2)) for n in (3, 40, 2, 3, 21, 5)]
    y = [x[:, 0] if per_step else x[0, 0] for x in X]
    model = NTMSequenceRegressor(
        **SMALL, memory=memory, backend=backend, return_sequences=per_step, n_convolutions=0
    ).fit(X, y)
    net = model.net_
    batch = model._training_data(X, y, reset=False)[0].dataset()[torch.arange(6)]

    def gradients(mostly):
        monkeypatch.setattr(batches, "MOSTLY", mostly)
        monkeypatch.setattr(ragged, "MOST_PADDING", 1.5)
        net.optimizer_.zero_grad()
        step = net.train_step_single(batch)
        return [
            step["loss"].detach(),
            step["y_pred"].detach(),
            *(p.grad.clone() for p in net.module_.parameters()),
        ]

    whole, in_groups = gradients(100), gradients(1)
    assert len(batches.split_by_length(batch[0]["lengths"])) > 2
    if per_step:
        whole[1][batch[0]["weight"] == 0] = 0
        in_groups[1][batch[0]["weight"] == 0] = 0
    for one, other in zip(whole, in_groups, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_a_far_longer_sequence_does_not_decide_what_auto_means():
    lengths = np.full(1000, 5)
    with_long = np.append(lengths, 5000)
    assert n_convolutions_for(with_long, 1001) == n_convolutions_for(lengths, 1000) == 0
    assert patch_size_for(with_long, per_step=False) == 1
