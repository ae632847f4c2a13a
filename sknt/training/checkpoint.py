"""What training changes in a net, kept so that a failed fit can be undone."""

import copy
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor, nn


class Checkpoint:
    """The state of a net, to be restored at most once.

    Contents go back into the objects that held them, so that whatever refers to the net,
    its modules, parameters or callbacks stays valid. No step of :meth:`restore` depends on
    what has happened to the net in the meantime.

    Parameters
    ----------
    net : SequenceNet
        An initialized net.
    """

    def __init__(self, net: Any):
        callbacks = [callback for _, callback in net.callbacks_]
        self._steps: list[Callable[[], None]] = [
            _keep_attributes(net),
            _keep_history(net.history),
            *_keep_module(net.module_),
            *_keep_module(net.criterion_),
            _keep_optimizer(net.optimizer_),
            *(_keep_attributes(callback) for callback in callbacks),
        ]

    def restore(self) -> None:
        """Put everything back."""
        for step in self._steps:
            step()


def _keep_attributes(owner: Any) -> Callable[[], None]:
    attributes = {name: _copied(value) for name, value in vars(owner).items()}

    def restore() -> None:
        owner.__dict__ = attributes

    return restore


def _keep_history(history: Any) -> Callable[[], None]:
    records = [_copied_record(record) for record in history]

    def restore() -> None:
        history[:] = records

    return restore


def _copied_record(record: Any) -> Any:
    batches = record.get("batches")
    return {**record, "batches": list(batches)} if batches is not None else dict(record)


def _keep_module(module: Any) -> list[Callable[[], None]]:
    if not isinstance(module, nn.Module):
        return []
    tensors = {id(t): t for t in [*module.parameters(), *module.buffers()]}
    return [
        *(_keep_attributes(part) for part in module.modules()),
        *(_keep_tensor(tensor) for tensor in tensors.values()),
    ]


def _keep_tensor(tensor: Tensor) -> Callable[[], None]:
    values, requires_grad = tensor.detach().clone(), tensor.requires_grad

    def restore() -> None:
        tensor.data = values
        tensor.grad = None
        tensor.requires_grad_(requires_grad)

    return restore


def _keep_optimizer(optimizer: Any) -> Callable[[], None]:
    groups = [_copied(group) for group in optimizer.param_groups]
    states = copy.deepcopy(list(optimizer.state.values()))
    by_parameter = list(zip(optimizer.state, states, strict=True))

    def restore() -> None:
        optimizer.param_groups[:] = groups
        optimizer.state = defaultdict(dict, by_parameter)

    return restore


def _copied(value: Any, known: dict[int, Any] | None = None) -> Any:
    """Copy containers and arrays, to any depth; share all other objects."""
    known = {} if known is None else known
    if id(value) in known:
        return known[id(value)]
    if type(value) is tuple:
        return tuple(_copied(part, known) for part in value)
    if isinstance(value, np.ndarray) or type(value) in (list, dict, set, deque):
        known[id(value)] = result = copy.copy(value)
        if type(value) is dict:
            result.update((key, _copied(part, known)) for key, part in value.items())
        elif type(value) in (list, deque):
            result.clear()
            result.extend(_copied(part, known) for part in value)
        return result
    return value
