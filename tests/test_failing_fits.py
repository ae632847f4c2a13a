"""A fit that fails or is interrupted leaves the estimator as it was."""

import math

import pytest
import torch
from helpers import small_classifier, stepwise_classifier, tiny_copy, weights_of
from numpy.testing import assert_array_equal
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
