"""A cell applied to padded sequences, as one operation whose number of steps stays open.

This is what is exported in the place of :mod:`sknt.nn.unroll`: the program that torch
records must not depend on how long the sequences of the example are, nor branch on their
lengths. All sequences take all steps, and the state of one that has ended stays as it was.
"""

import warnings
from typing import Any

import torch
from torch import Tensor

from sknt._private import scan
from sknt.memories import Trace
from sknt.nn.pooling import step_mask


def scan_steps(
    cell: Any, x: Tensor, lengths: Tensor, state: Any, *, traces: str | None = None
) -> tuple[Tensor, Any, Trace | None]:
    """Step a cell through padded sequences.

    Parameters
    ----------
    cell : Module
        As for :func:`sknt.nn.unroll.unroll`.
    x : Tensor of shape (batch, n_timesteps, n_inputs)
    lengths : Tensor of int64 of shape (batch,)
    state : nested NamedTuple
        State before the first step.
    traces : {"states", "heads"} or None, default=None
        Which trace to keep.

    Returns
    -------
    features : Tensor of shape (batch, n_timesteps, n_features)
        Zeros after a sequence's end.
    state : nested NamedTuple
        State after each sequence's own last step.
    trace : Trace or None
    """
    present = step_mask(lengths, x.shape[1]).to(x.device)
    inputs = torch.where(present, x, 0)

    def seen(after: Any) -> Any:
        return cell.slim(after) if traces == "heads" else after

    def step(
        before: list[Tensor], given: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        is_running = given[1]

        def keep_if_ended(new: Tensor, old: Tensor) -> Tensor:
            axes = [1] * (new.ndim - 1)
            return torch.where(is_running.reshape(-1, *axes), new, old).contiguous()

        features, after, interface = cell.step(given[0], _build(state, before))
        kept = [features]
        if traces is not None:
            kept += [*_parts(seen(after)), *_parts(interface)]
        carried = [*map(keep_if_ended, _parts(after), before)]
        carried = carried or [before[0].clone()]
        return carried, [part.clone() for part in kept]

    # A scan takes and returns neither views nor tensors of its own arguments.
    first = [p.clone(memory_format=torch.contiguous_format) for p in _parts(state)]
    first = first or [x.new_zeros(1)]  # something has to be carried, even by no state
    steps = [inputs.transpose(0, 1), present.squeeze(-1).T]
    with warnings.catch_warnings():
        # Of torch's own look at the learned first state, which is no leaf.
        warnings.filterwarnings("ignore", "The .grad attribute of a Tensor", UserWarning)
        last, kept = scan(step, first, [part.contiguous() for part in steps])

    def lay_out(part: Tensor) -> Tensor:
        part = part.transpose(0, 1)
        axes = [1] * (part.ndim - 2)
        return torch.where(present.reshape(*present.shape[:2], *axes), part, 0)

    features, *of_trace = map(lay_out, kept)
    state, trace = _build(state, last), None
    if traces is not None:
        interface, n_parts = cell.step(inputs[:, 0], state)[2], len(_parts(state))
        states = _build(seen(state), of_trace[:n_parts])
        trace = Trace(states, _build(interface, of_trace[n_parts:]))
    return features, state, trace


def _parts(tree: Any) -> list[Tensor]:
    """Return the tensors of nested NamedTuples, which a scan does not take."""
    if isinstance(tree, Tensor):
        return [tree]
    return [part for branch in tree for part in _parts(branch)]


def _build(like: Any, parts: list[Tensor]) -> Any:
    """Return nested NamedTuples like others, of the tensors given."""
    if isinstance(like, Tensor):
        return parts[0]
    branches, start = [], 0
    for branch in like:
        stop = start + len(_parts(branch))
        branches.append(_build(branch, parts[start:stop]))
        start = stop
    return type(like)(*branches)
