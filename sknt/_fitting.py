"""Steps of a fit: which rows are trained on, the net, the held-out part, the training."""

import copy
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from skorch.helper import predefined_split

from sknt._runtime import forked_random_state, single_threaded
from sknt._training import OPTIMIZERS, SequenceDataset, SequenceNet
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


def canonical_data(data: TrainingData, sample_weight: NDArray[np.float64]) -> TrainingData:
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
    as_trained = data._replace(values=data.values.astype(np.float32))
    keys = np.array([_digest(*row) for row in zip(*as_trained, strict=True)])
    order = np.lexsort((sample_weight, keys))
    whole = (sample_weight == np.floor(sample_weight)).all()
    if whole and sample_weight.mean() <= MAX_REPETITIONS:
        order = np.repeat(order, sample_weight[order].astype(int))
        return data.take(order)
    data, sample_weight = data.take(order), sample_weight[order]
    scale = (sample_weight / sample_weight.mean()).reshape(
        -1, *[1] * (data.weights.ndim - 1)
    )
    return data._replace(weights=data.weights * scale)


def _digest(*parts: Any) -> str:
    content = b"".join(part.tobytes() for part in parts)
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def split_off_validation(
    data: TrainingData, fraction: float, seed: int, *, min_samples: int = 1
) -> tuple[TrainingData, TrainingData]:
    """Hold out a fraction of the sequences, of each class where that is possible.

    Raises
    ------
    ValueError
        If there are too few sequences.
    """
    n_samples = len(data.lengths)
    n_held_out = max(min_samples, int(np.ceil(fraction * n_samples)))
    if n_held_out >= n_samples:
        raise ValueError(
            f"early_stopping with validation_fraction={fraction} would hold out "
            f"{n_held_out} of {n_samples} samples and leave none to train on; give more "
            "samples or set early_stopping=False"
        )
    is_class = data.targets.ndim == 1 and data.targets.dtype.kind == "i"
    rows = np.arange(n_samples)
    try:
        train, held_out = train_test_split(
            rows,
            test_size=n_held_out,
            random_state=seed,
            stratify=data.targets if is_class else None,
        )
    except ValueError:  # a class with a single member, or more classes than places
        train, held_out = train_test_split(rows, test_size=n_held_out, random_state=seed)
    return data.take(train), data.take(held_out)


def make_net(
    network_params: Mapping[str, Any],
    net_params: Mapping[str, Any] | None,
    *,
    optimizer: str,
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
    for name in chosen:
        if name in OWN_PARAMETERS:
            raise ValueError(
                f"net_params has {name!r}, which is a parameter of the estimator; set "
                f"{OWN_PARAMETERS[name]} instead"
            )
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
    with forked_random_state(init_seed):
        net.initialize()
    return net


def train(
    net: SequenceNet,
    data: TrainingData,
    held_out: TrainingData | None,
    n_epochs: int,
    callbacks: Sequence[Any],
    stoppers: Sequence[Any],
) -> None:
    """Train a net for some epochs; if that fails, leave it as it was.

    Parameters
    ----------
    net : SequenceNet
    data, held_out : TrainingData
    n_epochs : int
    callbacks, stoppers : sequence of skorch callbacks
        For this training alone: those called before the user's own, and those that may
        end it after them.
    """
    before = net.snapshot()
    n_records = len(net.history)
    random_state = getattr(net, "iterator_train__random_state", None)
    shuffle_state = None if random_state is None else random_state.get_state()
    own_callbacks, own_split = net.callbacks_, net.train_split
    recorders = [pair for pair in own_callbacks if pair[0] in RECORDERS]
    others = [pair for pair in own_callbacks if pair[0] not in RECORDERS]
    net.callbacks_ = [*recorders, *_named(callbacks), *others, *_named(stoppers)]
    net.max_epochs = n_epochs
    if held_out is not None:
        net.train_split = predefined_split(held_out.dataset(net.per_step))
    try:
        with single_threaded():
            net.partial_fit(data.dataset(net.per_step))
    except BaseException:
        net.restore(before)
        del net.history[n_records:]
        if random_state is not None:
            random_state.set_state(shuffle_state)
        raise
    finally:
        net.callbacks_, net.train_split = own_callbacks, own_split


def _named(callbacks: Sequence[Any]) -> list[tuple[str, Any]]:
    return [(type(callback).__name__, callback) for callback in callbacks]
