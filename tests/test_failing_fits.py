"""A fit that fails or is interrupted leaves the estimator as it was."""

import math

import pytest
import torch
from helpers import small_classifier, stepwise_classifier, tiny_copy, weights_of
from numpy.testing import assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback

from sknt.training import progress


def test_training_that_fails_during_consolidation_leaves_everything_as_it_was(monkeypatch):
    class Fail(Callback):
        armed = False

        def __deepcopy__(self, memo):
            return self

        def on_grad_computed(self, net, **kwargs):
            if self.armed and net.update_.penalty and net.update_.noise:
                raise RuntimeError("on purpose")

    monkeypatch.setattr(progress, "LEARNED", 1e9)  # at once
    monkeypatch.setattr(progress, "LOST", math.inf)
    fail = Fail()
    model = stepwise_classifier(consolidation=400, net_params={"callbacks": [fail]})
    model.partial_fit(*tiny_copy(random_state=0))
    fail.armed = True
    before = vars(model.net_).copy()
    with pytest.raises(RuntimeError, match="on purpose"):
        model.partial_fit(*tiny_copy(random_state=1))
    assert vars(model.net_) == before


def test_an_interrupt_is_not_swallowed_and_changes_nothing(sequences):
    class Interrupt(torch.optim.Adam):
        n_steps = 0

        def step(self, closure=None):
            Interrupt.n_steps += 1
            if Interrupt.n_steps == 14:
                raise KeyboardInterrupt
            return super().step(closure)

    X, y = sequences
    model = small_classifier(warm_start=True, net_params={"optimizer": Interrupt})
    before = weights_of(model.fit(X, y)).clone()
    with pytest.raises(KeyboardInterrupt):
        model.set_params(max_epochs=10).fit(X, y)
    assert torch.equal(weights_of(model), before)
    assert model.n_iter_ == len(model.net_.history) == 3


class Failing:
    """A callback that fails in the second epoch."""

    def setup(self, estimator, context): ...

    def teardown(self, estimator, context):
        self.torn_down = True

    def on_fit_task_begin(self, estimator, context): ...

    def on_fit_task_end(self, estimator, context):
        if context.task_id == 1:
            raise RuntimeError("the disk is full")


def test_a_fit_that_fails_in_the_middle_leaves_the_estimator_as_it_was(sequences):
    X, y = sequences
    model = small_classifier(max_epochs=2, warm_start=True).fit(X, y)
    twin = small_classifier(max_epochs=2, warm_start=True).fit(X, y)
    state = dict(vars(model))
    callback = Failing()
    with pytest.raises(RuntimeError, match="the disk is full"):
        model.set_callbacks(callback).fit(X, y)
    model.set_callbacks()
    assert callback.torn_down
    assert vars(model) == state
    for mine, other in zip(
        model.net_.module_.parameters(), twin.net_.module_.parameters(), strict=True
    ):
        assert torch.equal(mine, other)
    # Shuffling and the optimizer also continue from where they were.
    assert_array_equal(model.fit(X, y).predict_proba(X), twin.fit(X, y).predict_proba(X))
    assert model.n_iter_ == twin.n_iter_ == 4


def set_gradients(net):
    for parameter in net.module_.parameters():
        parameter.requires_grad_(False)


CHANGES = {
    "a parameter group is added": lambda net: net.optimizer_.add_param_group(
        {"params": [torch.nn.Parameter(torch.zeros(2))]}
    ),
    "a parameter leaves its group": lambda net: net.optimizer_.param_groups[0][
        "params"
    ].pop(),
    "the optimizer forgets": lambda net: net.optimizer_.state.clear(),
    "a layer is replaced": lambda net: setattr(
        net.module_, "readout", torch.nn.Linear(28, 7)
    ),
    "a weight has another shape": lambda net: setattr(
        net.module_.readout.weight, "data", torch.zeros(3, 3)
    ),
    "gradients are off": set_gradients,
    "double precision": lambda net: net.module_.double(),
    "another backend": lambda net: setattr(net.module_, "backend", "reference"),
    "no cell": lambda net: setattr(net.module_, "cell", None),
    "an old epoch is changed": lambda net: net.history[0].update(train_loss=-1.0),
    "the history is empty": lambda net: net.history.clear(),
}


class Spoil(Callback):
    """Change the net and then fail, once."""

    change = None

    def __init__(self):
        self.log = []

    def on_batch_end(self, net, **kwargs):
        self.log.append(len(net.history))
        if Spoil.change is not None and len(self.log) % 2:
            change, Spoil.change = Spoil.change, None
            change(net)
            raise KeyError("mine")


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_a_failing_callback_does_to_the_net_is_undone(sequences, change):
    X, y = sequences
    params = {"warm_start": True, "net_params": {"callbacks": [Spoil()]}}
    model, twin = (small_classifier(**params).fit(X, y) for _ in range(2))
    module = model.net_.module_
    Spoil.change = staticmethod(change)
    with pytest.raises(KeyError, match="mine"):
        model.fit(X, y)
    assert model.net_.module_ is module
    assert model.net_.epoch_records() == model.history_
    (mine,), (other,) = (
        [c for _, c in m.net_.callbacks_ if isinstance(c, Spoil)] for m in (model, twin)
    )
    assert mine.log == other.log
    assert_array_equal(model.predict_proba(X), twin.predict_proba(X))
    assert_array_equal(model.fit(X, y).predict_proba(X), twin.fit(X, y).predict_proba(X))
    assert mine.log == other.log


def test_a_guard_that_becomes_an_error_leaves_no_mark_in_the_history(sequences):
    class Loss(torch.nn.CrossEntropyLoss):
        factor = 1.0

        def forward(self, *args):
            return super().forward(*args) * Loss.factor

    X, y = sequences
    model = small_classifier(warm_start=True, net_params={"criterion": Loss}).fit(X, y)
    Loss.factor = math.nan
    with pytest.raises(ConvergenceWarning):  # the tests turn warnings into errors
        model.fit(X, y)
    Loss.factor = 1.0
    assert not any("guard" in epoch for epoch in model.fit(X, y).history_)
