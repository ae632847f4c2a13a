"""The state of a training between two epochs: all that the rest of it depends on.

It consists of plain values, so that it can be kept in a file. A callback's state is what
its ``state_dict`` returns or, if it has none, its attributes: numbers, text, arrays,
containers of them, random generators, and whatever has a ``state_dict`` itself, such as a
learning-rate scheduler. Functions and classes are not part of it, nor are arguments of
other kinds, which the same call gives again.
"""

import copy
import types
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback, EpochTimer, ProgressBar
from skorch.callbacks.scoring import ScoringBase
from torch import Tensor, nn

from sknt.storage.checkpoints import can_be_kept
from sknt.training.optimizers import OPTIMIZERS

GENERATORS = (np.random.RandomState, np.random.Generator, torch.Generator)

OF_AN_EPOCH: dict[type, set[str]] = {
    ScoringBase: {"y_trues_", "y_preds_"},
    EpochTimer: {"epoch_start_time_"},
    ProgressBar: {"pbar_", "batches_per_epoch_"},
}
"""Attributes of skorch's callbacks that mean nothing between two epochs."""


class Stateless(Callback):
    """A callback that keeps nothing from one epoch to the next."""

    def state_dict(self) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Change nothing."""


def training_state(net: Any) -> dict[str, Any]:
    """Return the state of a net in training, when an epoch has begun.

    Parameters
    ----------
    net : SequenceNet

    Returns
    -------
    state : dict
    """
    criterion = net.criterion_
    return {
        "net": net.snapshot(),
        "criterion": _plain(criterion.state_dict()) if _is_module(criterion) else {},
        "requires_grad": [p.requires_grad for _, p in net.get_all_learnable_params()],
        "history": net.epoch_records()[:-1],  # without the epoch that has begun
        "callbacks": callback_states(net),
        "generators": {
            name: _generator_state(generator)
            for name, generator in _generators_of(net).items()
        },
    }


def callback_states(net: Any) -> dict[str, dict[str, Any]]:
    """Return the states of a net's callbacks by their names."""
    named = _by_name(net.callbacks_)
    return {name: _callback_state(callback, net) for name, callback in named.items()}


def restore_training(net: Any, state: Mapping[str, Any]) -> None:
    """Put a net that has begun to train into a state.

    Raises
    ------
    ValueError
        If the state is not one of this net. Errors of other types mean the same. The net
        may then have changed, but no random generator has.
    """
    callbacks, generators = _by_name(net.callbacks_), _generators_of(net)
    parameters = [p for _, p in net.get_all_learnable_params()]
    missing = {n for n, c in callbacks.items() if not isinstance(c, Stateless)}
    missing = missing.difference(state["callbacks"]) | set(generators).symmetric_difference(
        state["generators"]
    )
    if missing or len(parameters) != len(state["requires_grad"]):
        raise ValueError(f"the state is one of another net ({sorted(missing)})")
    _check_optimizer(net.optimizer_, state["net"]["optimizer"])
    net.restore(state["net"])
    if _is_module(net.criterion_):
        net.criterion_.load_state_dict(state["criterion"])
    for parameter, requires_grad in zip(parameters, state["requires_grad"], strict=True):
        parameter.requires_grad_(requires_grad)
    net.history[:] = [{**epoch, "batches": []} for epoch in state["history"]]
    for name, callback in callbacks.items():
        _restore_callback(callback, state["callbacks"].get(name, {}))
    for name, generator in generators.items():
        _set_generator(generator, state["generators"][name])


def global_generators() -> dict[str, Any]:
    """Return the states of the generators that a user's own modules may draw from."""
    of_numpy = np.random.get_state()  # noqa: NPY002
    return {"torch": torch.default_generator.get_state(), "numpy": of_numpy}


def set_global_generators(states: Mapping[str, Any]) -> None:
    """Set these states."""
    if "torch" in states:
        torch.default_generator.set_state(states["torch"])
    if "numpy" in states:
        np.random.set_state(states["numpy"])  # noqa: NPY002


def _is_module(value: Any) -> bool:
    return isinstance(value, nn.Module)


def _by_name(callbacks: list[tuple[str, Callback]]) -> dict[str, Callback]:
    """Return callbacks by unique names."""
    named: dict[str, Callback] = {}
    for name, callback in callbacks:
        while name in named:
            name += "'"
        named[name] = callback
    return named


# Callbacks


def _callback_state(callback: Any, net: Any) -> dict[str, Any]:
    if _has_state(callback):
        return {"state_dict": _plain(callback.state_dict())}
    arguments, state = callback.get_params(deep=False), {}
    ignored = [n for cls, n in OF_AN_EPOCH.items() if isinstance(callback, cls)]
    for name, value in vars(callback).items():
        if name in set().union(*ignored) or _is_given(value, net):
            continue
        part = _attribute_state(value)
        if name not in arguments or can_be_kept(part):
            state[name] = part
    return state


def _is_given(value: Any, net: Any) -> bool:
    """Return whether a value is the same in every process that makes the same call."""
    code = isinstance(value, type | types.ModuleType)
    return code or value is net or (callable(value) and not _has_state(value))


def _has_state(value: Any) -> bool:
    parts = (getattr(value, name, None) for name in ("state_dict", "load_state_dict"))
    return all(map(callable, parts)) and not isinstance(value, type)


def _attribute_state(value: Any) -> dict[str, Any]:
    if isinstance(value, GENERATORS):
        return {"generator": _generator_state(value)}
    if _has_state(value):
        return {"state_dict": _plain(value.state_dict())}
    return {"value": _plain(value)}


def _restore_callback(callback: Any, state: Mapping[str, Any]) -> None:
    if _has_state(callback):
        if "state_dict" in state:
            callback.load_state_dict(copy.deepcopy(state["state_dict"]))
        return
    attributes = vars(callback)
    for name, part in state.items():
        present = attributes.get(name)
        if "generator" in part:
            _set_generator(present, part["generator"])
        elif "state_dict" in part:
            present.load_state_dict(copy.deepcopy(part["state_dict"]))
        else:
            attributes[name] = _renewed(present, copy.deepcopy(part["value"]))


def _renewed(present: Any, value: Any) -> Any:
    """Return a value, in the list or dictionary that others may refer to."""
    if type(present) is type(value) and isinstance(value, list | dict | set):
        present.clear()
        if isinstance(value, list):
            present.extend(value)
        else:
            present.update(value)
        return present
    return value


def _plain(value: Any) -> Any:
    """Copy containers and tensors, subclasses of dict as dictionaries."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if type(value) in (list, tuple, set):
        return type(value)(map(_plain, value))
    return copy.copy(value) if isinstance(value, np.ndarray) else value


# Random generators


def _generators_of(net: Any) -> dict[str, Any]:
    """Return the generators that a net's batches and splits draw from."""
    found = {k: v for k, v in vars(net).items() if k.startswith("iterator_")}
    found["train_split"] = getattr(net.train_split, "random_state", None)
    return {name: value for name, value in found.items() if isinstance(value, GENERATORS)}


def _generator_state(generator: Any) -> Any:
    if isinstance(generator, np.random.RandomState):
        return generator.get_state(legacy=False)
    if isinstance(generator, np.random.Generator):
        return copy.deepcopy(generator.bit_generator.state)
    return generator.get_state()


def _set_generator(generator: Any, state: Any) -> None:
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    else:
        generator.set_state(state)


def _check_optimizer(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Check the sizes that sknt's own optimizers, which are compiled code, rely on."""
    if type(optimizer) not in [cls for cls, _ in OPTIMIZERS.values()]:
        return
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for index, parts in state["state"].items():
        wanted = parameters[index]
        for part in parts.values():
            if isinstance(part, Tensor) and part.ndim and part.shape != wanted.shape:
                raise ValueError("the optimizer's state is that of another net")
