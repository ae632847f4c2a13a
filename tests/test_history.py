"""The history, the progress shown, and scikit-learn's callbacks."""

import re

from helpers import small_classifier
from sklearn.callback import ProgressBar, ScoringMonitor


def test_history_has_a_record_for_each_epoch(sequences):
    X, y = sequences
    model = small_classifier().fit(X, y)
    assert [record["epoch"] for record in model.history_] == [1, 2, 3]
    assert model.n_iter_ == 3
    losses = [record["train_loss"] for record in model.history_]
    assert losses[-1] < losses[0]


def test_progress_shows_loss_validation_score_and_time_left(sequences, capsys):
    X, y = sequences
    small_classifier(early_stopping=True, verbose=1).fit(X, y)
    shown = capsys.readouterr().err
    assert re.search(r"NTMSequenceClassifier: 100%.*3/3 \[\d\d:\d\d<\d\d:\d\d", shown)
    assert re.search(r"loss=[\d.]+, validation score=[\d.]+", shown)
    small_classifier().fit(X, y)
    assert capsys.readouterr().err == ""


def test_scikit_learns_callbacks_see_every_epoch(sequences, capsys):
    X, y = sequences
    monitor = ScoringMonitor(scoring="accuracy")
    constant = {"schedule": "constant"}  # the same rates whatever max_epochs is
    model = small_classifier(**constant).set_callbacks(monitor, ProgressBar()).fit(X, y)
    log = [row["accuracy"] for row in monitor.get_logs().data if "accuracy" in row]
    epochs = [
        small_classifier(max_epochs=n, **constant).fit(X, y).score(X, y) for n in (1, 2, 3)
    ]
    assert log[:3] == epochs
    assert "NTMSequenceClassifier" in capsys.readouterr().out
    assert model.score(X, y) == epochs[-1]


def test_a_callback_can_stop_the_training(sequences):
    class StopAtOnce:
        def setup(self, estimator, context): ...

        def teardown(self, estimator, context): ...

        def on_fit_task_begin(self, estimator, context): ...

        def on_fit_task_end(self, estimator, context):
            return True

    model = small_classifier().set_callbacks(StopAtOnce()).fit(*sequences)
    assert model.n_iter_ == 1
