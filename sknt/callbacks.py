"""What happens around the epochs of a fit, as skorch callbacks."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback
from torch.nn.utils import clip_grad_norm_
from tqdm.auto import tqdm


class TrainingGuard(Callback):
    """Clip gradients, keep the best weights, and never let a number become non-finite.

    Training stops as soon as a loss, a gradient or a weight is not finite: a warning
    says so, and the best finite weights come back.

    Parameters
    ----------
    max_grad_norm : float or None
        Gradients whose global norm is larger are scaled down to it.
    restore_best : bool, default=False
        Whether the best weights come back after a training without trouble, too.

    Notes
    -----
    Best is the highest validation score (of equal ones, the lowest validation loss), or
    the lowest training loss where nothing is held out.
    """

    def __init__(self, max_grad_norm: float | None, restore_best: bool = False):
        self.max_grad_norm = max_grad_norm
        self.restore_best = restore_best

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Remember the weights to fall back to."""
        self.failure_ = ""
        self.best_ = [-math.inf]
        self.n_epochs_ = self.best_epoch_ = len(net.history)
        self.snapshot_ = net.snapshot()
        self.parameters_ = [p for _, p in net.get_all_learnable_params()]

    def on_grad_computed(self, net: Any, **kwargs: Any) -> None:
        """Clip the gradient, or stop before a bad one is used."""
        limit = math.inf if self.max_grad_norm is None else self.max_grad_norm
        norm = clip_grad_norm_(self.parameters_, limit)
        if not math.isfinite(norm):
            self._stop("the gradient", net)

    def on_batch_end(self, net: Any, training: bool, loss: Any, **kwargs: Any) -> None:
        """Stop at a loss that is not finite."""
        if training and not math.isfinite(loss.detach()):
            self._stop("the loss", net)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Keep the weights if they are finite and the best so far."""
        if not all(torch.isfinite(p).all() for p in net.module_.parameters()):
            self._stop("a weight", net)
        self.n_epochs_ = len(net.history)
        record = net.history[-1]
        quality = [-record[loss] for loss in ("valid_loss", "train_loss") if loss in record]
        if "valid_score" in record:
            score = record["valid_score"]
            quality.insert(0, -math.inf if math.isnan(score) else score)
        quality = quality or [self.n_epochs_]  # nothing is recorded: the last is best
        if quality > self.best_:
            self.best_, self.best_epoch_ = quality, len(net.history)
            self.snapshot_ = net.snapshot()

    def _stop(self, what: str, net: Any) -> None:
        self.failure_ = f"{what} became non-finite in epoch {len(net.history)}"
        raise KeyboardInterrupt  # skorch's way to end a training

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Bring the best weights back if need be."""
        if self.failure_ or self.restore_best:
            net.restore(self.snapshot_)
        del net.history[self.n_epochs_ :]  # an epoch that was not finished
        if self.failure_:
            warnings.warn(
                f"Training stopped: {self.failure_}. The best finite weights, those "
                f"after epoch {self.best_epoch_}, are restored. Lower learning_rate or "
                "max_grad_norm, or scale the inputs and targets",
                ConvergenceWarning,
                stacklevel=2,
            )


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
            entries = (target, y_pred.detach().cpu(), x["weight"] > 0)
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
    """A progress bar of the epochs, with loss, validation score and time left.

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
        self.bar_ = tqdm(total=self.n_epochs, desc=self.name, unit="epoch")

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Advance by an epoch."""
        record = net.history[-1]
        names = {"train_loss": "loss", "valid_score": "validation score"}
        shown = {names[k]: f"{record[k]:.4g}" for k in names if k in record}
        self.bar_.set_postfix(shown, refresh=False)
        self.bar_.update()

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Leave the bar as it is."""
        self.bar_.close()


class ScikitLearnCallbacks(Callback):
    """Tell scikit-learn's own callbacks of each epoch.

    Parameters
    ----------
    begin : callable
        Called without arguments at each epoch's begin; returns the task's context.
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
            raise KeyboardInterrupt  # skorch's way to end a training
