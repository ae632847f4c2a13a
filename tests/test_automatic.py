"""What "auto" stands for, and that a value given explicitly wins over it."""

import re

import numpy as np
import pytest
from blend_helpers import blended_estimator, both, make_targets, make_waves
from helpers import SMALL, small_classifier, small_regressor, stepwise_classifier
from sklearn.model_selection import GridSearchCV

from sknt import NTMSequenceClassifier, NTMSequenceRegressor
from sknt.training.automatic import n_convolutions_for, n_epochs_for, patch_size_for
from sknt.training.net import SequenceNet

Estimators = pytest.mark.parametrize(
    "Estimator", [NTMSequenceClassifier, NTMSequenceRegressor]
)
FAST = SMALL | {"n_convolutions": 0, "max_epochs": 1}


def make_data(n_samples=12, longest=20):
    X = np.random.RandomState(0).normal(size=(n_samples, longest, 1))
    return X, (X[:, 0, 0] > 0).astype(int)


@pytest.mark.parametrize("per_step", [False, True])
@pytest.mark.parametrize("batch_size", [1, 4, 16, 100])
def test_epochs_make_600_updates_and_for_whole_sequences_at_most_2500(batch_size, per_step):
    for n in [1, 3, 16, 17, 100, 192, 193, 500, 801, 3000, 10**5]:
        n_epochs = n_epochs_for(n, batch_size, per_step=per_step)
        each = -(-n // batch_size)  # updates
        if not per_step and each * 50 > 2500:
            assert n_epochs == max(10, 2500 // each)
        else:
            assert n_epochs >= 50
            assert n_epochs * each >= 600
            assert n_epochs == 50 or (n_epochs - 1) * each < 600


def test_patches_divide_the_longest_sequence_into_28():
    for longest in (1, 16, 28, 29, 56, 57, 500, 100_000):
        lengths = np.array([longest, longest, 3])
        size = patch_size_for(lengths, per_step=False)
        assert -(-longest // size) <= 28
        assert size == 1 or -(-longest // (size - 1)) > 28
        assert patch_size_for(lengths, per_step=True) == 1


def test_convolutions_need_16_steps_and_10_different_sequences():
    for longest, n_different, expected in [
        (16, 10, 10_000),
        (15, 1000, 0),
        (1000, 9, 0),
        (300, 50, 10_000),
    ]:
        assert n_convolutions_for(np.array([2, longest]), n_different) == expected


def test_convolutions_of_long_series_are_fewer():
    numbers = [n_convolutions_for(np.array([n]), 50) for n in (10_000, 20_000, 100_000)]
    assert numbers == [10_000, 5_000, 3_024]


@both
def test_convolutions_count_different_sequences_with_a_target(kind):
    X, values = make_waves(12)
    y = make_targets(kind, values).astype(object)
    model = blended_estimator(kind, n_convolutions="auto", max_epochs=1)
    few = np.arange(12) % 9
    assert model.fit(X[few], y[few]).convolutions_ is None
    y[:3] = np.nan
    assert model.fit(X, y).convolutions_ is None
    assert model.fit(X[:, :15], make_targets(kind, values)).convolutions_ is None


@pytest.mark.parametrize("own", ["module", "criterion"])
def test_the_users_own_module_or_loss_has_no_convolutions_unless_asked_for(own):
    import torch

    from sknt.nn import SequenceNetwork

    X, values = make_waves(12)
    given = {"module": SequenceNetwork, "criterion": torch.nn.HuberLoss}[own]
    params = {"net_params": {own: given}, "max_epochs": 1}
    model = blended_estimator("regressor", n_convolutions="auto", **params).fit(X, values)
    assert model.convolutions_ is None
    model = blended_estimator("regressor", **params).fit(X, values)
    assert model.convolutions_ is not None


@both
def test_long_enough_sequences_have_10000_convolutions(kind):
    X, values = make_waves(10)
    model = blended_estimator(kind, n_convolutions="auto", max_epochs=1)
    model.fit(X, make_targets(kind, values))
    banks = model.convolutions_.convolutions._banks
    assert sum(len(bank.thresholds) for bank in banks) == 168 * round(10_000 / 168)
    model.set_params(n_convolutions=400).fit(X, make_targets(kind, values))
    banks = model.convolutions_.convolutions._banks
    assert sum(len(bank.thresholds) for bank in banks) == 168 * 2


def seen_by_the_net(monkeypatch, model, X, y):
    """Fit, and return the sizes of the first batch, the plan and the epochs asked for."""
    seen = {}
    fit_loop, train_step = SequenceNet.fit_loop, SequenceNet.train_step

    def loop(self, data, y=None, epochs=None, **params):
        seen["epochs"] = epochs
        return fit_loop(self, data, y, epochs=1, **params)

    def step(self, batch, **params):
        seen.setdefault("batch", len(batch[1]))
        seen["plan"] = self.plan_
        named = {type(callback).__name__: callback for _, callback in self.callbacks_}
        seen["clip"] = named["TrainingGuard"].max_grad_norm
        return train_step(self, batch, **params)

    monkeypatch.setattr(SequenceNet, "fit_loop", loop)
    monkeypatch.setattr(SequenceNet, "train_step", step)
    model.fit(X, y)
    seen["eps"] = model.net_.optimizer_.param_groups[0]["eps"]
    return seen


@Estimators
@pytest.mark.parametrize("per_step", [False, True])
def test_what_the_net_is_given(monkeypatch, Estimator, per_step):
    X, y = make_data(20)
    y = (X[..., 0] > 0).astype(int) if per_step else y
    params = FAST | {"max_epochs": "auto", "return_sequences": per_step}
    seen = seen_by_the_net(monkeypatch, Estimator(**params), X, y)
    assert seen["batch"] == (4 if per_step else 16)
    assert seen["epochs"] == (120 if per_step else 300)  # 600 updates
    assert seen["clip"] == (1.5 if per_step else 3.0)
    assert seen["eps"] == pytest.approx(2e-4 * seen["clip"])
    learns_labels_of_steps = per_step and Estimator is NTMSequenceClassifier
    assert seen["plan"].consolidates == learns_labels_of_steps
    assert seen["plan"].anneals != learns_labels_of_steps


@Estimators
@pytest.mark.parametrize("per_step", [False, True])
def test_what_is_given_explicitly_wins(monkeypatch, Estimator, per_step):
    X, y = make_data(20)
    y = (X[..., 0] > 0).astype(int) if per_step else y
    chosen = {"batch_size": 7, "max_epochs": 2, "max_grad_norm": 0.5}
    params = FAST | {"return_sequences": per_step, **chosen}
    model = Estimator(**params, schedule="constant")
    seen = seen_by_the_net(monkeypatch, model, X, y)
    assert (seen["batch"], seen["epochs"], seen["clip"]) == (7, 2, 0.5)
    assert not seen["plan"].consolidates
    assert not seen["plan"].anneals
    if per_step:
        return
    for schedule in ("cosine", "consolidate"):
        plan = seen_by_the_net(monkeypatch, model.set_params(schedule=schedule), X, y)[
            "plan"
        ]
        assert (plan.anneals, plan.consolidates) == (
            schedule == "cosine",
            schedule == "consolidate",
        )
    model.set_params(max_grad_norm=None)
    assert seen_by_the_net(monkeypatch, model, X, y)["clip"] is None


@Estimators
@pytest.mark.parametrize(("longest", "size"), [(28, 1), (29, 2), (57, 3)])
def test_patches_and_pooling_of_the_network(Estimator, longest, size):
    X, y = make_data(longest=longest)
    X[0, 5:] = np.nan  # the longest sequence decides
    model = Estimator(**FAST).fit(X, y)
    network = model.net_.module_
    assert model.patch_size_ == network.patch_size == size
    assert network.pooling == "concat"
    assert not network.reverse
    model = Estimator(**FAST, patch_size=5, pooling="max").fit(X, y)
    network = model.net_.module_
    assert model.patch_size_ == network.patch_size == 5
    assert network.pooling == "max"
    per_step = Estimator(**FAST, return_sequences=True).fit(X, (X[..., 0] > 0).astype(int))
    assert per_step.patch_size_ == 1
    assert per_step.net_.module_.pooling is None


def test_a_fit_that_goes_on_keeps_the_first_patches():
    X, y = make_data(longest=60)
    model = small_classifier(**FAST, warm_start=True).fit(X, y)
    assert model.patch_size_ == 3
    model.fit(X[:, :10], y)
    assert model.patch_size_ == 3
    assert len(model.predict(np.zeros((2, 200, 1)))) == 2
    model.partial_fit(np.tile(X, (1, 9, 1)), y)
    assert model.patch_size_ == 3


CANDIDATES = {
    "patch_size": [1, 4, "auto"],
    "pooling": ["last", "mean", "auto"],
    "bidirectional": [False, True],
    "standardize": [False, True, "auto"],
    "n_convolutions": [0, 168],
    "max_epochs": [1, 2],
    "schedule": ["constant", "cosine", "auto"],
    "input_noise": [0.0, 0.5],
    "max_grad_norm": [0.1, None, "auto"],
    "batch_size": [3, "auto"],
}


@pytest.mark.parametrize("name", CANDIDATES)
def test_a_search_reaches_every_parameter(name):
    X, values = make_waves(12)
    grid = {name: CANDIDATES[name]}
    model = blended_estimator("regressor", **{"n_convolutions": 0, "max_epochs": 2})
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(X, values)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert len(set(scores[:2])) == 2  # it makes a difference
    assert getattr(search.best_estimator_, name) == search.best_params_[name]


BAD = {
    "patch_size": [0, -1, 1.5, "half", None],
    "pooling": ["sum", None, 1],
    "bidirectional": ["both", 2, None],
    "standardize": ["always", 2, None],
    "n_convolutions": [-1, 0.5, "many", None],
    "max_epochs": [0, 1.5, "many", None],
    "batch_size": [0, 1.5, "many", None],
    "schedule": ["linear", None, 1],
    "input_noise": [-0.1, "auto", None],
    "max_grad_norm": [0.0, -1.0, "none"],
}


@Estimators
@pytest.mark.parametrize("name", BAD)
def test_an_error_names_the_parameter_and_its_value(Estimator, name):
    X, y = make_data()
    for value in BAD[name]:
        model = Estimator(**FAST | {name: value})
        pattern = rf"'{name}' parameter of {Estimator.__name__}.*{re.escape(repr(value))}"
        with pytest.raises(ValueError, match=pattern):
            model.fit(X, y)
        assert not hasattr(model, "net_")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"patch_size": 4}, "patch_size=4 needs a target for each sequence.*patch_size=1"),
        ({"pooling": "mean"}, "pooling='mean' has no meaning with return_sequences=True"),
        ({"n_convolutions": 200}, "n_convolutions=200 needs a target for each sequence"),
    ],
)
def test_what_has_no_meaning_for_targets_of_steps_is_refused(params, message):
    X, _ = make_data()
    y = (X[..., 0] > 0).astype(int)
    model = stepwise_classifier(**params)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert not hasattr(model, "net_")


def test_input_noise_changes_training_and_not_predictions():
    X, y = make_data()
    models = [
        small_regressor(n_convolutions=0, input_noise=noise).fit(X, y)
        for noise in (0.0, 0.3, 0.3)
    ]
    one, other, again = (model.predict(X) for model in models)
    assert (one != other).any()
    assert (other == again).all()
    assert (models[1].predict(X) == other).all()
