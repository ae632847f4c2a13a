"""Fits that continue others are found again in another process, too."""

import pytest
import torch
from checkpoint_helpers import (
    Kill,
    Killed,
    assert_same_fit,
    every_epoch,  # noqa: F401
    files_in,
    with_kill,
)
from helpers import small_classifier
from sklearn.model_selection import KFold
from skorch.callbacks import Callback, EarlyStopping, LRScheduler, ProgressBar

from sknt.model_selection import EpochHalvingSearchCV
from sknt.training.identity import digest

pytestmark = pytest.mark.usefixtures("every_epoch")

REFERENCE = {"backend": "reference", "hidden_size": 4, "n_convolutions": 0, "batch_size": 8}


class RefersToNet(Callback):
    def on_train_begin(self, net, **kwargs):
        self.net_ = net


CALLBACKS = {
    "none": list,
    "schedule": lambda: [LRScheduler("StepLR", step_size=1)],
    "stopping": lambda: [EarlyStopping(monitor="train_loss")],
    "bar": lambda: [ProgressBar()],
    "net": lambda: [RefersToNet()],
}


def updates_until_the_end(run):
    """Run to the end; return what it returns, and the number of updates."""
    Kill.before(10**6)
    try:
        return run(), 10**6 - Kill.left
    finally:
        Kill.before(None)


def kill(run, n):
    Kill.before(n)
    try:
        with pytest.raises(Killed):
            run()
    finally:
        Kill.before(None)


@pytest.mark.parametrize("name", CALLBACKS)
def test_a_script_of_two_fits_goes_on_with_the_second(sequences, tmp_path, name):
    X, y = sequences

    def script(folder=tmp_path):
        model = small_classifier(**REFERENCE, max_epochs=3, warm_start=True)
        model.set_params(net_params={"callbacks": CALLBACKS[name]()})
        model = with_kill(model, checkpoint=folder)
        return model.fit(X, y).fit(X, y)

    whole, n_updates = updates_until_the_end(lambda: script(None))
    kill(script, n_updates - 1)
    assert len(files_in(tmp_path)) == 1
    resumed, n_left = updates_until_the_end(script)
    per_epoch = n_updates // 6
    assert n_left == n_updates - 2 * per_epoch  # all of the first fit, one epoch of both
    assert files_in(tmp_path) == []
    assert_same_fit(whole, resumed, X)


def test_a_search_in_rounds_goes_on_with_the_fit_that_was_killed(sequences, tmp_path):
    X, y = sequences

    def search():
        model = with_kill(small_classifier(**REFERENCE), checkpoint=tmp_path)
        grid = {"learning_rate": [0.001, 0.01]}
        return EpochHalvingSearchCV(
            model, grid, min_epochs=2, max_epochs=6, factor=3, cv=KFold(2), refit=False
        ).fit(X, y)

    whole, n_updates = updates_until_the_end(search)
    kill(search, n_updates - 1)
    resumed, n_left = updates_until_the_end(search)
    assert n_left < n_updates
    assert files_in(tmp_path) == []
    assert (
        whole.cv_results_["mean_test_score"] == resumed.cv_results_["mean_test_score"]
    ).all()


def test_a_digest_of_what_refers_to_itself_through_dictionaries_and_sets_ends():
    def make(number):
        module = torch.nn.Identity()
        module.parts = {"owner": module, "number": number}
        return module

    assert digest(make(1)) == digest(make(1)) != digest(make(2))
