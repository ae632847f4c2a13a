"""Steps of a fit: which rows are trained on, the net, the held-out part, the training."""

import copy
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from skorch.helper import predefined_split

from sknt._optimizers import EPSILON, OPTIMIZERS, UNCLIPPED_EPSILON
from sknt._runtime import seeded_construction, single_threaded
from sknt._training import SequenceDataset, SequenceNet, TrainingStopped
from sknt.nn import SequenceNetwork

MAX_REPETITIONS = 10
"""Whole sample weights of at most this on average are taken as so many equal samples."""

RECORDERS = ("epoch_timer", "train_loss", "valid_loss")
"""Callbacks of skorch that put an epoch's numbers into the history."""

OWN_PARAMETERS = {
    "lr": "learning_rate",
    "max_epochs": "max_epochs",
    "batch_size": "batch_size",
    "device": "device",
    "warm_start": "warm_start",
    "verbose": "verbose",
    "per_step": "return_sequences",
    "optimizer__lr": "learning_rate",
}
"""Arguments of the net that the estimators have as parameters of their own."""


class TrainingData(NamedTuple):
    """Packed sequences and their targets, one row a sequence."""

    values: NDArray[np.float64]  # (n_samples, longest, n_features)
    lengths: NDArray[np.int64]  # (n_samples,)
    targets: NDArray[Any]  # (n_samples, [longest,] [n_outputs])
    weights: NDArray[np.float64]  # of the targets' shape; 0 where there is none

    def take(self, rows: NDArray[np.int64]) -> "TrainingData":
        """Select rows."""
        return TrainingData(
            self.values[rows], self.lengths[rows], self.targets[rows], self.weights[rows]
        )

    def dataset(self, per_step: bool) -> SequenceDataset:
        """Return the data in single precision, as the net trains on it."""
        targets = self.targets
        if targets.dtype.kind == "f":
            targets = targets.astype(np.float32)
        return SequenceDataset(
            self.values.astype(np.float32),
            self.lengths,
            targets,
            self.weights.astype(np.float32),
            per_step=per_step,
        )


def canonical_data(
    data: TrainingData, sample_weight: NDArray[np.float64]
) -> tuple[TrainingData, NDArray[np.int64]]:
    """Bring data into an order of its own, in which weights equal repetitions.

    Rows of weight 0 or without a target are left out. Rows whose weights are whole
    numbers are repeated as often (unless that made the data more than MAX_REPETITIONS
    times as large); other weights go into the loss, scaled to a mean of 1. The order
    comes from the rows' content alone: neither the order in which they were given nor
    the way in which repeated rows were written changes a fit.

    Parameters
    ----------
    data : TrainingData
        With weights of 0 and 1: whether there is a target.
    sample_weight : ndarray of shape (n_samples,)

    Returns
    -------
    data : TrainingData
        With the sample weights in its weights.
    groups : ndarray of shape (n_samples,)
        Equal numbers for equal rows.

    Raises
    ------
    ValueError
        If every row has weight 0.
    """
    has_target = data.weights.reshape(len(sample_weight), -1).any(axis=1)
    sample_weight = sample_weight * has_target
    used = np.flatnonzero(sample_weight)
    if not len(used):
        raise ValueError(
            "sample_weight is 0 for every sample that has a target; give at least one "
            "a positive weight"
        )
    data, sample_weight = data.take(used), sample_weight[used]
    # Values that are one number in single precision are one to the net as well.
    values = data.values.astype(np.float32) + 0  # adding 0 makes 0 of -0
    parts = (values, data.lengths, data.targets + 0, data.weights)
    keys = [_digest(*row) for row in zip(*parts, strict=True)]
    groups = np.unique(keys, return_inverse=True)[1]
    order = np.lexsort((sample_weight, groups))
    whole = (sample_weight == np.floor(sample_weight)).all()
    if whole and sample_weight.mean() <= MAX_REPETITIONS:
        order = np.repeat(order, sample_weight[order].astype(int))
        return data.take(order), groups[order]
    data, sample_weight, groups = data.take(order), sample_weight[order], groups[order]
    scale = (sample_weight / sample_weight.mean()).reshape(
        -1, *[1] * (data.weights.ndim - 1)
    )
    return data._replace(weights=data.weights * scale), groups


def _digest(*parts: Any) -> str:
    content = b"".join(part.tobytes() for part in parts)
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def split_off_validation(
    data: TrainingData, groups: NDArray[np.int64], fraction: float, seed: int
) -> tuple[TrainingData, TrainingData]:
    """Hold out a fraction of the sequences, of each class where that is possible.

    At least two are held out, for R² needs so many, and equal rows stay together.

    Raises
    ------
    ValueError
        If there are too few sequences.
    """
    rows = np.unique(groups, return_index=True)[1]  # one of each kind
    n_samples = len(rows)
    n_held_out = max(2, int(np.ceil(fraction * n_samples)))
    if n_held_out >= n_samples:
        raise ValueError(
            f"early_stopping with validation_fraction={fraction} would hold out "
            f"{n_held_out} of {n_samples} different samples and leave none to train on; "
            "give more samples or set early_stopping=False"
        )
    is_class = data.targets.ndim == 1 and data.targets.dtype.kind == "i"
    options = {"test_size": n_held_out, "random_state": seed}
    try:
        stratify = data.targets[rows] if is_class else None
        _, held_out = train_test_split(rows, stratify=stratify, **options)
    except ValueError:  # a class with a single member, or more classes than places
        _, held_out = train_test_split(rows, **options)
    is_held_out = np.isin(groups, groups[held_out])
    return data.take(np.flatnonzero(~is_held_out)), data.take(np.flatnonzero(is_held_out))


def make_net(
    network_params: Mapping[str, Any],
    net_params: Mapping[str, Any] | None,
    *,
    optimizer: str,
    max_grad_norm: float | None,
    init_seed: int,
    shuffle_seed: int,
    **kwargs: Any,
) -> SequenceNet:
    """Build an initialized net.

    Parameters
    ----------
    network_params : mapping
        Arguments of SequenceNetwork.
    net_params : mapping or None
        The user's arguments of the net; they win over the others. Copied, so that
        callbacks given there serve one fit alone.
    optimizer : str
        A key of OPTIMIZERS.
    max_grad_norm : float or None
        What ε goes by.
    init_seed, shuffle_seed : int
    **kwargs
        Other arguments of the net.

    Raises
    ------
    ValueError
        If net_params has a name that skorch does not know or the estimator owns, or the
        device is not available.
    """
    chosen = copy.deepcopy(dict(net_params or {}))
    _check_net_params(chosen, network_params)
    try:
        torch.empty(0, device=kwargs["device"])
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device={kwargs['device']!r} is not available here ({reason}); use "
            "device='cpu'"
        ) from error
    optimizer_class, settings = OPTIMIZERS[optimizer]
    ours = {f"module__{name}": value for name, value in network_params.items()}
    ours["optimizer"] = optimizer_class
    if "optimizer" not in chosen:
        ours |= {f"optimizer__{name}": value for name, value in settings.items()}
        if optimizer in EPSILON:
            part = EPSILON[optimizer]
            epsilon = part * max_grad_norm if max_grad_norm else UNCLIPPED_EPSILON
            ours["optimizer__eps"] = epsilon
    if "iterator_train" not in chosen:
        ours["iterator_train__random_state"] = np.random.RandomState(shuffle_seed)
    net = SequenceNet(
        **{
            "module": SequenceNetwork,
            "train_split": None,
            "verbose": 0,
            **ours,
            **kwargs,
            **chosen,
        }
    )
    with seeded_construction(init_seed):
        net.initialize()
    return net


def _check_net_params(chosen: Mapping[Any, Any], network_params: Mapping[str, Any]) -> None:
    own = OWN_PARAMETERS | {f"module__{name}": name for name in network_params}
    for name in chosen:
        if not isinstance(name, str):
            raise ValueError(f"net_params has the key {name!r}; give names of arguments")
        if name in own:
            raise ValueError(
                f"net_params has {name!r}, which is a parameter of the estimator; set "
                f"{own[name]} instead"
            )
    if "criterion__reduction" in chosen:
        raise ValueError(
            "net_params has 'criterion__reduction', which is always 'none': the loss is "
            "summed over a sequence's targets, without the missing ones"
        )
    if isinstance(chosen.get("optimizer"), str):
        raise ValueError(
            f"net_params has optimizer={chosen['optimizer']!r}, which is no class of "
            f"torch.optim; for one of {sorted(OPTIMIZERS)} set optimizer itself"
        )


def train(
    net: SequenceNet,
    parts: Iterable[tuple[TrainingData, int]],
    held_out: TrainingData | None,
    *,
    learning_rate: float,
    constant_rate: bool,
    batch_size: int,
    callbacks: Sequence[Any],
    stoppers: Sequence[Any],
) -> None:
    """Train a net; if that fails, leave it as it was.

    Parameters
    ----------
    net : SequenceNet
    parts : iterable of TrainingData and int
        Data, and for how many epochs they are trained on.
    held_out : TrainingData or None
    learning_rate : float
    constant_rate : bool
        Whether no schedule changes the steps, nor one of an earlier training still does.
    batch_size : int
    callbacks, stoppers : sequence of skorch callbacks
        For this training alone: those called before the user's own, and those that may
        end it after them.
    """
    before = net.snapshot()
    n_records = len(net.history)
    random_state = getattr(net, "iterator_train__random_state", None)
    shuffle_state = None if random_state is None else random_state.get_state()
    own_callbacks, own_split = net.callbacks_, net.train_split
    own_rate, own_batch_size = net.lr, net.batch_size
    recorders = [pair for pair in own_callbacks if pair[0] in RECORDERS]
    others = [pair for pair in own_callbacks if pair[0] not in RECORDERS]
    try:
        net.callbacks_ = [*recorders, *_named(callbacks), *others, *_named(stoppers)]
        net.batch_size = batch_size
        if learning_rate != net.lr:
            net.set_params(lr=learning_rate)  # of the optimizer
            net.lr, net.schedule_.factor = learning_rate, 1.0
        if constant_rate:
            net.scale_learning_rate(1.0)
            net.take_orthogonal_steps(True)
        if held_out is not None:
            net.train_split = predefined_split(held_out.dataset(net.per_step))
        with single_threaded():
            net.notify("on_train_begin", X=None, y=None)
            with suppress(TrainingStopped):
                for data, n_epochs in parts:
                    net.fit_loop(data.dataset(net.per_step), epochs=n_epochs)
            net.notify("on_train_end", X=None, y=None)
    except BaseException:
        net.restore(before)
        net.lr, net.batch_size = own_rate, own_batch_size
        del net.history[n_records:]
        if random_state is not None:
            random_state.set_state(shuffle_state)
        raise
    finally:
        net.callbacks_, net.train_split = own_callbacks, own_split
        net.penalty_ = net.noise_ = 0.0


def _named(callbacks: Sequence[Any]) -> list[tuple[str, Any]]:
    return [(type(callback).__name__, callback) for callback in callbacks]
