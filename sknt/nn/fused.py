"""A memory cell and a readout in the compiled kernels, whole sequences at once.

The kernels compute what :mod:`sknt.nn.unroll` does step by step. This module decides when
they can take its place, and translates between torch's modules and the kernels' layout.
"""

import warnings
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sknt.memories import NTMMemory, NTMState, Trace
from sknt.nn.cell import CellState, MemoryCell
from sknt.nn.controllers import (
    FeedForwardController,
    GRUController,
    GRUState,
    LSTMController,
    LSTMState,
    NoState,
)

CONTROLLER_CODES = {LSTMController: 0, GRUController: 1, FeedForwardController: 2}
"""The controllers that the kernels support, and their codes there."""


def unsupported(cell: Any, readout: Any) -> str | None:
    """Return why the kernels cannot serve a network, or None if they can."""
    has_memory = isinstance(cell, MemoryCell)
    if has_memory and type(cell.memory) is not NTMMemory:
        return f"there are no kernels for the memory {type(cell.memory).__name__}"
    if type(cell.controller) not in CONTROLLER_CODES:
        return f"there are no kernels for the controller {type(cell.controller).__name__}"
    for layer in ([cell.memory.projection] if has_memory else []) + [readout]:
        if type(layer) is not nn.Linear or layer._forward_hooks or layer._forward_pre_hooks:
            return "a layer is parametrized or has hooks, which the kernels would bypass"
    return None


def unsuitable(cell: Any, readout: Any, x: Tensor) -> str | None:
    """Return why the kernels cannot take a batch, or None if they can."""
    tensors = [x, next(cell.controller.parameters()), readout.weight]
    if isinstance(cell, MemoryCell):
        memory: Any = cell.memory
        tensors += [memory.initial_memory, memory.projection.weight]
    if any(tensor.device.type != "cpu" for tensor in tensors):
        return "the kernels run on the CPU alone"
    dtypes = {tensor.dtype for tensor in tensors}
    if len(dtypes) > 1 or dtypes - {torch.float32, torch.float64}:
        names = sorted(str(dtype).removeprefix("torch.") for dtype in dtypes)
        return f"the kernels compute in float32 or in float64, not in {' and '.join(names)}"
    return None


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

    sizes: Any  # the kernels' Sizes
    weights: Any  # the kernels' Weights
    first: list[Tensor]  # the parts of the learned first state


@torch.no_grad()
def lay_out(cell: Any, readout: nn.Linear) -> LaidOut:
    """Lay out the weights of a cell and a readout, once for many batches."""
    from sknt.kernels.engine import Weights

    sizes, parameters = _describe(cell, readout)
    return LaidOut(sizes, Weights(sizes, parameters), _first_state(cell, sizes, None, 1))


def run_fused(
    cell: Any,
    readout: nn.Linear,
    x: Tensor,
    lengths: Tensor,
    state: CellState | None,
    *,
    traces: str | None = None,
    laid_out: LaidOut | None = None,
) -> tuple[Tensor, CellState, Trace | None]:
    """Run a cell and a readout over padded sequences.

    Parameters
    ----------
    cell : MemoryCell, or ControllerCell for a pass without traces
    readout : Linear
    x : Tensor of shape (batch, n_timesteps, n_inputs)
    lengths : Tensor of shape (batch,)
    state : CellState or None
        State before the first step; None means the learned one.
    traces : {"states", "heads"} or None, default=None
        Which trace to keep: the states and interfaces of all steps, or the same without
        the memories.
    laid_out : LaidOut or None, default=None
        The weights, if they are laid out already; there are then no gradients.

    Returns
    -------
    outputs : Tensor of shape (batch, n_timesteps, n_outputs)
        Zeros after a sequence's end.
    state : CellState
        State after each sequence's own last step.
    trace : Trace or None
    """
    from sknt.kernels.engine import Call, FusedSequences, Weights, make_batch

    batch = make_batch(lengths.numpy())
    if laid_out is None:
        sizes, parameters = _describe(cell, readout)
        first = _first_state(cell, sizes, state, len(x))
        tensors = [x, *first, *parameters]
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
            results = FusedSequences.apply(sizes, batch, traces, state is None, *tensors)
            return _name_results(cell, sizes, *results)
        weights = Weights(sizes, parameters)
    else:
        sizes, weights, first = laid_out
        if state is not None:
            first = _first_state(cell, sizes, state, len(x))
    results = Call(sizes, batch, weights, x).run(first, traces, keeps=False)
    return _name_results(cell, sizes, *results)


def _name_results(
    cell: Any, sizes: Any, outputs: Tensor, *parts: Tensor
) -> tuple[Tensor, CellState, Trace | None]:
    """Make states and a trace from the parts that the kernels return."""
    final, steps = _to_cell_state(cell, sizes, *parts[:5]), parts[5:]
    if not steps:
        return outputs, final, None
    interfaces = cell.memory.split_interface(steps[5].flatten(-2))
    return outputs, final, Trace(_to_cell_state(cell, sizes, *steps[:5]), interfaces)


def _describe(cell: Any, readout: nn.Linear) -> tuple[Any, list[Tensor]]:
    """Return the kernels' sizes, and the parameters in their order."""
    from sknt.kernels.layout import make_sizes

    controller = cell.controller
    if isinstance(controller, FeedForwardController):
        linear = [layer for layer in controller if isinstance(layer, nn.Linear)]
        layers = [[layer.weight, layer.bias] for layer in linear]
    else:
        layers = controller.all_weights
    memory, interface = _describe_memory(cell, readout)
    n_reads = memory["read_heads"] * memory["width"]
    sizes = make_sizes(
        controller=CONTROLLER_CODES[type(controller)],
        layers=len(layers),
        hidden=readout.in_features - n_reads,
        inputs=layers[0][0].shape[1] - n_reads,
        outputs=readout.out_features,
        **memory,
    )
    of_layers = [parameter for layer in layers for parameter in layer]
    return sizes, [*of_layers, *interface, readout.weight, readout.bias]


def _describe_memory(cell: Any, readout: nn.Linear) -> tuple[dict[str, Any], list[Tensor]]:
    """Return the sizes of a memory and its interface's parameters; empty without one."""
    if not isinstance(cell, MemoryCell):
        counts = ("read_heads", "write_heads", "rows", "width")
        flags = ("squashes_keys", "squashes_adds")
        nothing = readout.weight.new_zeros(0, readout.in_features)
        nothings = dict.fromkeys(counts + flags, 0)
        # All of the same types as with a memory, so that nothing is compiled twice.
        return nothings | {"shifts": 1, "clip": 0.0}, [nothing, nothing[:, 0]]
    memory: Any = cell.memory
    sizes = {
        "read_heads": memory.n_read_heads,
        "write_heads": memory.n_write_heads,
        "rows": memory.memory_size,
        "width": memory.word_size,
        "shifts": 2 * memory.shift_range + 1,
        "clip": float("inf" if memory.interface_clip is None else memory.interface_clip),
        "squashes_keys": int(memory.key_activation == "tanh"),
        "squashes_adds": int(memory.add_activation == "tanh"),
    }
    return sizes, [memory.projection.weight, memory.projection.bias]


def _first_state(cell: Any, sizes: Any, state: Any, n_sequences: int) -> list[Tensor]:
    """Return a state's parts in the kernels' order; the learned one has no batch axis."""
    has_memory = isinstance(cell, MemoryCell)
    batch = () if state is None else (n_sequences,)
    of_controller, prefix = cell.controller, "initial_"
    if state is not None:
        of_controller, prefix = (state.controller if has_memory else state), ""
    zeros = next(cell.controller.parameters()).new_zeros
    nothing = zeros(*batch, sizes.layers, sizes.hidden)
    carried = [getattr(of_controller, prefix + n, nothing) for n in ("hidden", "cell")]
    if not has_memory:
        return [zeros(*batch, 0, 0)] * 3 + carried
    if state is None:
        weights = torch.softmax(cell.memory.initial_logits, dim=-1)
        return [cell.memory.initial_memory, weights, cell.initial_reads, *carried]
    heads = state.memory
    weights = torch.cat([heads.read_weights, heads.write_weights], dim=1)
    return [heads.memory, weights, state.reads, *carried]


def _to_cell_state(
    cell: Any,
    sizes: Any,
    memory: Tensor,
    weights: Tensor,
    reads: Tensor,
    hidden: Tensor,
    memory_cell: Tensor,
) -> Any:
    controller: Any = NoState()
    if isinstance(cell.controller, LSTMController):
        controller = LSTMState(hidden, memory_cell)
    elif isinstance(cell.controller, GRUController):
        controller = GRUState(hidden)
    if not isinstance(cell, MemoryCell):
        return controller
    read, write = weights.split([sizes.read_heads, sizes.write_heads], dim=-2)
    return CellState(controller, reads, NTMState(memory, read, write))
