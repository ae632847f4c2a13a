"""The blend where there is little data, in streams, in fits that go on or fail."""

import numpy as np
import pytest
import torch
from blend_helpers import (
    SHARE,
    blended_estimator,
    both,
    make_targets,
    make_waves,
    outputs_of,
)
from helpers import weights_of
from numpy.testing import assert_allclose, assert_array_equal

from sknt._base import SequenceEstimator

nan = np.nan


@both
def test_0_convolutions_are_the_network_alone(kind):
    X, values = make_waves()
    model = blended_estimator(kind, n_convolutions=0).fit(X, make_targets(kind, values))
    assert model.convolutions_ is None
    assert model.network_share_ == 1
    assert {epoch["n_sequences"] for epoch in model.history_} == {30, 60, 90}


@both
@pytest.mark.parametrize("early_stopping", [False, True])
def test_too_few_different_sequences_are_refused_by_name(kind, early_stopping):
    X, values = make_waves(2)
    y = make_targets(kind, values)
    if kind == "classifier":
        y[:] = ["high", "low"]
    rows = [0, 1, 0, 1]
    message = "n_convolutions=168 needs at least 3 different.*there are 2.*n_convolutions=0"
    model = blended_estimator(kind, early_stopping=early_stopping)
    with pytest.raises(ValueError, match=message):
        model.fit(X[rows], y[rows])
    assert not hasattr(model, "net_")
    if not early_stopping:
        assert len(model.set_params(n_convolutions="auto").fit(X, y).predict(X)) == 2


@both
@pytest.mark.parametrize("n_samples", [3, 5])
def test_a_few_sequences_are_enough(kind, n_samples):
    X, values = make_waves(n_samples)
    y = make_targets(kind, values)
    if kind == "classifier":
        y[:2] = ["high", "low"]
    model = blended_estimator(kind).fit(X, y)
    assert np.isfinite(outputs_of(model, X)).all()


@both
def test_series_without_any_signal_are_predicted_by_what_is_known(kind):
    y = make_targets(kind, np.arange(12) / 8)  # both classes in the first half
    equal = np.repeat(make_waves(2)[0], 6, axis=0)
    model = blended_estimator(kind).fit(equal, y)
    assert len(np.unique(outputs_of(model, equal), axis=0)) == 2
    flat = np.repeat(np.arange(12.0)[:, np.newaxis, np.newaxis], 18, axis=1)
    model = blended_estimator(kind).fit(flat, y)
    assert np.isfinite(outputs_of(model, flat)).all()
    assert np.isfinite(outputs_of(model, np.zeros((2, 25, 1)))).all()


def test_constant_targets_are_predicted_as_they_are():
    X, _ = make_waves(12)
    model = blended_estimator("regressor").fit(X, np.full(12, 7.0))
    assert_array_equal(model.predict(X), 7)


def test_one_class_is_refused_unless_another_is_announced():
    X, _ = make_waves(12)
    y = np.full(12, "low")
    model = blended_estimator("classifier")
    with pytest.raises(ValueError, match="y has one class only"):
        model.fit(X, y)
    model.fit(X, y, classes=["high", "low"])
    assert_array_equal(model.predict(X), y)


@pytest.mark.parametrize("kind", ["regressor", "indicators"])
def test_an_output_may_have_a_single_target(kind, blends):
    X, values = make_waves(14)
    targets = values if kind == "regressor" else (values > 0.5).astype(float)
    alone = np.full(14, nan)
    alone[3] = 1.0
    estimator = "regressor" if kind == "regressor" else "classifier"
    model = blended_estimator(estimator).fit(X, np.column_stack([targets, alone]))
    outputs = outputs_of(model, X)
    assert np.isfinite(outputs).all()
    assert np.isfinite(blends[0].outputs).all()
    assert_array_equal(blends[0].outputs[:, 1], 0)  # nothing else is known of it


def test_a_sequence_that_has_all_the_weight_leaves_everything_finite(blends):
    X, values = make_waves(14)
    weights = np.ones(14)
    weights[3] = 1e20
    model = blended_estimator("regressor").fit(X, values, sample_weight=weights)
    assert np.isfinite(blends[0].outputs).all()
    assert np.isfinite(model.predict(X)).all()


@both
def test_a_stream_has_none(kind):
    parts = [make_waves(12, seed) for seed in range(2)]
    parts = [(X, make_targets(kind, values)) for X, values in parts]
    model = blended_estimator(kind)
    with pytest.raises(ValueError, match="n_convolutions > 0 cannot be used.*stream"):
        model.fit(iter(parts))
    for n_convolutions in ("auto", 0):
        model = blended_estimator(kind, n_convolutions=n_convolutions).fit(iter(parts))
        assert model.convolutions_ is None
        assert model.network_share_ == 1


@both
def test_targets_of_steps_have_none(kind):
    X, values = make_waves(6)
    y = np.repeat(make_targets(kind, values)[:, np.newaxis], 20, axis=1)
    if kind == "classifier":
        y[0, :2] = ["high", "low"]
    model = blended_estimator(kind, return_sequences=True, max_epochs=1)
    with pytest.raises(ValueError, match=r"n_convolutions=168 needs a target for each seq"):
        model.fit(X, y)
    assert not hasattr(model, "net_")
    for n_convolutions in ("auto", 0):
        model.set_params(n_convolutions=n_convolutions).fit(X, y)
        assert model.convolutions_ is None


@both
def test_partial_fit_trains_the_network_and_leaves_the_regression(kind, half):
    X, values = make_waves()
    y = make_targets(kind, values)
    model = blended_estimator(kind).fit(X, y)
    convolutions, before = model.convolutions_, outputs_of(model, X)
    weights = weights_of(model)
    model.partial_fit(X, y)
    assert model.convolutions_ is convolutions
    assert model.network_share_ == SHARE
    assert not torch.equal(weights_of(model), weights)
    assert np.abs(outputs_of(model, X) - before).max() > 1e-4


@both
def test_partial_fit_says_so_if_predictions_do_not_change(kind):
    X, values = make_waves()
    y = make_targets(kind, values)
    model = blended_estimator(kind, max_epochs=1).fit(X, y)
    assert model.network_share_ == 0
    before = outputs_of(model, X)
    with pytest.warns(UserWarning, match="the network no share") as warned:
        model.partial_fit(X, y)
    assert warned[0].filename == __file__
    assert_array_equal(outputs_of(model, X), before)


@both
def test_partial_fit_alone_is_the_network_alone(kind):
    X, values = make_waves()
    y = make_targets(kind, values)
    announced = {"classes": ["high", "low"]} if kind == "classifier" else {}
    model = blended_estimator(kind)
    with pytest.raises(ValueError, match="partial_fit does not support n_convolutions=168"):
        model.partial_fit(X, y, **announced)
    assert not hasattr(model, "net_")
    model.set_params(n_convolutions="auto").partial_fit(X, y, **announced)
    assert model.convolutions_ is None
    assert model.network_share_ == 1
    assert np.isfinite(outputs_of(model, X)).all()
    # A fit starts anew, with a blend.
    model.set_params(n_convolutions=168)
    expected = blended_estimator(kind).fit(X, y)
    assert_array_equal(outputs_of(model.fit(X, y), X), outputs_of(expected, X))


@both
def test_warm_start_fits_a_new_regression_and_continues_the_network(kind, half):
    X, values = make_waves()
    y = make_targets(kind, values)
    model = blended_estimator(kind, warm_start=True).fit(X, y)
    first = model.convolutions_
    fewer = np.arange(30) < 24
    model.fit(X[fewer], y[fewer])
    assert model.n_iter_ == 6
    assert model.convolutions_ is not first
    fresh = blended_estimator(kind).fit(X[fewer], y[fewer])
    for fitted in (model, fresh):
        fitted.network_share_ = 0.0
    # The targets of the regressor are in units of its first fit.
    assert_allclose(outputs_of(model, X), outputs_of(fresh, X), rtol=1e-4, atol=1e-5)
    assert not torch.equal(weights_of(model), weights_of(fresh))
    # Without convolutions nothing of them is left behind.
    model.set_params(n_convolutions=0).fit(X, y)
    assert model.convolutions_ is None
    assert model.network_share_ == 1


@both
def test_warm_start_judges_the_share_on_what_the_network_has_never_seen(kind, half, blends):
    X, values = make_waves()
    y = make_targets(kind, values)
    state = np.random.RandomState(3)
    model = blended_estimator(kind, warm_start=True, max_epochs=4, random_state=state)
    model.fit(X, y).fit(X, y)
    assert_array_equal(blends[0].is_held_out, blends[1].is_held_out)
    n_rest = np.count_nonzero(~blends[0].is_held_out)
    assert [epoch["n_sequences"] for epoch in model.history_] == [
        n_rest * epoch for epoch in range(1, 9)
    ]
    # Without it, the network sees all of them in the end.
    model = blended_estimator(kind, max_epochs=4).fit(X, y)
    n_seen = [epoch["n_sequences"] for epoch in model.history_]
    assert np.diff(n_seen, prepend=0).tolist() == [n_rest] * 3 + [30]


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt, pytest.param(RuntimeError, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("stage", ["_begin_blend", "_choose_share", "_warn_if_no_better"])
@both
def test_a_fit_that_fails_leaves_the_blend_as_it_was(kind, stage, error, half, monkeypatch):
    X, values = make_waves()
    y = make_targets(kind, values)
    model = blended_estimator(kind, warm_start=True).fit(X, y)
    before, state = outputs_of(model, X), dict(vars(model))
    factor, go = model.convolutions_.factor, getattr(SequenceEstimator, stage)

    def fail(self, *args):
        go(self, *args)
        assert self.convolutions_ is not state["convolutions_"]
        raise error("on purpose")

    monkeypatch.setattr(SequenceEstimator, stage, fail)
    for warm_start in (True, False):
        model.warm_start = state["warm_start"] = warm_start
        with pytest.raises(error, match="on purpose"):
            model.fit(X[:20], y[:20])
        assert vars(model) == state
        assert model.convolutions_.factor == factor
        assert_array_equal(outputs_of(model, X), before)
