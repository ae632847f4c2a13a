"""What tells a fit from all others, so that the same call goes on with it."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from sknt._settings import Settings
from sknt.storage.checkpoints import CheckpointFile
from sknt.training.identity import digest, environment
from sknt.training.net import SequenceNet
from sknt.training.ongoing import OngoingFit
from sknt.training.running import callback_states

NOT_OF_THE_RESULT = ("checkpoint", "on_interrupt", "random_state", "verbose")
"""Parameters that do not change what a fit gives; of random_state, the seeds do."""

FORMAT = 1
"""Increases when the state in a checkpoint means something else."""


class Resuming(Settings):
    """Fits that are kept in the directory ``checkpoint``."""

    _held_out_seed: int

    def _ongoing_fit(
        self,
        source: Any,
        seeds: Sequence[int],
        net: SequenceNet | None,
        *others: Any,
        partial: bool = False,
    ) -> OngoingFit:
        """Return the fit that is about to train, as far as it has come.

        Parameters
        ----------
        source : TrainingData or callable
            What is trained on.
        seeds : sequence of int
            Those that this call has drawn.
        net : SequenceNet or None
            That of the last fit, if training continues with it.
        *others : object
            Whatever else the result depends on, beside the estimator's parameters.
        partial : bool, default=False
            Whether it is a single epoch, which is not kept.
        """
        self._check_processes()
        if self.checkpoint is None or partial:
            return OngoingFit(seeds)
        if isinstance(source, Iterator) and not callable(source):
            raise ValueError(
                "an iterator cannot be kept in a checkpoint, because another process would "
                "begin it anew; give a function that is called with random_state for each "
                "epoch, such as sknt.datasets.make_copy, or checkpoint=None"
            )
        any_seeds = self.random_state is None or self.random_state is np.random
        params = self.get_params(deep=False)
        key = digest(
            FORMAT,
            environment(),
            f"{type(self).__module__}.{type(self).__qualname__}",
            {name: p for name, p in params.items() if name not in NOT_OF_THE_RESULT},
            "any" if any_seeds else list(seeds),
            None if net is None else [_learned(net), self._held_out_seed],
            source,
            others,
        )
        file = CheckpointFile(self.checkpoint, key)
        return OngoingFit(seeds, file, continues_any=any_seeds)

    def _check_processes(self) -> None:
        """Refuse what each of several processes would decide for itself."""
        if "accelerator" not in (self.net_params or {}):
            return
        for name, off in (("checkpoint", None), ("on_interrupt", "undo")):
            value = getattr(self, name)
            if value != off:
                raise ValueError(
                    f"{name}={value!r} is not supported for a fit by several processes; "
                    f"use {name}={off!r} with net_params that have an accelerator"
                )


def _learned(net: SequenceNet) -> dict[str, Any]:
    """Return a net's state, as it is in every process in which it has learned the same.

    The seconds that an epoch took are not part of it, nor is what callbacks refer to
    without keeping it.
    """
    state = net.__getstate__()
    history = [{k: v for k, v in epoch.items() if k != "dur"} for epoch in state["history"]]
    params = {k: v for k, v in state["params"].items() if k != "callbacks"}
    callbacks = callback_states(net)
    return state | {"params": params, "history": history, "callbacks": callbacks}
