"""What the kernels have to know of a network: what it consists of, and in which order.

It is found out once for as long as the network consists of the same modules, parameters and
buffers.
"""

from operator import is_
from typing import Any

import torch
from torch import Tensor, nn

from sknt.nn.cell import ControllerCell, Known, MemoryCell
from sknt.nn.controllers import FeedForwardController, GRUController, LSTMController

CONTROLLER_CODES = {LSTMController: 0, GRUController: 1, FeedForwardController: 2}
"""The controllers that the kernels support, and their codes there."""

NO_MEMORY = "sknt.kernels.memories.none"
"""The kernel of a bare controller."""

BYPASSED = "a layer is parametrized or has hooks, which the kernels would bypass"

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
"""What listens to a module."""

OWN = ("forward", "step", "interface", "initial_state")
"""Methods that an object may have been given in the place of those of its class."""


def kernel_name(memory: Any) -> str | None:
    """Return the module of a memory's kernel, or None if its class names none.

    A subclass does not inherit it, because its step may be another one.
    """
    return vars(type(memory)).get("kernel")


class Structure:
    """What a cell and a readout consist of.

    Parameters
    ----------
    cell : MemoryCell or ControllerCell
    readout : Module
    """

    def __init__(self, cell: Any, readout: Any):
        self.cell, self.readout = cell, readout
        self.controller: Any = cell.controller
        self.memory = getattr(cell, "memory", None)
        self.modules = [*cell.modules(), *readout.modules()]
        self.types = [*map(type, self.modules)]
        self.members = self._find_members()
        self.kernel = self._find_kernel()
        layers = [*readout.modules()]
        tensors = [*cell.controller.parameters(), *readout.parameters()]
        if self.memory is not None:
            layers += [*self.memory.modules()][1:]
            tensors += self.memory.parameters()
            tensors += [b for b in self.memory.buffers() if b.is_floating_point()]
        self.tensors = tensors
        # Others, such as statistics, take no part in a step.
        self.linear = [layer for layer in layers if layer._parameters]
        self.called = self.linear
        if type(cell) is ControllerCell or isinstance(self.controller, nn.Sequential):
            self.called = [*self.linear, *self.controller.modules()]
        self._unsupported = self._find_unsupported()
        self._described: Any = None

    def _find_members(self) -> list[Any]:
        return [
            member
            for module in self.modules
            for members in (module._modules, module._parameters, module._buffers)
            for member in members.values()
        ]

    def _find_kernel(self) -> str | None:
        return NO_MEMORY if self.memory is None else kernel_name(self.memory)

    def _find_unsupported(self) -> str | None:
        if type(self.cell) not in (MemoryCell, ControllerCell):
            return f"there are no kernels for the cell {type(self.cell).__name__}"
        if self.kernel is None:
            return f"there are no kernels for the memory {type(self.memory).__name__}"
        if type(self.controller) not in CONTROLLER_CODES:
            kind = type(self.controller).__name__
            return f"there are no kernels for the controller {kind}"
        own = [self.readout]  # layers that the engine itself computes
        if isinstance(self.controller, FeedForwardController):
            units = [*self.controller][1::2]
            own += [*self.controller][::2]
            if {*map(type, units)} != {nn.Tanh} or 2 * len(units) != len(self.controller):
                return "the kernels know feed-forward layers of tanh units alone"
        if any(type(layer) is not nn.Linear for layer in (*own, *self.linear)):
            return BYPASSED
        if any(layer.bias is None for layer in own):
            return "the kernels take layers with a bias alone"
        return None

    def is_that_of(self, readout: Any) -> bool:
        """Return whether cell and readout still consist of the same."""
        members = self._find_members()
        return (
            readout is self.readout
            and self.types == [*map(type, self.modules)]
            and self.kernel == self._find_kernel()
            and len(members) == len(self.members)
            and all(map(is_, members, self.members))
        )

    def why_unsupported(self) -> str | None:
        """Return why the kernels cannot serve the network, or None if they can."""
        if self._unsupported:
            return self._unsupported
        for layer in self.called:
            state = layer.__dict__
            if any(state[hooks] for hooks in HOOKS):
                return BYPASSED
        for module in self.modules:
            if any(name in module.__dict__ for name in OWN):
                return f"a {type(module).__name__} has a method of its own"
        return None

    def why_unsuitable(self, x: Tensor) -> str | None:
        """Return why the kernels cannot take a batch, or None if they can."""
        tensors = [x, *self.tensors]
        if not all(tensor.is_cpu for tensor in tensors):
            return "the kernels run on the CPU alone"
        dtypes = {tensor.dtype for tensor in tensors}
        if len(dtypes) > 1 or dtypes - {torch.float32, torch.float64}:
            names = sorted(str(dtype).removeprefix("torch.") for dtype in dtypes)
            known = "the kernels compute in float32 or in float64"
            return f"{known}, not in {' and '.join(names)}"
        return None

    def describe(self) -> tuple[Any, list[Tensor]]:
        """Return the kernels' plan, and the parameters in their order."""
        from sknt.kernels.engine import make_plan

        layers = self._layers()
        if self._described is None:
            self._described = self._describe(layers)
        kernel, network = self._described
        readout, memory = self.readout, self.memory
        if memory is None:
            nothing = readout.weight.new_zeros(0, readout.in_features)
            projection = nothing, nothing[:, 0]
        else:
            projection = kernel.projection(memory)
        network = network._replace(sees_inputs=projection[0].shape[1] > network.hidden)
        of_layers = [parameter for layer in layers for parameter in layer]
        parameters = [*of_layers, *projection, readout.weight, readout.bias]
        shapes = tuple(tuple(parameter.shape) for parameter in parameters)
        return make_plan(network, kernel, kernel.dims(memory), shapes), parameters

    def _layers(self) -> list[Any]:
        """Return the parameters of each layer of the controller, as they are now."""
        if isinstance(self.controller, FeedForwardController):
            return [[layer.weight, layer.bias] for layer in [*self.controller][::2]]
        return self.controller.all_weights

    def _describe(self, layers: list[Any]) -> tuple[Any, Any]:
        """Return the kernel and the network's sizes."""
        from sknt.kernels.contract import load_kernel
        from sknt.kernels.layout import Network

        assert self.kernel is not None
        memory, readout = self.memory, self.readout
        read_heads, width = 0, 0
        if memory is not None:
            read_heads, width = memory.n_read_heads, memory.word_size
        n_reads = read_heads * width
        network = Network(
            controller=CONTROLLER_CODES[type(self.controller)],
            layers=len(layers),
            hidden=readout.in_features - n_reads,
            inputs=layers[0][0].shape[1] - n_reads,
            outputs=readout.out_features,
            read_heads=read_heads,
            read_width=width,
            sees_inputs=False,
        )
        return load_kernel(self.kernel, memory), network


def structure_of(cell: Any, readout: Any) -> Structure:
    """Return the structure of a cell and a readout, the last one if it still holds."""
    known = vars(cell).get("known") or Known()  # a cell of an older file has none
    if known.structure is None or not known.structure.is_that_of(readout):
        known.structure = Structure(cell, readout)
    return known.structure
