"""Ctrl-C propagates from everywhere, at once; only callbacks end training quietly."""

import os
import signal
import threading
import time

import numpy as np
import pytest
import torch
from helpers import in_subprocess, small_classifier, weights_of
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback

from sknt.callbacks import TrainingStopped
from sknt.training.interrupts import Interrupts


def press():
    """Ctrl-C, as the terminal sends it."""
    os.kill(os.getpid(), signal.SIGINT)


class Act(Callback):
    """Do something at an event of the second epoch."""

    def __init__(self, event, action):
        self.event, self.action = event, action

    def __deepcopy__(self, memo):
        return self

    def act(self, event, net):
        if event == self.event and len(net.history) == 2:
            self.action()

    def on_train_begin(self, net, **kwargs):
        if self.event == "on_train_begin":
            self.action()

    def on_epoch_begin(self, net, **kwargs):
        self.act("on_epoch_begin", net)

    def on_batch_begin(self, net, **kwargs):
        self.act("on_batch_begin", net)

    def on_grad_computed(self, net, **kwargs):
        self.act("on_grad_computed", net)

    def on_batch_end(self, net, **kwargs):
        self.act("on_batch_end", net)

    def on_epoch_end(self, net, **kwargs):
        self.act("on_epoch_end", net)


EVENTS = [
    "on_epoch_begin",
    "on_batch_begin",
    "on_grad_computed",
    "on_batch_end",
    "on_epoch_end",
]


def press_and_wait():
    press()
    for _ in range(1000):  # for Python to notice it
        time.sleep(0.001)


def wrap_the_interrupt():
    try:
        press_and_wait()
    except KeyboardInterrupt:
        raise KeyboardInterrupt from None


@pytest.mark.parametrize("action", [press_and_wait, wrap_the_interrupt])
@pytest.mark.parametrize("event", ["on_train_begin", *EVENTS])
def test_ctrl_c_inside_a_callback_is_the_users(sequences, event, action):
    callback = Act(event, lambda: None)
    model = small_classifier(warm_start=True, net_params={"callbacks": [callback]})
    model.fit(*sequences)
    before, attributes = weights_of(model).clone(), vars(model).copy()
    if event != "on_train_begin":
        model.net_.history.clear()  # so that the second epoch comes again
    callback.action = action
    with pytest.raises(KeyboardInterrupt) as caught:
        model.fit(*sequences)
    assert not isinstance(caught.value, TrainingStopped)
    assert torch.equal(weights_of(model), before)
    assert vars(model) == attributes
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def raise_keyboard_interrupt():
    raise KeyboardInterrupt  # as skorch's EarlyStopping does


def raise_training_stopped():
    raise TrainingStopped


@pytest.mark.parametrize("action", [raise_keyboard_interrupt, raise_training_stopped])
@pytest.mark.parametrize("event", EVENTS)
def test_a_callback_ends_the_training_and_what_was_learned_is_kept(
    sequences, event, action
):
    model = small_classifier(
        max_epochs=5,
        schedule="consolidate",
        net_params={"callbacks": [Act(event, action)]},
    )
    model.fit(*sequences)
    assert model.n_iter_ == (2 if event == "on_epoch_end" else 1)
    assert all("phase" in epoch for epoch in model.history_)


def test_all_callbacks_see_the_end_of_the_epoch_in_which_one_stops(sequences):
    seen = []

    class See(Callback):
        def __deepcopy__(self, memo):
            return self

        def on_epoch_end(self, net, **kwargs):
            seen.append(len(net.history))

    callbacks = [Act("on_epoch_end", raise_keyboard_interrupt), See()]
    small_classifier(max_epochs=5, net_params={"callbacks": callbacks}).fit(*sequences)
    assert seen == [1, 2]


def test_a_stop_in_a_thread_counts_as_the_callbacks_too(sequences):
    results = []

    def work():
        callbacks = [Act("on_epoch_end", raise_keyboard_interrupt)]
        model = small_classifier(max_epochs=5, net_params={"callbacks": callbacks})
        results.append(model.fit(*sequences).n_iter_)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert results == [2]


def test_a_handler_that_does_not_raise_leaves_stopping_to_the_callback(sequences):
    """As in programs that catch SIGINT in order to stop at the end of an epoch."""
    asked = []
    before = signal.signal(signal.SIGINT, lambda signum, frame: asked.append(signum))
    try:

        def stop_if_asked():
            press_and_wait()
            if asked:
                raise KeyboardInterrupt

        callbacks = [Act("on_epoch_end", stop_if_asked)]
        model = small_classifier(max_epochs=5, net_params={"callbacks": callbacks})
        assert model.fit(*sequences).n_iter_ == 2
    finally:
        signal.signal(signal.SIGINT, before)


def test_held_interrupts_arrive_at_the_end():
    interrupts, done = Interrupts(), []

    def restore():
        with interrupts.watched():
            with interrupts.held():
                press_and_wait()
                done.append("restored")
            done.append("not reached")

    with pytest.raises(KeyboardInterrupt):
        restore()
    assert done == ["restored"]


class Pressing:
    """Press Ctrl-C after a random time."""

    def __init__(self, rng, longest):
        self.timer = threading.Timer(rng.uniform(0, longest), press)

    def __enter__(self):
        self.timer.start()

    def __exit__(self, *args):
        self.timer.cancel()
        self.timer.join()


@pytest.mark.slow
def test_interrupts_propagate_at_any_time_and_change_nothing(sequences):
    X, y = sequences
    rng = np.random.RandomState(0)
    model = small_classifier(warm_start=True).fit(X, y)
    before, proba = weights_of(model).clone(), model.predict_proba(X)
    model.set_params(max_epochs=100_000)
    for _ in range(60):
        attributes = vars(model).copy()
        with pytest.raises(KeyboardInterrupt), Pressing(rng, 0.15):
            model.fit(X, y)
        assert torch.equal(weights_of(model), before)
        assert vars(model) == attributes
        assert len(model.net_.history) == model.n_iter_ == 3
    np.testing.assert_array_equal(model.predict_proba(X), proba)
    twin = small_classifier(warm_start=True).fit(X, y)
    for estimator in (model, twin):
        estimator.set_params(max_epochs=2).fit(X, y)
    assert torch.equal(weights_of(model), weights_of(twin))


@pytest.mark.slow
def test_an_interrupt_ends_a_grid_search(sequences):
    X, y = sequences
    rng = np.random.RandomState(0)
    grid = {"memory_size": [4, 6], "n_read_heads": [1, 2]}
    for _ in range(10):
        model = small_classifier(max_epochs=400)
        with pytest.raises(KeyboardInterrupt), Pressing(rng, 0.5):
            GridSearchCV(model, grid, cv=2).fit(X, y)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, TrainingStopped])
def test_a_fit_while_an_interrupt_is_handled_can_be_stopped_by_a_callback(sequences, stop):
    def act():
        raise stop

    X, y = sequences
    callbacks = [Act("on_epoch_end", press)], [Act("on_epoch_end", act)]
    endless, stopped = (
        small_classifier(max_epochs=9, net_params={"callbacks": part}) for part in callbacks
    )
    try:
        endless.fit(X, y)
    except KeyboardInterrupt:
        assert stopped.fit(X, y).n_iter_ == 2
    assert hasattr(stopped, "net_")
    assert not hasattr(endless, "net_")


def test_a_callback_cannot_turn_an_interrupt_into_an_ordinary_end(sequences):
    def act():
        try:
            press()
            time.sleep(5)
        except KeyboardInterrupt as interrupt:
            raise TrainingStopped from interrupt

    model = small_classifier(net_params={"callbacks": [Act("on_epoch_end", act)]})
    with pytest.raises(KeyboardInterrupt):
        model.fit(*sequences)
    assert not hasattr(model, "net_")


def test_an_exception_that_is_its_own_cause_stops_training(sequences):
    def act():
        stopped = KeyboardInterrupt()
        raise stopped from stopped

    params = {"max_epochs": 5, "net_params": {"callbacks": [Act("on_epoch_end", act)]}}
    assert small_classifier(**params).fit(*sequences).n_iter_ == 2


@pytest.mark.slow
def test_an_interrupt_waits_while_torch_imports_a_part_of_itself():
    """Whatever was imported in part could make every later fit fail."""
    in_subprocess(
        """
        import os, signal, sys
        import pytest, torch
        from sknt import NTMSequenceClassifier

        class Press:  # finds nothing, but interrupts the import that asks
            times = 0
            def find_spec(self, name, path=None, target=None):
                if name.startswith("torch._dynamo."):
                    Press.times += 1
                    if Press.times == 3:
                        os.kill(os.getpid(), signal.SIGINT)

        assert "torch._dynamo" not in sys.modules
        sys.meta_path.insert(0, Press())
        X, y = torch.randn(12, 4, 2), [0, 1] * 6
        model = NTMSequenceClassifier(memory=None, max_epochs=1)
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, y)
        assert Press.times > 3
        assert "torch._dynamo" in sys.modules  # all of it
        model.fit(X, y)
        """
    )


@pytest.mark.parametrize("event", ["on_train_begin", "on_train_end"])
@pytest.mark.parametrize("stop", [KeyboardInterrupt, TrainingStopped])
def test_a_callback_may_stop_before_the_first_epoch_and_after_the_last(
    sequences, event, stop
):
    def act(*args, **kwargs):
        raise stop

    callback = type("Stop", (Callback,), {event: act})()
    model = small_classifier(net_params={"callbacks": [callback]}).fit(*sequences)
    assert model.n_iter_ == (0 if event == "on_train_begin" else 3)
    assert len(model.predict(sequences[0])) == len(sequences[0])
