"""Ctrl-C may keep what has been learned so far; the interrupt is raised all the same."""

import os
import signal

import numpy as np
import pytest
import torch
from checkpoint_helpers import assert_same_fit, every_epoch, files_in  # noqa: F401
from helpers import small_classifier, small_regressor, stepwise_classifier, tiny_copy
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit

from sknt.callbacks import TrainingStopped

SMALL = {"backend": "reference", "n_convolutions": 0, "hidden_size": 4, "max_epochs": 5}


def press():
    """Ctrl-C, as the terminal sends it."""
    os.kill(os.getpid(), signal.SIGINT)


class Press(Callback):
    """Press before the n-th update, or after some epochs; remember all weights."""

    last = None

    def __init__(self, update=None, epochs=None, times=1):
        self.update, self.epochs, self.times = update, epochs, times

    def on_train_begin(self, net, **kwargs):
        Press.last = self
        self.n_updates_, self.weights_, self.n_batches_ = 0, [], 0

    def on_batch_begin(self, net, training, **kwargs):
        if training:
            self.n_batches_ += 1
            if self.n_batches_ == self.update:
                for _ in range(self.times):
                    press()

    def on_batch_end(self, net, training, **kwargs):
        if training:
            parts = [p.detach().flatten() for p in net.module_.parameters()]
            self.weights_.append(torch.cat(parts).clone())

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == self.epochs:
            press()

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        """Count from 0 where a fit goes on."""


def keeping(make=small_classifier, update=None, epochs=None, times=1, **params):
    callbacks = [Press(update, epochs, times)]
    net_params = {"callbacks": callbacks} | params.pop("net_params", {})
    params = SMALL | {"on_interrupt": "keep"} | params
    return make(**params, net_params=net_params)


def flat(model):
    return torch.cat([p.detach().flatten() for p in model.net_.module_.parameters()])


def interrupted(model, *data):
    with pytest.raises(KeyboardInterrupt) as caught:
        model.fit(*data)
    assert not isinstance(caught.value, TrainingStopped)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return model


@pytest.mark.parametrize("update", [2, 6, 20])
def test_the_last_weights_are_kept_where_nothing_is_held_out(sequences, update):
    X, y = sequences
    model = interrupted(keeping(update=update), X, y)
    # The interrupt waits for the end of the event in which it came, and no update follows.
    kept = Press.last.weights_
    assert len(kept) in (update - 1, update)
    assert torch.equal(flat(model), kept[-1])
    assert model.n_iter_ == len(model.history_) == len(kept) // 4
    assert model.net_.progress_.n_updates == len(kept)
    assert model.predict(X).shape == (60,)
    assert model.backend_ == "reference"


def test_the_best_weights_are_kept_where_something_is_held_out(sequences):
    X, y = sequences
    for params in (
        {"early_stopping": True},
        {"net_params": {"train_split": ValidSplit(3)}},
    ):
        model = interrupted(keeping(epochs=4, max_epochs=9, **params), X, y)
        n_updates = len(Press.last.weights_) // 4  # of each epoch
        scores = [
            (epoch.get("valid_score", 0), -epoch["valid_loss"]) for epoch in model.history_
        ]
        assert len(scores) == 4
        best = max(range(4), key=lambda i: scores[i])
        assert torch.equal(flat(model), Press.last.weights_[n_updates * (best + 1) - 1])


def test_an_interrupt_before_anything_is_learned_undoes_the_fit(sequences):
    X, y = sequences

    class AtTheStart(Callback):
        def on_train_begin(self, net, **kwargs):
            press()

    model = keeping(net_params={"callbacks": [AtTheStart()]})
    before = vars(model).copy()
    interrupted(model, X, y)
    assert vars(model) == before


def test_a_second_interrupt_does_not_wait_and_undoes_the_fit(sequences):
    X, y = sequences
    model = keeping(update=6, times=2)
    before = vars(model).copy()
    interrupted(model, X, y)
    assert vars(model) == before


def test_undo_is_the_default(sequences):
    X, y = sequences
    model = keeping(update=6, on_interrupt="undo")
    assert small_classifier().on_interrupt == "undo"
    before = vars(model).copy()
    interrupted(model, X, y)
    assert vars(model) == before
    with pytest.raises(ValueError, match="'on_interrupt' parameter of NTM"):
        small_classifier(on_interrupt="stop").fit(X, y)


def test_a_blend_is_judged_with_what_has_been_learned():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(30, 16, 1))
    model = keeping(small_regressor, update=3, n_convolutions=84, backend="auto")
    interrupted(model, X, X[:, 0, 0])
    assert model.convolutions_ is not None
    assert 0 <= model.network_share_ <= 1
    assert np.isfinite(model.predict(X)).all()


def test_a_stream_is_ended(sequences):
    model = interrupted(keeping(stepwise_classifier, epochs=2), tiny_copy)
    assert model.n_iter_ == 2


def test_a_search_ends_too(sequences):
    X, y = sequences
    search = GridSearchCV(keeping(update=2), {"memory_size": [4, 6]}, cv=2)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, y)
    assert not hasattr(search, "best_estimator_")


def test_an_interrupt_after_the_last_update_loses_nothing(sequences):
    X, y = sequences

    class AtTheEnd(Callback):
        def on_train_end(self, net, **kwargs):
            press()

    model = keeping(net_params={"callbacks": [AtTheEnd()]})
    interrupted(model, X, y)
    assert_same_fit(model, small_classifier(**SMALL).fit(X, y), X)


def test_partial_fit_is_undone(sequences):
    X, y = sequences
    model = keeping(update=2)
    with pytest.raises(KeyboardInterrupt):
        model.partial_fit(X, y, classes=["down", "up"])
    assert not hasattr(model, "net_")


def test_a_handler_that_does_not_raise_leaves_training_alone(sequences):
    asked = []
    before = signal.signal(signal.SIGINT, lambda signum, frame: asked.append(signum))
    try:
        assert keeping(update=6).fit(*sequences).n_iter_ == 5
    finally:
        signal.signal(signal.SIGINT, before)
    assert asked == [signal.SIGINT]


def test_callbacks_may_still_end_training(sequences):
    class Stop(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise TrainingStopped

    assert keeping(net_params={"callbacks": [Stop()]}).fit(*sequences).n_iter_ == 2


@pytest.mark.usefixtures("every_epoch")
@pytest.mark.parametrize("on_interrupt", ["undo", "keep"])
def test_with_a_checkpoint_the_same_call_goes_on(sequences, tmp_path, on_interrupt):
    X, y = sequences
    params = {"on_interrupt": on_interrupt, "max_epochs": 4}
    model = interrupted(keeping(update=11, checkpoint=tmp_path, **params), X, y)
    assert hasattr(model, "net_") == (on_interrupt == "keep")
    assert len(files_in(tmp_path)) == 1
    # Only 7 updates are left, so the callback does not press again.
    model.fit(X, y)
    assert len(Press.last.weights_) == 16 - 8
    assert files_in(tmp_path) == []
    whole = keeping(update=None, max_epochs=4).fit(X, y)
    assert_same_fit(model, whole, X)
