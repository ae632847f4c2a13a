"""Callbacks that record each epoch, show it, or end training after it."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback
from tqdm.auto import tqdm

from sknt.training.interrupts import TrainingStopped


class EpochRecord(Callback):
    """Record how far training has come: ``n_sequences`` and, if any, its ``phase``."""

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Record it."""
        net.history.record("n_sequences", net.progress_.n_sequences)
        if net.plan_.consolidates:
            net.history.record("phase", net.progress_.phase)


class EndWhenLearned(Callback):
    """End training once the task is learned and consolidated."""

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """End it in that case."""
        if net.progress_.phase == "learned":
            raise TrainingStopped


class ValidationScore(Callback):
    """Record the score of each epoch's validation predictions as ``valid_score``.

    Parameters
    ----------
    score : callable
        ``score(targets, outputs, valid) -> float`` on all held-out entries: arrays
        of shape (n_entries, [n_outputs]).
    """

    def __init__(self, score: Callable[..., float]):
        self.score = score

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Start an empty list."""
        self.batches_: list[tuple[Any, ...]] = []

    def on_batch_end(
        self, net: Any, batch: Any, training: bool, y_pred: Any = None, **kwargs: Any
    ) -> None:
        """Collect the predictions of a validation batch."""
        if not training:
            x, target = batch
            entries = (target, y_pred.detach().cpu().double(), x["weight"] > 0)
            if net.per_step:
                entries = tuple(part.flatten(0, 1) for part in entries)
            self.batches_.append(entries)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Record the score."""
        targets, outputs, valid = (
            torch.cat(parts).numpy() for parts in zip(*self.batches_, strict=True)
        )
        finite = np.isfinite(outputs).all()
        score = self.score(targets, outputs, valid) if finite else math.nan
        net.history.record("valid_score", score)


class EpochProgress(Callback):
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

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Advance by an epoch."""
        record = net.history[-1]
        names = {"train_loss": "loss", "valid_score": "validation score"}
        shown = {names[k]: f"{record[k]:.4g}" for k in names if k in record}
        if net.progress_.mean_loss is not None:
            shown["of guessing"] = f"{net.progress_.mean_loss:.1%}"
        self.bar_.set_postfix(shown, refresh=False)
        self.bar_.update()

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Leave the bar as it is."""
        self.bar_.close()


class ScikitLearnCallbacks(Callback):
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
