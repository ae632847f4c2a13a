"""A cell applied to whole sequences of unequal length.

Sequences are packed as torch packs them: longest first, and at each step only the
sequences that are still running. Absent steps are therefore never computed, and cannot
change anything.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from sknt.memories import Trace


def map_state(function: Callable[..., Tensor], *states: Any) -> Any:
    """Apply a function to the tensors at the same place of nested NamedTuples."""
    if isinstance(states[0], Tensor):
        return function(*states)
    parts = (map_state(function, *fields) for fields in zip(*states, strict=True))
    return type(states[0])(*parts)


def unroll(
    cell: Any,
    inputs: PackedSequence,
    state: Any,
    *,
    traces: str | None = None,
    n_timesteps: int | None = None,
) -> tuple[PackedSequence, Any, Trace | None]:
    """Step a cell through packed sequences.

    Parameters
    ----------
    cell : Module
        With ``step(inputs, state) -> (features, state, interface)`` and ``slim(state)``.
    inputs : PackedSequence of width n_inputs
    state : nested NamedTuple
        State before the first step, in the order of the batch.
    traces : {"states", "heads"} or None, default=None
        Which trace to keep: the states and interfaces of all steps, or the same without
        the memory's bulky fields.
    n_timesteps : int or None, default=None
        Number of steps of the trace; None means as many as the longest sequence has.

    Returns
    -------
    features : PackedSequence
    state : nested NamedTuple
        State after each sequence's own last step, in the order of the batch.
    trace : Trace or None
    """
    if inputs.sorted_indices is not None:
        state = map_state(lambda s: s[inputs.sorted_indices], state)
    n_present = inputs.batch_sizes.tolist()
    features, states, interfaces, ended = [], [], [], []
    n_running = n_present[0]
    for step_inputs in inputs.data.split(n_present):
        n_left = len(step_inputs)
        if n_left < n_running:
            ended.append(map_state(lambda s, n=n_left: s[n:], state))
            state = map_state(lambda s, n=n_left: s[:n], state)
            n_running = n_left
        step_features, state, interface = cell.step(step_inputs, state)
        features.append(step_features)
        if traces is not None:
            states.append(cell.slim(state) if traces == "heads" else state)
            interfaces.append(interface)
    # The shortest sequences ended first and are the last of the sorted batch.
    state = map_state(lambda *s: torch.cat(s), state, *reversed(ended))
    if inputs.unsorted_indices is not None:
        state = map_state(lambda s: s[inputs.unsorted_indices], state)

    def stack(*steps: Tensor) -> Tensor:
        packed = inputs._replace(data=torch.cat(steps))
        return pad_packed_sequence(packed, batch_first=True, total_length=n_timesteps)[0]

    trace = None
    if traces is not None:
        trace = Trace(map_state(stack, *states), map_state(stack, *interfaces))
    return inputs._replace(data=torch.cat(features)), state, trace
