"""Training, in a transaction: it either completes or leaves everything as it was."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback
from skorch.callbacks.scoring import ScoringBase
from skorch.helper import predefined_split
from torch.utils.data import Dataset

from sknt._runtime import single_threaded
from sknt.training.batches import SequenceDataset
from sknt.training.checkpoint import Checkpoint
from sknt.training.data import TrainingData
from sknt.training.interrupts import Interrupts, TrainingStopped
from sknt.training.net import SequenceNet
from sknt.training.ongoing import OngoingFit
from sknt.training.processes import processes_of
from sknt.training.progress import Plan, Update

RECORDERS = ("epoch_timer", "train_loss", "valid_loss")
"""skorch's callbacks that write an epoch's numbers to the history."""


@contextmanager
def transaction(estimator: Any, net: SequenceNet | None) -> Iterator[Interrupts]:
    """Undo everything done inside the block if it fails or is interrupted.

    The estimator gets its attributes back, and the net that it continues to train its
    earlier state: weights, optimizer, progress, history, callbacks, generators. The
    rollback itself cannot be interrupted. This is the one place where a failed fit is
    undone. An interrupt that has been deferred is raised at the end of the block, and
    undoes nothing.

    Parameters
    ----------
    estimator : estimator
        With an attribute ``random_state``.
    net : SequenceNet or None
        The estimator's net, if training continues with it.

    Yields
    ------
    interrupts : Interrupts
    """
    attributes = vars(estimator).copy()
    generators = [attributes["random_state"]]
    checkpoint = None
    if net is not None:
        generators.append(getattr(net, "iterator_train__random_state", None))
        checkpoint = Checkpoint(net)
    generators = [g for g in generators if isinstance(g, np.random.RandomState)]
    states = [generator.get_state() for generator in generators]
    interrupts = Interrupts()
    with interrupts.watched():
        try:
            with interrupts.held():
                _import_lazy_modules()
            yield interrupts
        except BaseException:
            with interrupts.held():
                estimator.__dict__ = attributes
                for generator, state in zip(generators, states, strict=True):
                    generator.set_state(state)
                if checkpoint is not None:
                    checkpoint.restore()
            raise
        if interrupts.deferred is not None:
            raise interrupts.deferred


def _import_lazy_modules() -> None:
    """Let torch import what its first optimizer needs.

    An interrupt in the middle of these imports would leave modules that are imported in
    part, with which no later fit could work.
    """
    torch.optim.SGD([torch.zeros(1, requires_grad=True)])


def train(
    net: SequenceNet,
    parts: Iterable[tuple[TrainingData, int]],
    held_out: SequenceDataset | None,
    *,
    plan: Plan,
    encode: Callable[[Dataset], Dataset],
    learning_rate: float,
    batch_size: int,
    input_noise: float,
    callbacks: Sequence[Callback],
    stoppers: Sequence[Callback],
    ongoing: OngoingFit,
) -> None:
    """Train a net.

    Parameters
    ----------
    net : SequenceNet
    parts : iterable of TrainingData and int
        Data, and the number of epochs to train on them.
    held_out : SequenceDataset or None
        Data to validate each epoch on; None leaves that to the net's own ``train_split``.
    plan : Plan
    encode : callable
        Turns a data set of pairs (X, y) from a ``train_split`` into packed sequences.
    learning_rate : float
    batch_size : int
    input_noise : float
    callbacks, stoppers : sequence of skorch callbacks
        For this call alone: those called before the user's own, and those called after.
    ongoing : OngoingFit
        Where to go on, and the file to keep the training in.
    """
    own = net.callbacks_, net.train_split
    recorders = [pair for pair in net.callbacks_ if pair[0] in RECORDERS]
    users = [pair for pair in net.callbacks_ if pair[0] not in RECORDERS]
    net.batch_size, net.input_noise = batch_size, input_noise
    if learning_rate != net.lr:
        net.set_learning_rate(learning_rate)
    try:
        net.plan_, net.encode_ = plan, encode
        net.processes_ = processes_of(net.accelerator)
        first, last = _named(ongoing.callbacks()), _named(stoppers)
        net.callbacks_ = [*first, *recorders, *_named(callbacks), *users, *last]
        if held_out is not None:
            net.train_split = predefined_split(held_out)
        _check_monitors(users, bool(net.train_split))
        _check_scoring(users, held_out)
        with single_threaded():
            with suppress(TrainingStopped):
                net.notify("on_train_begin", X=None, y=None)
                ongoing.resume(net)
                for data, n_epochs in parts:
                    dataset = data.dataset()
                    _check_scoring(users, dataset)
                    if net.processes_ is not None:
                        watched = [] if held_out is None else [held_out]
                        net.processes_.check_alike(net.module_, dataset, *watched)
                    net.fit_loop(dataset, epochs=n_epochs)
            with suppress(TrainingStopped):
                net.notify("on_train_end", X=None, y=None)
    finally:
        net.callbacks_, net.train_split = own
        net.plan_, net.update_, net.encode_ = Plan(), Update(), None
        net.processes_ = None


def _named(callbacks: Sequence[Callback]) -> list[tuple[str, Callback]]:
    return [(type(callback).__name__, callback) for callback in callbacks]


def _check_monitors(users: Sequence[tuple[str, Callback]], validates: bool) -> None:
    """Refuse callbacks that monitor validation results where there will be none."""
    for name, callback in users:
        monitor = getattr(callback, "monitor", None)
        if isinstance(monitor, str) and monitor.startswith("valid_") and not validates:
            raise ValueError(
                f"the callback {name} monitors {monitor!r}, but nothing is held out to "
                "validate on; call fit with validation_data=(X, y), set "
                "early_stopping=True, give a train_split such as "
                "skorch.dataset.ValidSplit(5) in net_params, or monitor 'train_loss'"
            )


def _check_scoring(users: Sequence[tuple[str, Callback]], dataset: Any) -> None:
    """Refuse skorch's scoring where it would count padding or missing targets."""
    for name, callback in users:
        caches = isinstance(callback, ScoringBase) and callback.use_caching
        if not caches or dataset is None:
            continue
        if dataset.per_step or not (dataset.weights > 0).all():
            raise ValueError(
                f"the callback {name} scores all entries of y, and some of them have no "
                "target (absent steps, missing outputs); give it use_caching=False and a "
                "function of (net, dataset, y), or set early_stopping=True, whose "
                "valid_score counts the targets that are there"
            )
