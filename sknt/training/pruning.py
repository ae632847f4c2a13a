"""Ending trials of an Optuna study that promise little."""

from typing import Any

from skorch.callbacks import Callback


class OptunaPruning(Callback):
    """Report each epoch's score to an Optuna trial, and end a fit that is to be pruned.

    Such a fit raises ``optuna.TrialPruned``, which the study expects, and leaves the
    estimator as it was before.

    Parameters
    ----------
    trial : optuna.trial.Trial
    monitor : str, default="valid_score"
        What of the history to report: "valid_score" or "valid_loss", which need held-out
        sequences (``early_stopping=True``), or another number that each epoch has. The
        study's ``direction`` says whether it is to be large or small: "maximize" for
        scores, "minimize" for losses.

    Notes
    -----
    The step of a report is the number of epochs so far, those of earlier fits included if
    a fit continues with ``warm_start``. One trial can report one fit: in a
    cross-validation, give the callback to the first fold alone.

    Examples
    --------
    >>> import optuna
    >>> from sknt import NTMSequenceClassifier
    >>> from sknt.callbacks import OptunaPruning
    >>> def objective(trial):
    ...     model = NTMSequenceClassifier(
    ...         learning_rate=trial.suggest_float("learning_rate", 1e-3, 1e-1, log=True),
    ...         early_stopping=True,
    ...         net_params={"callbacks": [OptunaPruning(trial)]},
    ...     )
    ...     model.fit(X, y)
    ...     return max(epoch["valid_score"] for epoch in model.history_)
    """

    def __init__(self, trial: Any, monitor: str = "valid_score"):
        self.trial = trial
        self.monitor = monitor

    def __deepcopy__(self, memo: dict[int, Any]) -> "OptunaPruning":
        """Return a callback of the same trial, which cannot be copied with its study."""
        return type(self)(self.trial, self.monitor)

    def __sklearn_clone__(self) -> "OptunaPruning":
        return type(self)(self.trial, self.monitor)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Report the epoch, and end the fit if the study's pruner says so."""
        record = net.history[-1]
        if self.monitor not in record:
            raise ValueError(
                f"OptunaPruning monitors {self.monitor!r}, which the history does not "
                f"have; it has {sorted(set(record) - {'batches'})}"
            )
        self._check_direction()
        self.trial.report(record[self.monitor], step=len(net.history))
        if self.trial.should_prune():
            from optuna import TrialPruned

            raise TrialPruned

    def _check_direction(self) -> None:
        """Refuse a study in which the pruner would end the best fits."""
        better = {"valid_score": "maximize", "valid_loss": "minimize"}.get(self.monitor)
        directions = getattr(getattr(self.trial, "study", None), "directions", ())
        if better and [own.name.lower() for own in directions] not in ([], [better]):
            raise ValueError(
                f"OptunaPruning reports {self.monitor!r}, by which a pruner can judge only "
                f"in a study with direction={better!r}; create the study so, or monitor "
                "another number"
            )
