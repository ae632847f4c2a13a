"""Callbacks that record each epoch, show it, or end training after it."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from sknt.training.guard import TrainingGuard
from sknt.training.interrupts import Interrupts, TrainingStopped
from sknt.training.running import Stateless


class EpochRecord(Stateless):
    """Record how far training has come: ``n_sequences`` and, if any, its ``phase``."""

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Record it."""
        net.history.record("n_sequences", net.progress_.n_sequences)
        if net.plan_.consolidates:
            net.history.record("phase", net.progress_.phase)


class EndWhenInterrupted(Stateless):
    """End training before the next update after Ctrl-C, and keep what was learned.

    Parameters
    ----------
    interrupts : Interrupts
        Which defers an interrupt from now on.
    guard : TrainingGuard
    """

    def __init__(self, interrupts: Interrupts, guard: TrainingGuard):
        self.interrupts = interrupts
        self.guard = guard

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Let interrupts wait."""
        self.interrupts.defer()

    def on_batch_begin(self, net: Any, training: bool, **kwargs: Any) -> None:
        """End it, unless there is nothing to keep."""
        if not training or self.interrupts.deferred is None:
            return
        if net.progress_.n_updates == net.plan_.n_first_updates:
            raise self.interrupts.deferred
        self.guard.end_early()
        raise TrainingStopped


class EndWhenLearned(Stateless):
    """End training once the task is learned and consolidated."""

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """End it in that case."""
        if net.progress_.phase == "learned":
            raise TrainingStopped


class ValidationScore(Stateless):
    """Record the score of each epoch's validation predictions as ``valid_score``.

    Parameters
    ----------
    score : callable
        ``score(targets, outputs, valid, weights) -> float`` on all held-out entries: arrays
        of shape (n_entries, [n_outputs]). The weights are None unless they count.
    weighted : bool, default=False
        Whether entries count by their weights; otherwise, all with a target count equally.
    """

    def __init__(self, score: Callable[..., float], *, weighted: bool = False):
        self.score = score
        self.weighted = weighted

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Start an empty list."""
        self.batches_: list[tuple[Any, ...]] = []

    def on_batch_end(
        self, net: Any, batch: Any, training: bool, y_pred: Any = None, **kwargs: Any
    ) -> None:
        """Collect the predictions of a validation batch."""
        if not training:
            x, target = batch
            entries = (target, y_pred.detach().cpu().double(), x["weight"])
            if net.per_step:
                entries = tuple(part.flatten(0, 1) for part in entries)
            self.batches_.append(entries)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Record the score."""
        targets, outputs, weights = (
            torch.cat(parts).numpy() for parts in zip(*self.batches_, strict=True)
        )
        finite = np.isfinite(outputs).all()
        score = math.nan
        if finite:
            counted = weights if self.weighted else None
            score = self.score(targets, outputs, weights > 0, counted)
        net.history.record("valid_score", score)


class EpochProgress(Stateless):
    """A progress bar over the epochs, with loss, validation score and time left.

    The loss is also shown as a percentage of the loss of guessing from the distribution of
    the targets alone.

    Parameters
    ----------
    n_epochs : int
    name : str
        Shown before the bar.
    """

    def __init__(self, n_epochs: int, name: str):
        self.n_epochs = n_epochs
        self.name = name

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Show the empty bar."""
        is_shown = net.processes_ is None or net.processes_.is_first
        self.bar_ = tqdm(
            total=self.n_epochs, desc=self.name, unit="epoch", disable=not is_shown
        )
        self.n_first_ = len(net.history)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Advance by an epoch."""
        record = net.history[-1]
        names = {"train_loss": "loss", "valid_score": "validation score"}
        shown = {names[k]: f"{record[k]:.4g}" for k in names if k in record}
        if net.progress_.mean_loss is not None:
            shown["of guessing"] = f"{net.progress_.mean_loss:.1%}"
        self.bar_.set_postfix(shown, refresh=False)
        # By more than one if the first epochs were trained before this call.
        self.bar_.update(len(net.history) - self.n_first_ - self.bar_.n)

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Leave the bar as it is."""
        self.bar_.close()


class ScikitLearnCallbacks(Stateless):
    """Notify scikit-learn's own callbacks of each epoch.

    Parameters
    ----------
    begin : callable
        Called without arguments when an epoch begins; returns the task's context.
    end : callable
        Called with that context at each epoch's end; training stops if it returns True.
    """

    def __init__(self, begin: Callable[[], Any], end: Callable[[Any], bool]):
        self.begin = begin
        self.end = end

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Begin the epoch's task."""
        self.context_ = self.begin()

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """End the epoch's task."""
        if self.end(self.context_):
            raise TrainingStopped
