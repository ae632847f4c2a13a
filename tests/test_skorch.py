"""What net_params makes available of skorch."""

import pickle

import numpy as np
import pytest
import torch
from helpers import small_classifier, small_regressor
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.metrics import accuracy_score
from skorch.callbacks import EarlyStopping, EpochScoring, LRScheduler
from skorch.dataset import ValidSplit


def test_net_params_reach_skorch(sequences):
    X, y = sequences
    stopping = EarlyStopping("train_loss", patience=2, threshold=10.0)
    model = small_classifier(
        max_epochs=20,
        net_params={
            "optimizer__eps": 1e-3,
            "callbacks": [stopping, LRScheduler("StepLR", step_size=1)],
        },
    ).fit(X, y)
    assert model.net_.optimizer_.param_groups[0]["eps"] == 1e-3
    assert model.net_.optimizer_.param_groups[0]["betas"] == (0.9, 0.99)
    assert model.n_iter_ < 20
    assert not hasattr(stopping, "best_epoch_")  # a copy served the fit


def test_nested_parameters_are_parameters(sequences):
    model = small_classifier(net_params={"optimizer__eps": 1e-3})
    assert model.get_params()["net_params__optimizer__eps"] == 1e-3
    original = model.net_params
    model.set_params(net_params__optimizer__eps=1e-2, memory_params__shift_range=2)
    assert original == {"optimizer__eps": 1e-3}
    assert model.memory_params == {"shift_range": 2}
    copied = clone(model)
    assert copied.get_params()["memory_params__shift_range"] == 2
    copied.fit(*sequences)
    shift = copied.net_.module_.cell.memory.interface(torch.zeros(1, 8)).shift
    assert shift.shape[-1] == 5


def test_the_loss_and_the_data_loader_can_be_replaced(sequences):
    X, _ = sequences
    model = small_regressor(
        net_params={
            "criterion": torch.nn.HuberLoss,
            "iterator_train": torch.utils.data.DataLoader,
            "iterator_train__shuffle": False,
        }
    )
    assert np.isfinite(model.fit(X, X[:, 0, 0]).predict(X)).all()


@pytest.mark.parametrize(
    "net_params",
    [
        {"train_split": ValidSplit(5)},
        {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.5},
        {"optimizer": torch.optim.LBFGS},
        {"optimizer__param_groups": [("readout.*", {"lr": 0.1})]},
        {"iterator_train__batch_size": 7},
        {"callbacks__epoch_timer": None},
        {"callbacks": "disable"},
        {"criterion__label_smoothing": 0.1},
    ],
    ids=lambda params: next(iter(params)),
)
def test_other_arguments_of_skorch(sequences, net_params):
    X, y = sequences
    model = small_classifier(net_params=net_params).fit(X, y)
    assert model.n_iter_ == 3
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
    name, value = next(iter(net_params.items()))
    assert getattr(model.net_, name) is not None or value is None


def test_a_callback_that_scores_with_skorch_sees_targets_and_probabilities(sequences):
    def score(net, dataset, y):
        return accuracy_score(y, net.predict_proba(dataset).argmax(axis=1))

    X, y = sequences
    scoring = EpochScoring(score, name="accuracy", on_train=True, lower_is_better=False)
    model = small_classifier(max_epochs=15, net_params={"callbacks": [scoring]})
    history = model.fit(X, y).history_
    assert history[-1]["accuracy"] > max(0.8, history[0]["accuracy"])


def test_an_optimizer_that_does_not_call_its_closure_is_refused(sequences):
    class Still(torch.optim.SGD):
        def step(self, closure=None):
            pass

    with pytest.raises(ValueError, match=r"Still.step did not call its closure"):
        small_classifier(net_params={"optimizer": Still}).fit(*sequences)
