"""A memory cell and a readout in the compiled kernels, whole sequences at once.

The kernels compute what :mod:`sknt.nn.unroll` does step by step. This module decides when
they can take its place, and translates between torch's modules and the kernels' layout.
"""

import warnings
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sknt.memories import Trace
from sknt.nn.cell import CellState, MemoryCell
from sknt.nn.structure import structure_of
from sknt.nn.tape import Tape


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

    plan, parameters = structure_of(cell, readout).describe()
    first = flatten_state(cell, plan, cell.initial_state(1))
    return LaidOut(plan, Weights(plan.places, parameters), first)


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
        plan, parameters = structure_of(cell, readout).describe()
        first = flatten_state(cell, plan, example)
        if tape is not None and tape.serves([*first, *parameters]):
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
            first = flatten_state(cell, plan, state)
    outputs, states, steps = Call(plan, batch, weights, x).run(first, traces, keeps=False)
    return _name_results(cell, plan, example, n_hops, outputs, states, *steps)


def flatten_state(cell: Any, plan: Any, state: Any) -> list[Tensor]:
    """Return the parts of a cell's state in the kernels' order."""
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
        final = name_state(cell, example, *split_states(plan.parts, states))
    if n_hops > 1:
        outputs = outputs[:, n_hops - 1 :: n_hops]
        steps = tuple(part[:, n_hops - 1 :: n_hops] for part in steps)
    if not steps:
        return outputs, final, None
    interfaces = cell.memory.interface_type(*steps[n_parts:])
    trace = Trace(name_state(cell, example, *steps[:n_parts]), interfaces)
    return outputs, final, trace


def name_state(cell: Any, example: Any, *parts: Tensor) -> Any:
    """Make a cell's state like an example from its parts."""
    *of_memory, reads, hidden, memory_cell = parts
    carried = {"hidden": hidden, "cell": memory_cell}
    has_memory = isinstance(cell, MemoryCell)
    controller: Any = example.controller if has_memory else example
    controller = type(controller)(*(carried[name] for name in controller._fields))
    if not has_memory:
        return controller
    return CellState(controller, reads, type(example.memory)(*of_memory))
