"""The loop over the batches of an epoch, and what surrounds each update in it.

It does what skorch's loop does. With a small network, that takes as long as the network
itself, so whatever would change nothing is left out: calls to callbacks that do not listen
to an event, and switches to a mode that all modules are in.
"""

from typing import Any

import torch
from skorch.callbacks import Callback
from torch import nn

from sknt.training.batches import SequenceBatches
from sknt.training.interrupts import TrainingFailed, TrainingStopped, is_from_user


class UpdatesInBatches:
    """Epochs of a skorch net, batch by batch."""

    module_: Any
    criterion_: Any
    optimizer_: Any
    history: Any
    callbacks_: list[tuple[str, Any]]

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any
    ) -> None:
        """Train or validate on all batches, and record loss and size of each."""
        if not isinstance(iterator, SequenceBatches):
            super().run_single_epoch(  # type: ignore[misc]
                iterator, training=training, prefix=prefix, step_fn=step_fn, **fit_params
            )
            return
        n_batches = 0
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            record = self.history[-1]["batches"][-1]
            record[f"{prefix}_loss"] = step["loss"].item()
            record[f"{prefix}_batch_size"] = len(batch[1])
            self.notify("on_batch_end", batch=batch, training=training, **step)
            n_batches += 1
        self.history.record(f"{prefix}_batch_count", n_batches)

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call the callbacks that listen, and stop if one of them asked for it.

        A user's interrupt propagates at once, wherever it arrives.
        """
        getattr(self, method_name)(self, **cb_kwargs)
        stop: KeyboardInterrupt | None = None
        for _, callback in self.callbacks_:
            if not _listens(callback, method_name):
                continue
            try:
                getattr(callback, method_name)(self, **cb_kwargs)
            except TrainingFailed:
                raise
            except KeyboardInterrupt as interrupt:
                if is_from_user(interrupt):
                    if isinstance(interrupt, TrainingStopped):  # which would end quietly
                        raise KeyboardInterrupt from interrupt
                    raise
                stop = interrupt
        if stop is not None:
            raise TrainingStopped from stop

    def _set_training(self, training: bool = True) -> None:
        """Switch module and criterion to training or evaluation, unless they are in it."""
        for module in (self.module_, self.criterion_):
            if isinstance(module, nn.Module) and any(
                part.training is not training for part in module.modules()
            ):
                module.train(training)

    def _zero_grad_optimizer(self, set_to_none: bool | None = None) -> None:
        """Forget the gradient of the last update."""
        zero_grad = self.optimizer_.zero_grad
        if getattr(zero_grad, "__func__", None) is not torch.optim.Optimizer.zero_grad:
            super()._zero_grad_optimizer(set_to_none)  # type: ignore[misc]
            return
        for group in self.optimizer_.param_groups:
            for parameter in group["params"]:
                parameter.grad = None


def _listens(callback: Any, event: str) -> bool:
    """Return whether a callback does anything at an event."""
    own = getattr(type(callback), event, None) is not getattr(Callback, event, None)
    return own or event in vars(callback)
