"""Whether the weights of a loaded network fit its arguments.

Compiled code, torch's and sknt's own, relies on sizes and positions that fit. What a file
says about them is compared with what is there before anything of that size is made.
"""

import dataclasses
import inspect
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch import NeuralNet

from sknt._runtime import seeded_construction
from sknt.memories import MEMORIES
from sknt.nn import SequenceNetwork
from sknt.training.net import SequenceNet
from sknt.training.progress import Progress

WEIGHTS = {"module", "optimizer", "progress", "stream_params", "chance_loss"}
"""What a snapshot of a net holds."""

PREFIXES = ("callbacks", "criterion", "iterator_train", "iterator_valid", "optimizer")
"""Parts of a net whose arguments have names such as ``optimizer__eps``."""

OF_SCHEDULES = {
    *("initial_lr", "max_lr", "min_lr", "max_momentum", "base_momentum", "rate_factor"),
}
"""Settings that learning-rate schedules add to those of an optimizer."""

NOT_ARGUMENTS = {"module", "dataset", "kwargs"}
"""Parameters of a net's constructor that no file sets."""

KINDS = {"criterion": torch.nn.Module, "optimizer": torch.optim.Optimizer}
"""What some classes among the arguments have to be."""


def is_own_memory(name: Any) -> bool:
    """Return whether a memory is None or one of sknt's own."""
    known = MEMORIES.get(name) if isinstance(name, str) else None
    return name is None or (known is not None and known.__module__.startswith("sknt."))


def _of_skorch() -> list[str]:
    return list(inspect.signature(NeuralNet).parameters)


def check_arguments(params: Mapping[str, Any]) -> None:
    """Check the names of a net's arguments, and the kinds of those that it calls."""
    known = {*inspect.signature(SequenceNet).parameters, *_of_skorch()} - NOT_ARGUMENTS
    for name in params:
        part, separator, _ = name.partition("__")
        if name not in known and not (separator and part in (*PREFIXES, "module")):
            raise ValueError(f"a network has the unknown argument {name!r}")
    for name, kind in KINDS.items():
        chosen = params.get(name, torch.optim.SGD)  # which is skorch's default
        if not (isinstance(chosen, type) and issubclass(chosen, kind)):
            raise ValueError(f"a network has the {name} {chosen!r}")


def check_weights(weights: Any) -> None:
    """Check the parts of a snapshot, and the numbers of its progress."""
    if not isinstance(weights, dict) or set(weights) != WEIGHTS:
        raise ValueError("the weights of a network lack parts, or have too many")
    progress = weights["progress"]
    for field in dataclasses.fields(Progress):
        value, default = progress[field.name], field.default
        kinds: Any = bool if isinstance(default, bool) else Real
        kinds = kinds | None if default is None else kinds
        if not isinstance(value, kinds):
            raise ValueError(f"the progress of a training has {field.name}={value!r}")


def check_module(params: Mapping[str, Any], weights: Any) -> None:
    """Check that the weights are those of the network that the arguments describe.

    A network on torch's device "meta", which takes no memory, says what they should be.
    """
    own = {
        name.removeprefix("module__"): value
        for name, value in params.items()
        if name.startswith("module__")
    }
    if not is_own_memory(own.get("memory")):
        raise ValueError(f"a network has the memory {own['memory']!r}, which is not sknt's")
    n_layers = own.get("n_layers", 1)
    if not isinstance(n_layers, int) or n_layers > len(weights):
        raise ValueError(f"a network of {n_layers!r} layers has {len(weights)} weights")
    with seeded_construction(), torch.device("meta"):
        expected = SequenceNetwork(**own).state_dict()
    _compare_names(expected, weights, "weights")
    for name, wanted in expected.items():
        _check_like(weights[name], wanted, f"the weights {name!r}")


def check_optimizer(optimizer: torch.optim.Optimizer, state: Any) -> None:
    """Check the state of an optimizer for the parameters of a new one."""
    expected = optimizer.state_dict()
    groups = state["param_groups"]
    if set(state) != set(expected) or len(groups) != len(expected["param_groups"]):
        raise ValueError("the state of the optimizer is not that of this network")
    for group, wanted in zip(groups, expected["param_groups"], strict=True):
        _check_group(group, wanted)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for index, of_parameter in state["state"].items():
        if type(index) is not int or not 0 <= index < len(parameters):
            raise ValueError(f"the optimizer has a state for the parameter {index!r}")
        if not of_parameter:
            continue
        group = next(g for g in groups if index in g["params"])
        example = _state_after_a_step(type(optimizer), parameters[index], group)
        _compare_names(example, of_parameter, "parts of the optimizer's state")
        for name, wanted in example.items():
            if isinstance(wanted, torch.Tensor):
                _check_like(of_parameter[name], wanted, f"the optimizer's {name!r}")
            elif type(of_parameter[name]) is not type(wanted):
                raise ValueError(f"the optimizer has {name}={of_parameter[name]!r}")


def _check_group(group: Any, wanted: Mapping[str, Any]) -> None:
    _compare_names(wanted, set(group) - OF_SCHEDULES, "settings of the optimizer")
    if group["params"] != wanted["params"]:
        raise ValueError("the optimizer is that of other parameters")
    for name, value in group.items():
        like = wanted.get(name, 0.0)
        parts = value if isinstance(like, tuple | list) else [value]
        kinds: Any = bool if isinstance(like, bool) else Real | None
        if not isinstance(parts, tuple | list) or not all(
            isinstance(part, kinds) for part in parts
        ):
            raise ValueError(f"the optimizer has {name}={value!r}")


def _state_after_a_step(
    kind: type[torch.optim.Optimizer], parameter: torch.Tensor, group: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what an optimizer remembers of a parameter, as a step on a copy shows."""
    make: Any = kind
    with torch.inference_mode(False):
        copied = torch.zeros_like(parameter, requires_grad=True)
        copied.grad = torch.zeros_like(copied)
        optimizer = make([copied])
        own = {k: v for k, v in group.items() if k in optimizer.param_groups[0]}
        optimizer.param_groups[0].update(own | {"params": [copied]})
        optimizer.step()
    return dict(optimizer.state[copied])


def _check_like(array: NDArray[Any], wanted: torch.Tensor, what: str) -> None:
    """Check that an array has the shape and the type of a tensor."""
    dtype = np.dtype(str(wanted.dtype).removeprefix("torch."))
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{what} are missing")
    if array.shape != tuple(wanted.shape) or array.dtype != dtype:
        raise ValueError(
            f"{what} are of shape {array.shape} and type {array.dtype}, but the "
            f"parameters need {tuple(wanted.shape)} and {dtype}"
        )


def _compare_names(expected: Any, found: Any, what: str) -> None:
    if set(expected) != set(found):
        missing, unknown = set(expected) - set(found), set(found) - set(expected)
        raise ValueError(
            f"the {what} do not fit the parameters: {sorted(missing)[:3]} are missing, "
            f"{sorted(unknown)[:3]} unknown"
        )
