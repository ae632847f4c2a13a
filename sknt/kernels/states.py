"""States and traces: torch's tensors on one side, the kernels' rows on the other.

The rows are those of :mod:`sknt.kernels.layout`. A trace consists of two arrays: the
memories, (B, T, W * N) or empty, and the rest of each state followed by the interface.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sknt.kernels.layout import Sizes

Array = NDArray[Any]


def _fields(sizes: Sizes) -> list[tuple[int, tuple[int, ...]]]:
    """Return where the parts of a state after its memory start, and their shapes."""
    return [
        (sizes.weights_at, (sizes.heads, sizes.rows)),
        (sizes.reads_at, (sizes.read_heads, sizes.width)),
        (sizes.hidden_at, (sizes.layers, sizes.hidden)),
        (sizes.cell_at, (sizes.layers, sizes.hidden)),
        (sizes.state, (1, sizes.interface)),
    ]


def split_states(sizes: Sizes, states: Tensor, rest: Tensor | None = None) -> list[Tensor]:
    """Return views of the parts of states: memory, weightings, reads, hidden and cell.

    With ``rest``, the states are a trace's memories and ``rest`` is its second array; the
    interface is then returned as well.
    """
    before = states.shape[:-1]
    strides = states.stride()[:-1]
    n_rows = sizes.rows if states.shape[-1] else 0  # a trace may leave out the memories
    memory = states.as_strided((*before, n_rows, sizes.width), (*strides, 1, n_rows), 0)
    fields, origin = _fields(sizes), sizes.memory
    if rest is None:
        rest, fields, origin = states, fields[:-1], 0
    strides = rest.stride()[:-1]
    return [
        memory,
        *(
            rest.as_strided((*before, *shape), (*strides, shape[1], 1), at - origin)
            for at, shape in fields
        ),
    ]


def join_states(sizes: Sizes, parts: Sequence[Any], n_sequences: int, dtype: Any) -> Array:
    """Lay out states, or gradients (some may be None), as the kernels take them."""
    states = np.zeros((n_sequences, sizes.state), dtype)
    memory, *rest = parts
    if memory is not None:
        target = states[:, : sizes.memory].reshape(n_sequences, sizes.width, sizes.rows)
        target[...] = memory.swapaxes(-1, -2)
    for (at, shape), part in zip(_fields(sizes)[:-1], rest, strict=True):
        if part is not None:
            n = shape[0] * shape[1]
            states[:, at : at + n].reshape(n_sequences, *shape)[...] = part
    return states


def no_trace(dtype: Any) -> tuple[Array, Array]:
    """Return the two arrays of a trace that is not kept."""
    return np.zeros((0, 0, 0), dtype), np.zeros((0, 0, 0), dtype)


def join_trace(
    sizes: Sizes, parts: Sequence[Any], shape: Any, dtype: Any
) -> tuple[Array, Array]:
    """Lay out the gradients with respect to a trace as the kernels take them."""
    n_sequences, n_steps = shape[:2]
    memory, *rest = parts
    memories, _ = no_trace(dtype)
    if memory is not None and memory.size:
        memories = np.ascontiguousarray(memory.swapaxes(-1, -2))
        memories = memories.reshape(n_sequences, n_steps, sizes.memory)
    n_rest = sizes.state - sizes.memory + sizes.interface
    trace = np.zeros((n_sequences, n_steps, n_rest), dtype)
    for (at, (n, m)), part in zip(_fields(sizes), rest, strict=True):
        if part is not None:
            at -= sizes.memory
            trace[..., at : at + n * m] = part.reshape(n_sequences, n_steps, n * m)
    return memories, trace
