"""The same seed gives the same fit, whatever the process does."""

import threading

import numpy as np
import pytest
import torch
from helpers import small_classifier, weights_of
from numpy.testing import assert_allclose, assert_array_equal

from sknt import NTMSequenceRegressor


def test_the_same_seed_is_the_same_fit_whatever_the_process_does(sequences):
    X, y = sequences
    reference = small_classifier().fit(X, y)
    n_threads = torch.get_num_threads()
    np.random.seed(7)
    torch.manual_seed(7)
    try:
        torch.set_num_threads(2)
        again = small_classifier().fit(X, y)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(n_threads)
    assert torch.equal(weights_of(again), weights_of(reference))
    assert_array_equal(again.predict_proba(X), reference.predict_proba(X))
    different = small_classifier(random_state=1).fit(X, y)
    assert not torch.equal(weights_of(different), weights_of(reference))


def test_global_generators_stay_as_they_were(sequences):
    X, y = sequences
    np.random.seed(3)
    torch.manual_seed(3)
    numpy_state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()
    small_classifier(early_stopping=True).fit(X, y).predict(X)
    assert_array_equal(np.random.get_state()[1], numpy_state)
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_no_seed_follows_numpys_global_one_as_in_scikit_learn(sequences):
    X, y = sequences
    fits = []
    for _ in range(2):
        np.random.seed(5)
        fits.append(weights_of(small_classifier(random_state=None).fit(X, y)))
    assert torch.equal(*fits)


def test_fits_in_threads_are_the_same_and_restore_the_number_of_threads(sequences):
    X, y = sequences
    expected = weights_of(small_classifier().fit(X, y))
    n_threads = torch.get_num_threads()
    models = [small_classifier() for _ in range(3)]
    threads = [threading.Thread(target=m.fit, args=(X, y)) for m in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(weights_of(m), expected) for m in models)
    assert torch.get_num_threads() == n_threads


def test_the_order_of_the_samples_does_not_matter(sequences):
    X, y = sequences
    order = np.random.RandomState(0).permutation(len(X))
    first = small_classifier().fit(X, y)
    second = small_classifier().fit(X[order], y[order])
    assert torch.equal(weights_of(first), weights_of(second))


def test_two_and_two_epochs_equal_four(sequences):
    X, y = sequences
    constant = {"schedule": "constant"}  # not a rate that falls over each fit
    whole = small_classifier(max_epochs=4, **constant).fit(X, y)
    halves = small_classifier(max_epochs=2, warm_start=True, **constant)
    halves.fit(X, y).fit(X, y)
    parts = small_classifier(**constant)
    for _ in range(4):
        parts.partial_fit(X, y, classes=["down", "up"])
    for other in (halves, parts):
        assert torch.equal(weights_of(other), weights_of(whole))
        assert other.n_iter_ == whole.n_iter_ == 4
    assert [record["train_loss"] for record in parts.history_] == [
        record["train_loss"] for record in whole.history_
    ]


def test_a_second_fit_starts_anew_without_warm_start(sequences):
    X, y = sequences
    model = small_classifier().fit(X, y)
    first = weights_of(model)
    assert torch.equal(weights_of(model.fit(X, y)), first)
    assert model.n_iter_ == 3


def test_warm_start_accepts_a_new_learning_rate(sequences):
    X, y = sequences
    model = small_classifier(warm_start=True).fit(X, y)
    before = weights_of(model)
    model.set_params(learning_rate=1e-12, max_epochs=1).fit(X, y)
    assert_allclose(weights_of(model), before, atol=1e-9)


def n_threads_while_fitting(_=None):
    from skorch.callbacks import Callback

    class Count(Callback):
        def on_batch_begin(self, net, **kwargs):
            seen.append(torch.get_num_threads())

    seen = []
    X = np.random.RandomState(0).normal(size=(6, 2, 1))
    torch.set_num_threads(2)
    model = NTMSequenceRegressor(
        memory_size=4, max_epochs=1, net_params={"callbacks": [Count]}
    )
    model.fit(X, X[:, 0, 0])
    return max(seen), torch.get_num_threads()


@pytest.mark.slow
def test_fits_run_on_one_thread_each_and_restore_the_number_of_threads():
    from joblib import Parallel, delayed

    assert n_threads_while_fitting() == (1, 2)
    counts = Parallel(n_jobs=2)(delayed(n_threads_while_fitting)(i) for i in range(2))
    assert counts == [(1, 2), (1, 2)]
