"""A trial of a study goes on with the fit of a trial that was killed."""

import pytest
from checkpoint_helpers import (
    Kill,
    Killed,
    assert_same_fit,
    every_epoch,  # noqa: F401
    files_in,
    with_kill,
)
from helpers import small_classifier

from sknt.callbacks import OptunaPruning

pytestmark = pytest.mark.usefixtures("every_epoch")


class Trial:
    """A trial, one of others in the same study."""

    def __init__(self, number):
        self.number = number
        self.reported = []

    def report(self, value, step):
        self.reported.append(step)

    def should_prune(self):
        return False


def fit(sequences, trial, folder):
    model = small_classifier(
        backend="reference",
        early_stopping=True,
        max_epochs=4,
        net_params={"callbacks": [OptunaPruning(trial)]},
    )
    return with_kill(model, checkpoint=folder).fit(*sequences)


def test_the_next_trial_goes_on_with_the_fit_of_one_that_was_killed(sequences, tmp_path):
    whole = fit(sequences, Trial(0), None)
    n_updates = whole.net_.progress_.n_updates
    Kill.before(n_updates - 1)
    try:
        with pytest.raises(Killed):
            fit(sequences, Trial(1), tmp_path)
    finally:
        Kill.before(None)
    trial = Trial(2)
    resumed = fit(sequences, trial, tmp_path)
    assert trial.reported == [4]  # the only epoch that was left
    assert files_in(tmp_path) == []
    assert_same_fit(whole, resumed, sequences[0])
