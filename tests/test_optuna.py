"""An Optuna study: pruning, and a process that is killed in the middle of a trial."""

import signal
import subprocess
import sys
import textwrap
import threading

import optuna
import pytest
from cluster_helpers import load_block
from helpers import environment, small_classifier, weights_of
from optuna.trial import FixedTrial, TrialState
from sklearn.base import clone
from torch import equal

from sknt.callbacks import OptunaPruning

TIMEOUT = 300
KILLED = 1
"""The number of the trial that does not end."""


@pytest.fixture(autouse=True)
def quiet():
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(level)


class Pruned:
    """A trial that is pruned at an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch
        self.reports = {}

    def report(self, value, step):
        self.reports[step] = value

    def should_prune(self):
        return len(self.reports) == self.epoch


def test_every_epoch_is_reported(sequences):
    trial = Pruned(epoch=100)
    callback = OptunaPruning(trial)
    model = small_classifier(
        early_stopping=True, warm_start=True, net_params={"callbacks": [callback]}
    )
    for _ in range(2):
        model.fit(*sequences)
    assert list(trial.reports) == list(range(1, len(model.history_) + 1))
    scores = [epoch["valid_score"] for epoch in model.history_]
    assert list(trial.reports.values()) == scores


def test_a_fit_that_is_pruned_leaves_the_estimator_as_it_was(sequences):
    trial = Pruned(epoch=100)
    params = {"callbacks": [OptunaPruning(trial, monitor="train_loss")]}
    model = small_classifier(warm_start=True, net_params=params).fit(*sequences)
    attributes, weights = vars(model).copy(), weights_of(model).clone()
    trial.reports.clear()
    trial.epoch = 2
    with pytest.raises(optuna.TrialPruned):
        model.fit(*sequences)
    assert vars(model) == attributes
    assert equal(weights_of(model), weights)
    new = small_classifier(net_params=params)
    trial.reports.clear()
    with pytest.raises(optuna.TrialPruned):
        new.fit(*sequences)
    assert not hasattr(new, "net_")


def test_clones_report_to_the_same_trial(sequences):
    trial = Pruned(epoch=1)
    callback = OptunaPruning(trial, monitor="train_loss")
    model = clone(small_classifier(net_params={"callbacks": [("pruning", callback)]}))
    with pytest.raises(optuna.TrialPruned):
        model.fit(*sequences)
    assert list(trial.reports) == [1]


@pytest.mark.parametrize("monitor", ["valid_score", "accuracy"])
def test_what_is_not_recorded_cannot_be_monitored(sequences, monitor):
    callback = OptunaPruning(Pruned(epoch=100), monitor=monitor)
    model = small_classifier(net_params={"callbacks": [callback]})
    with pytest.raises(ValueError, match=monitor):
        model.fit(*sequences)


def test_the_studys_pruner_decides(sequences):
    class Second(optuna.pruners.BasePruner):
        def prune(self, study, trial):
            return trial.last_step == 2

    def objective(trial):
        callback = OptunaPruning(trial, monitor="train_loss")
        small_classifier(net_params={"callbacks": [callback]}).fit(*sequences)

    study = optuna.create_study(pruner=Second())
    study.optimize(objective, n_trials=1)
    (trial,) = study.trials
    assert trial.state == TrialState.PRUNED
    assert list(trial.intermediate_values) == [1, 2]


@pytest.mark.slow
def test_a_study_survives_that_its_process_is_killed(tmp_path, monkeypatch):
    tune = load_block("tune.py", tmp_path, monkeypatch)
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    kill_in_the_middle(tmp_path, storage)
    before = optuna.load_study(study_name="signs", storage=storage).trials
    assert [t.state for t in before] == [TrialState.COMPLETE] * KILLED + [
        TrialState.RUNNING
    ]
    assert list(before[KILLED].intermediate_values) == [1, 2]

    study = tune.tune(storage, n_trials=3)
    assert study.trials[:KILLED] == before[:KILLED]
    assert study.trials[KILLED].state == TrialState.FAIL
    again = study.trials[KILLED + 1]
    assert again.params == before[KILLED].params
    assert again.value == tune.objective(FixedTrial(again.params))
    ended = [t for t in study.trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    assert len(ended) == 3


def kill_in_the_middle(place, storage):
    """Run the study in a process that is killed in the third epoch of a trial."""
    code = f"""
        import time
        import tune

        class Waiting(tune.OptunaPruning):
            def on_epoch_begin(self, net, **kwargs):
                if self.trial.number == {KILLED} and len(net.history) == 3:
                    print("in the middle", flush=True)
                    time.sleep({TIMEOUT})

        tune.OptunaPruning = Waiting
        tune.tune({storage!r}, n_trials=3)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=place,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    timer = threading.Timer(TIMEOUT, process.kill)
    timer.start()
    try:
        assert process.stdout.readline().strip() == "in the middle", process.stderr.read()
        process.kill()
        process.communicate()
    finally:
        timer.cancel()
        process.kill()
    assert process.returncode == -signal.SIGKILL
