"""The callback that keeps every number finite during training."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback
from torch import Tensor

from sknt.training.clipping import global_norm, scale_down
from sknt.training.interrupts import TrainingFailed

MAX_SKIPPED = 10
"""Training stops after this many skipped updates in a row."""


class TrainingGuard(Callback):
    """Clip gradients, keep the best weights, and never let a number become non-finite.

    An update whose gradient is not finite is skipped. Training stops when that happens ten
    times in a row or throughout an epoch, or when a weight is not finite. A warning then
    says so, and the best finite weights are restored.

    Parameters
    ----------
    max_grad_norm : float or None
        Gradients whose global norm is larger are scaled down to it.
    gradient_norms : callable
        Called without arguments when an epoch's largest gradient is in place; returns the
        norms of its parts by name.
    restore_best : bool, default=False
        Whether to restore the best weights even if nothing became non-finite.

    Notes
    -----
    The best weights are those of the highest validation score (on a tie, of the lowest
    validation loss), or of the lowest training loss where nothing is held out.

    The history has, for each epoch, ``grad_norm``, the largest norm of a gradient before
    clipping; ``grad_source``, the part of the network that most of it comes from; and
    ``n_clipped`` and ``n_skipped``, the numbers of updates scaled down and skipped. After
    a stop, ``guard`` in the last finished epoch (or, if there is none, in an epoch 0) says
    what was done.
    """

    def __init__(
        self,
        max_grad_norm: float | None,
        gradient_norms: Callable[[], dict[str, float]],
        restore_best: bool = False,
    ):
        self.max_grad_norm = max_grad_norm
        self.gradient_norms = gradient_norms
        self.restore_best = restore_best

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Remember the weights to fall back to."""
        self.failure_ = ""
        self.best_ = [-math.inf]
        self.n_epochs_ = self.best_epoch_ = len(net.history)
        self.snapshot_ = net.snapshot()
        self.parameters_ = [p for _, p in net.get_all_learnable_params()]
        self.n_in_a_row_ = 0
        self.is_validated_ = False

    def state_dict(self) -> dict[str, Any]:
        """Return what it remembers from one epoch to the next."""
        return {
            "best": list(self.best_),
            "best_epoch": self.best_epoch_,
            "n_epochs": self.n_epochs_,
            "n_in_a_row": self.n_in_a_row_,
            "is_validated": self.is_validated_,
            "snapshot": self.snapshot_,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Remember it."""
        self.best_, self.best_epoch_ = state["best"], state["best_epoch"]
        self.n_epochs_, self.n_in_a_row_ = state["n_epochs"], state["n_in_a_row"]
        self.is_validated_, self.snapshot_ = state["is_validated"], state["snapshot"]

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Reset the counts."""
        self.largest_ = 0.0
        self.largest_gradient_: list[Tensor | None] = []
        self.n_updates_ = self.n_clipped_ = self.n_skipped_ = 0

    def on_grad_computed(self, net: Any, **kwargs: Any) -> None:
        """Clip the gradient, or skip the update if it is not finite."""
        gradients = [p.grad for p in self.parameters_ if p.grad is not None]
        norm = global_norm(gradients)
        if not math.isfinite(norm):
            self.n_skipped_ += 1
            self.n_in_a_row_ += 1
            for parameter in self.parameters_:
                parameter.grad = None
            if self.n_in_a_row_ == MAX_SKIPPED:
                self._stop("the gradient", net)
            return
        self.n_updates_ += 1
        self.n_in_a_row_ = 0
        if norm > self.largest_:
            self.largest_ = norm
            self.largest_gradient_ = [
                None if p.grad is None else p.grad.clone() for p in self.parameters_
            ]
        if self.max_grad_norm is not None and norm > self.max_grad_norm:
            self.n_clipped_ += 1
            scale_down(gradients, self.max_grad_norm, norm)

    def on_batch_end(self, net: Any, training: bool, loss: Any, **kwargs: Any) -> None:
        """Leave a non-finite loss out of the epoch's mean."""
        if training and not math.isfinite(loss.detach()):
            net.history[-1]["batches"].pop()

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Keep the weights if they are finite and the best so far."""
        if not all(torch.isfinite(p).all() for p in net.module_.parameters()):
            self._stop("a weight", net)
        if self.n_skipped_ and not self.n_updates_:
            self._stop("the gradient", net)
        self.n_epochs_ = len(net.history)
        record = net.history[-1]
        record["grad_norm"], record["grad_source"] = self.largest_, self._source()
        record["n_clipped"], record["n_skipped"] = self.n_clipped_, self.n_skipped_
        quality = [-record[loss] for loss in ("valid_loss", "train_loss") if loss in record]
        if "valid_score" in record:
            score = record["valid_score"]
            quality.insert(0, -math.inf if math.isnan(score) else score)
        self.is_validated_ = "valid_score" in record or "valid_loss" in record
        quality = quality or [self.n_epochs_]  # nothing is recorded: the last is best
        if quality > self.best_:
            self.best_, self.best_epoch_ = quality, len(net.history)
            self.snapshot_ = net.snapshot()

    def end_early(self) -> None:
        """Keep what is best so far, as training ends before its time.

        That is the best weights where anything is held out. Otherwise it is the last ones,
        because losses in training cannot be compared: with a curriculum, the first are the
        smallest.
        """
        self.restore_best = self.restore_best or self.is_validated_

    def _source(self) -> str:
        """Return the part that most of the epoch's largest gradient comes from."""
        if not self.largest_:
            return ""
        last = [p.grad for p in self.parameters_]
        self._set_gradient(self.largest_gradient_)
        try:
            norms = self.gradient_norms()
        finally:
            self._set_gradient(last)
        return max(norms, key=lambda name: norms[name])

    def _set_gradient(self, gradient: Sequence[Tensor | None]) -> None:
        for parameter, part in zip(self.parameters_, gradient, strict=True):
            parameter.grad = part

    def _stop(self, what: str, net: Any) -> None:
        self.failure_ = f"{what} became non-finite in epoch {len(net.history)}"
        raise TrainingFailed

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Restore the best weights if needed."""
        if self.failure_ or self.restore_best:
            net.restore(self.snapshot_)
        del net.history[self.n_epochs_ :]  # an epoch that was not finished
        if self.failure_:
            if not net.history:
                net.history.new_epoch()
                net.history.record("epoch", 0)
            done = f"the weights after epoch {self.best_epoch_} are restored"
            net.history.record("guard", f"{self.failure_}; {done}")
            warnings.warn(
                f"Training stopped: {self.failure_}. The best finite weights, those "
                f"after epoch {self.best_epoch_}, are restored. Lower learning_rate or "
                "max_grad_norm, or scale the inputs and targets",
                ConvergenceWarning,
                stacklevel=2,
            )
