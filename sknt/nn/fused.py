"""A memory cell and a readout in the compiled kernels, whole sequences at once.

The kernels compute what :mod:`sknt.nn.unroll` does step by step. This module decides when
they can take its place, and translates between torch's modules and the kernels' layout.
"""

import warnings
from functools import cache
from itertools import chain
from operator import is_
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from sknt.memories import Trace
from sknt.nn.cell import CellState, MemoryCell
from sknt.nn.controllers import FeedForwardController, GRUController, LSTMController

CONTROLLER_CODES = {LSTMController: 0, GRUController: 1, FeedForwardController: 2}
"""The controllers that the kernels support, and their codes there."""


NO_MEMORY = "sknt.kernels.memories.none"
"""The kernel of a bare controller."""


def kernel_name(memory: Any) -> str | None:
    """Return the module of a memory's kernel, or None if its class names none.

    A subclass does not inherit it, because its step may be another one.
    """
    return vars(type(memory)).get("kernel")


class Inspection:
    """What the kernels have to know of a cell and a readout.

    It holds for as long as they consist of the same modules, parameters and buffers.

    Attributes
    ----------
    unsupported : str or None
        Why the kernels cannot serve the network, or None if they can.
    """

    def __init__(self, cell: Any, readout: nn.Module):
        self.modules = [*cell.modules(), *readout.modules()]
        self.members = self._find_members()
        self.memory = cell.memory if isinstance(cell, MemoryCell) else None
        self.layers = [*readout.modules()]
        if self.memory is not None:
            self.layers += [*self.memory.modules()][1:]
        # Others, such as statistics, take no part in a step.
        self.layers = [layer for layer in self.layers if layer._parameters]
        tensors = [*cell.controller.parameters(), *readout.parameters()]
        if self.memory is not None:
            tensors += self.memory.parameters()
            tensors += [b for b in self.memory.buffers() if b.is_floating_point()]
        self.tensors = tensors
        self.unsupported = self._find_unsupported(cell)

    def _find_members(self) -> list[Any]:
        return [
            member
            for module in self.modules
            for members in (module._modules, module._parameters, module._buffers)
            for member in members.values()
        ]

    def _find_unsupported(self, cell: Any) -> str | None:
        if self.memory is not None and kernel_name(self.memory) is None:
            return f"there are no kernels for the memory {type(self.memory).__name__}"
        if type(cell.controller) not in CONTROLLER_CODES:
            kind = type(cell.controller).__name__
            return f"there are no kernels for the controller {kind}"
        if any(type(layer) is not nn.Linear for layer in self.layers):
            return BYPASSED
        return None

    def holds(self) -> bool:
        """Return whether the network still consists of the same."""
        members = self._find_members()
        return len(members) == len(self.members) and all(map(is_, members, self.members))

    def why_not(self) -> str | None:
        """Return why the kernels cannot serve the network now, or None if they can."""
        if self.unsupported:
            return self.unsupported
        if any(layer._forward_hooks or layer._forward_pre_hooks for layer in self.layers):
            return BYPASSED
        return None

    def why_not_with(self, x: Tensor) -> str | None:
        """Return why the kernels cannot take a batch, or None if they can."""
        tensors = [x, *self.tensors]
        if not all(tensor.is_cpu for tensor in tensors):
            return "the kernels run on the CPU alone"
        dtypes = {tensor.dtype for tensor in tensors}
        if len(dtypes) > 1 or dtypes - {torch.float32, torch.float64}:
            names = sorted(str(dtype).removeprefix("torch.") for dtype in dtypes)
            return (
                "the kernels compute in float32 or in float64, not in "
                f"{' and '.join(names)}"
            )
        return None


BYPASSED = "a layer is parametrized or has hooks, which the kernels would bypass"

_inspections: WeakKeyDictionary[nn.Module, Inspection] = WeakKeyDictionary()


def inspect(cell: Any, readout: nn.Module) -> Inspection:
    """Inspect a cell and a readout, unless they are as they were last time."""
    known = _inspections.get(cell)
    if known is None or readout not in known.layers or not known.holds():
        known = _inspections[cell] = Inspection(cell, readout)
    return known


def missing() -> str | None:
    """Return why the kernels cannot be used, or None once they are loaded."""
    if reason := _not_loaded():
        return reason
    from sknt.kernels import _compile

    return _compile.unusable


@cache
def _not_loaded() -> str | None:
    try:
        from numba import config

        if getattr(config, "DISABLE_JIT", False):
            return "numba compiles nothing, since NUMBA_DISABLE_JIT is set"
        import sknt.kernels.engine  # noqa: F401
    except Exception as error:  # whatever an absent or unfit numba raises
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return f"numba cannot be loaded ({reason})"
    return None


@cache
def warn_that_missing(reason: str) -> None:
    """Warn once that the kernels are missing."""
    way_out = "Install numba"
    if "NUMBA_DISABLE_JIT" in reason:
        way_out = "Unset it"
    elif "forked" in reason:
        way_out = "Run a network before the fork"
    warnings.warn(
        f"{reason}, so networks run on the reference path, which is many times slower. "
        f"{way_out}, or choose backend='reference'",
        RuntimeWarning,
        stacklevel=2,
    )


class LaidOut(NamedTuple):
    """A network laid out for the kernels."""

    plan: Any  # the kernels' Plan
    weights: Any  # the kernels' Weights
    first: list[Tensor]  # the parts of the learned first state


@torch.no_grad()
def lay_out(cell: Any, readout: nn.Linear) -> LaidOut:
    """Lay out the weights of a cell and a readout, once for many batches."""
    from sknt.kernels.engine import Weights

    plan, parameters = _describe(cell, readout)
    first = _flatten(cell, plan, cell.initial_state(1))
    return LaidOut(plan, Weights(plan.places, parameters), first)


class Tape:
    """What the kernels did in an update, for gradients without autograd's own graph.

    Around a small network, autograd takes as long as the kernels. Here the results of a
    pass through the kernels are leaves of its graph: once their gradients are known,
    :meth:`backward` adds those of the parameters, as autograd would have done.
    """

    def __init__(self) -> None:
        # Each pass, its results, and what it started from: the state and the parameters.
        self._records: list[tuple[Any, list[Tensor], list[Tensor]]] = []

    def run(
        self,
        plan: Any,
        batch: Any,
        x: Tensor,
        first: list[Tensor],
        parameters: list[Tensor],
        traces: str | None,
    ) -> tuple[Tensor, list[Tensor]]:
        """Run a batch; return the outputs and the parts of the trace."""
        from sknt.kernels.engine import Pass

        kept = Pass(plan, batch, x, first, parameters)
        outputs, _, steps = kept.call.run(first, traces, keeps=True)
        results = [outputs, *steps]
        for result in results:
            result.requires_grad_()
        self._records.append((kept, results, [*first, *parameters]))
        return outputs, steps

    def backward(self) -> None:
        """Add the gradients of the parameters, from those of what :meth:`run` returned."""
        while self._records:
            kept, results, tensors = self._records.pop()
            d_outputs, *d_steps = (result.grad for result in results)
            _, *gradients = kept.backward(d_outputs, None, d_steps, needs_x=False)
            computed: list[tuple[Tensor, Tensor]] = []  # from parameters
            for tensor, gradient in zip(tensors, chain(*gradients), strict=True):
                if not tensor.requires_grad:
                    continue
                if not tensor.is_leaf:
                    computed.append((tensor, gradient))
                elif tensor.grad is None:
                    tensor.grad = gradient
                else:
                    tensor.grad += gradient
            if computed:
                torch.autograd.backward(*map(list, zip(*computed, strict=True)))


def run_fused(
    cell: Any,
    readout: nn.Linear,
    x: Tensor,
    lengths: Tensor,
    state: Any,
    *,
    traces: str | None = None,
    laid_out: LaidOut | None = None,
    tape: Tape | None = None,
) -> tuple[Tensor, Any, Trace | None]:
    """Run a cell and a readout over padded sequences.

    Parameters
    ----------
    cell : MemoryCell, or ControllerCell for a pass without traces
    readout : Linear
    x : Tensor of shape (batch, n_timesteps, n_inputs)
    lengths : Tensor of shape (batch,)
    state : nested NamedTuple or None
        State before the first step; None means the learned one.
    traces : {"states", "heads"} or None, default=None
        Which trace to keep: the states and interfaces of all steps, or the same without
        the memory's bulky parts.
    laid_out : LaidOut or None, default=None
        The weights, if they are laid out already; there are then no gradients.
    tape : Tape or None, default=None
        Computes the gradients in the place of autograd.

    Returns
    -------
    outputs : Tensor of shape (batch, n_timesteps, n_outputs)
        Zeros after a sequence's end.
    state : nested NamedTuple
        State after each sequence's own last step; None on a tape.
    trace : Trace or None
    """
    from sknt.kernels.engine import Call, FusedSequences, Weights, make_batch

    n_hops = cell.memory.n_hops if isinstance(cell, MemoryCell) else 1
    if n_hops > 1:
        x, lengths = x.repeat_interleave(n_hops, dim=1), n_hops * lengths
    batch = make_batch(lengths.numpy())
    example = cell.initial_state(1) if state is None else state
    if laid_out is None:
        plan, parameters = _describe(cell, readout)
        first = _flatten(cell, plan, example)
        if tape is not None and not any(map(_has_hooks, parameters)):
            outputs, steps = tape.run(plan, batch, x, first, parameters, traces)
            return _name_results(cell, plan, example, n_hops, outputs, None, *steps)
        tensors = [x, *first, *parameters]
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
            results = FusedSequences.apply(plan, batch, traces, x, *first, *parameters)
            return _name_results(cell, plan, example, n_hops, *results)
        weights = Weights(plan.places, parameters)
    else:
        plan, weights, first = laid_out
        if state is not None:
            first = _flatten(cell, plan, state)
    outputs, states, steps = Call(plan, batch, weights, x).run(first, traces, keeps=False)
    return _name_results(cell, plan, example, n_hops, outputs, states, *steps)


def _has_hooks(parameter: Tensor) -> bool:
    """Return whether something listens to a parameter's gradient."""
    return bool(parameter._backward_hooks or parameter._post_accumulate_grad_hooks)


def _describe(cell: Any, readout: nn.Linear) -> tuple[Any, list[Tensor]]:
    """Return the kernels' plan, and the parameters in their order."""
    from sknt.kernels.contract import load_kernel
    from sknt.kernels.engine import make_plan
    from sknt.kernels.layout import Network

    controller, memory = cell.controller, getattr(cell, "memory", None)
    if isinstance(controller, FeedForwardController):
        linear = [layer for layer in controller if isinstance(layer, nn.Linear)]
        layers = [[layer.weight, layer.bias] for layer in linear]
    else:
        layers = controller.all_weights
    name = None if memory is None else kernel_name(memory)
    kernel = load_kernel(name or NO_MEMORY, memory)
    read_heads, width = 0, 0
    if memory is None:
        nothing = readout.weight.new_zeros(0, readout.in_features)
        projection = nothing, nothing[:, 0]
    else:
        read_heads, width = memory.n_read_heads, memory.word_size
        projection = kernel.projection(memory)
    n_reads = read_heads * width
    hidden, inputs = readout.in_features - n_reads, layers[0][0].shape[1] - n_reads
    network = Network(
        controller=CONTROLLER_CODES[type(controller)],
        layers=len(layers),
        hidden=hidden,
        inputs=inputs,
        outputs=readout.out_features,
        read_heads=read_heads,
        read_width=width,
        sees_inputs=projection[0].shape[1] > hidden,
    )
    of_layers = [parameter for layer in layers for parameter in layer]
    parameters = [*of_layers, *projection, readout.weight, readout.bias]
    shapes = tuple(tuple(parameter.shape) for parameter in parameters)
    return make_plan(network, kernel, kernel.dims(memory), shapes), parameters


def _flatten(cell: Any, plan: Any, state: Any) -> list[Tensor]:
    """Return the parts of a state in the kernels' order."""
    has_memory = isinstance(cell, MemoryCell)
    of_controller = state.controller if has_memory else state
    zeros = next(cell.controller.parameters()).new_zeros
    nothing = zeros(1, plan.sizes.layers, plan.sizes.hidden)
    carried = [getattr(of_controller, name, nothing) for name in ("hidden", "cell")]
    if has_memory:
        return [*state.memory, state.reads, *carried]
    return [zeros(1, 0), zeros(1, 0, 0), *carried]


def _name_results(
    cell: Any,
    plan: Any,
    example: Any,
    n_hops: int,
    outputs: Tensor,
    states: Tensor | None,
    *steps: Tensor,
) -> tuple[Tensor, Any, Trace | None]:
    """Make states and a trace from what the kernels return.

    Of the hops of each step, the outputs and the trace are those of the last.
    """
    from sknt.kernels.states import split_states

    final, n_parts = None, len(plan.parts.states())
    if states is not None:
        final = _name_state(cell, example, *split_states(plan.parts, states))
    if n_hops > 1:
        outputs = outputs[:, n_hops - 1 :: n_hops]
        steps = tuple(part[:, n_hops - 1 :: n_hops] for part in steps)
    if not steps:
        return outputs, final, None
    interfaces = cell.memory.interface_type(*steps[n_parts:])
    trace = Trace(_name_state(cell, example, *steps[:n_parts]), interfaces)
    return outputs, final, trace


def _name_state(cell: Any, example: Any, *parts: Tensor) -> Any:
    """Make a state like an example from its parts."""
    *of_memory, reads, hidden, memory_cell = parts
    carried = {"hidden": hidden, "cell": memory_cell}
    has_memory = isinstance(cell, MemoryCell)
    controller: Any = example.controller if has_memory else example
    controller = type(controller)(*(carried[name] for name in controller._fields))
    if not has_memory:
        return controller
    return CellState(controller, reads, type(example.memory)(*of_memory))
