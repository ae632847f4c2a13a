"""What the tests of checkpoints share: fits that are killed, and equality to the bit."""

import os

import numpy as np
import pytest
import torch
from helpers import weights_of
from persistence_helpers import assert_same
from skorch.callbacks import Callback

from sknt.training import ongoing


@pytest.fixture
def every_epoch(monkeypatch):
    """Write a checkpoint at each epoch, however short."""
    monkeypatch.setattr(ongoing, "MIN_SECONDS", 0.0)
    monkeypatch.setattr(ongoing, "MAX_COST", float("inf"))


class Killed(BaseException):
    """What ends a fit where a signal would."""


class Kill(Callback):
    """End the process, as it were, before the n-th update from now."""

    left = None

    def on_batch_begin(self, net, training, **kwargs):
        if training and Kill.left is not None:
            Kill.left -= 1
            if Kill.left < 0:
                raise Killed

    @staticmethod
    def before(n):
        Kill.left = n


def with_kill(model, **params):
    """Add the callback to a model's other parameters."""
    net_params = dict(model.net_params or {})
    net_params["callbacks"] = [*net_params.get("callbacks", []), Kill()]
    return model.set_params(net_params=net_params, **params)


def fit_with_kills(model, data, after=(5, 9)):
    """Fit, and begin again after each kill; return how many there were."""
    n_kills = 0
    try:
        for n in (*after, None):
            Kill.before(n)
            try:
                model.fit(*data)
                return n_kills
            except Killed:
                n_kills += 1
        raise AssertionError("not reached")
    finally:
        Kill.before(None)


def assert_same_fit(a, b, X):
    """Assert that two fits have the same result, but for the time that they took."""
    assert torch.equal(weights_of(a), weights_of(b))
    histories = [
        [{k: v for k, v in epoch.items() if k != "dur"} for epoch in model.history_]
        for model in (a, b)
    ]
    assert_same(*histories)
    assert_same(a.net_.snapshot(), b.net_.snapshot())
    assert (a.n_iter_, a.network_share_) == (b.n_iter_, b.network_share_)
    outputs = [getattr(m, "predict_proba", m.predict)(X) for m in (a, b)]
    assert np.array_equal(*outputs, equal_nan=True)


def files_in(folder):
    return sorted(os.listdir(folder)) if os.path.exists(folder) else []
