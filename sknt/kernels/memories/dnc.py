"""One step of the DNC's memory, forward and backward, for one sequence.

The equations are those of ``sknt.memories.dnc``; their parts are in ``sknt.kernels.ops``.
Letters: R read heads, V write heads, H heads (R + V, the read heads first), N memory rows,
W row width. The memory is kept transposed, (W, N); links are (V, N, N), so that every loop
runs over adjacent numbers.
"""

from typing import Any, NamedTuple

from sknt.kernels._compile import helper, stage
from sknt.kernels.functions import (
    clip,
    clip_backward,
    exp,
    sigmoid,
    sigmoid_backward,
    softmax,
    softmax_backward,
    softplus,
)
from sknt.kernels.layout import PORTION
from sknt.kernels.memories._dnc_reads import (
    follow_links,
    follow_links_backward,
    place_reads,
    place_reads_backward,
    read_backward,
)
from sknt.kernels.memories._dnc_writes import (
    place_writes,
    place_writes_backward,
    rewrite,
    update_usage,
    update_usage_backward,
    write_all,
    writes_backward,
)
from sknt.kernels.ops.linkage import (
    ROWS,
    link,
    precede,
)
from sknt.kernels.pointers import at, copy, number, plain
from sknt.kernels.products import multiply_transposed
from sknt.ops.lookup import MASK_FLOOR


class Dims(NamedTuple):
    """Sizes of a DNC's memory."""

    rows: int  # N
    width: int  # W
    read_heads: int  # R
    write_heads: int  # V
    heads: int  # H
    modes: int  # 1 + 2V
    columns: int  # of the interface
    portions: int  # the same in whole portions
    clip: float  # inf for none
    masks: int  # 1 or 0: whether keys have masks
    deallocates: int  # whether freed rows are cleared
    sharpens: int  # whether what links lead to is sharpened


transposed = ("memory",)


def dims(memory: Any) -> Dims:
    """Return the sizes of a memory."""
    reads, writes = memory.n_read_heads, memory.n_write_heads
    columns = memory.projection.out_features
    return Dims(
        rows=memory.memory_size,
        width=memory.word_size,
        read_heads=reads,
        write_heads=writes,
        heads=reads + writes,
        modes=1 + 2 * writes,
        columns=columns,
        portions=-(-columns // PORTION) * PORTION,
        clip=float("inf" if memory.interface_clip is None else memory.interface_clip),
        masks=int(memory.masked_content),
        deallocates=int(memory.deallocate),
        sharpens=int(memory.sharpen_links),
    )


def state(d: Dims) -> dict[str, tuple[int, ...]]:
    """Return the parts of a state."""
    return {
        "memory": (d.width, d.rows),
        "links": (d.write_heads, d.rows, d.rows),
        "usage": (d.rows,),
        "precedence": (d.write_heads, d.rows),
        "read_weights": (d.read_heads, d.rows),
        "write_weights": (d.write_heads, d.rows),
    }


def interface(d: Dims) -> dict[str, tuple[int, ...]]:
    """Return the parts of an interface."""
    return {
        "key": (d.heads, d.width),
        "strength": (d.heads, 1),
        "mask": (d.heads, d.width if d.masks else 0),
        "modes": (d.read_heads, d.modes),
        "sharpness": (d.read_heads, 2 if d.sharpens else 0),
        "free_gate": (d.read_heads, 1),
        "allocation_gate": (d.write_heads, 1),
        "write_gate": (d.write_heads, 1),
        "erase": (d.write_heads, d.width),
        "add": (d.write_heads, d.width),
    }


def history(d: Dims) -> dict[str, tuple[int, ...]]:
    """Return what is kept of a step."""
    return {
        "retention": (d.rows,),
        "usage": (d.write_heads, d.rows),  # as each write head sees it
        "order": (d.write_heads, d.rows),  # the rows by that usage
        "allocated": (d.write_heads, d.rows),
        "content": (d.write_heads, d.rows),  # content weightings of write heads
        "targets": (d.modes, d.read_heads, d.rows),  # where each mode leads read heads
        "read_weights": (d.read_heads, d.rows),
        "write_weights": (d.write_heads, d.rows),
        # Of the lookups, see sknt.kernels.ops.lookup:
        "cosines": (d.heads, d.rows),
        "row_norms": (d.heads, d.rows),
        "key_norms": (d.heads,),
        # Of sharpening, see sknt.kernels.ops.sharpening:
        "logs": (d.modes if d.sharpens else 0, d.read_heads, d.rows),
        "totals": (2, d.write_heads, d.read_heads),
    }


def scratch(d: Dims) -> dict[str, tuple[int, ...]]:
    """Return the working memory of a step."""
    most_heads = max(d.read_heads, d.write_heads)
    return {
        "columns": (2, d.portions),  # of the interface
        "one_plus": (d.heads + 2 * d.read_heads + PORTION,),  # strengths and sharpness
        "ones": (d.write_heads,),
        "ones_gradient": (d.write_heads,),
        "factors": (most_heads, d.rows),
        "untouched": (d.rows,),
        "row": (d.rows,),
        "ranks": (d.rows,),
        "taken": (d.rows,),
        "sharpened": (d.modes if d.sharpens else 0, d.read_heads, d.rows),
        # Of a lookup, see sknt.kernels.ops.lookup:
        "keys": (most_heads, d.width),
        "key_columns": (most_heads, d.width),
        "squares": (d.width, d.rows),
        # Only in the backward pass:
        "products": (most_heads, d.rows),
        "norms": (most_heads, d.rows),
        "key_sums": (most_heads, d.width),
        "column_sums": (most_heads, d.width),
        "slopes": (d.width, d.rows),
        "powers": (d.modes if d.sharpens else 0, d.read_heads, d.rows),
        "content_gradient": (d.write_heads, d.rows),
        "targets_gradient": (d.modes, d.read_heads, d.rows),
        "slopes_of_links": (3, d.read_heads, d.rows),  # as links_backward takes them
        "allocated_gradient": (d.rows,),
        "usage_gradient": (d.rows,),
        "retention_gradient": (d.rows,),
        "links": (ROWS, d.rows),
        "memories": (d.write_heads + 1, d.width, d.rows),  # before each write, and after
    }


# Activations


@stage
def activate(d, raw, interface, scratch):
    """Clip the raw interface and apply its activations.

    Where only some of the columns are wanted, all are computed in ``scratch.columns``: a
    loop over few would not be vectorised.
    """
    columns, n, own = raw.key, d.portions, interface.key
    zero, one = number(columns, 0.0), number(columns, 1.0)
    clipped, squashed = scratch.columns, at(scratch.columns, n)
    clip(d.columns, n, d.clip, columns, clipped)
    for i in range(n):
        squashed[i] = sigmoid(clipped[i])
    n_keys, n_adds, n_reads = d.heads * d.width, d.write_heads * d.width, d.read_heads
    n_masks, n_sharp = n_keys if d.masks else 0, 2 * n_reads if d.sharpens else 0
    strength = n_keys
    mask = strength + d.heads
    modes = mask + n_masks
    sharpness = modes + n_reads * d.modes
    gates = sharpness + n_sharp
    adds = d.columns - n_adds
    copy(n_keys, clipped, interface.key)
    copy(n_adds, at(clipped, adds), interface.add)
    copy(adds - gates, at(squashed, gates), interface.free_gate)  # with what follows
    floor = number(columns, MASK_FLOOR)
    rest = one - floor
    for i in range(n_masks):
        interface.mask[i] = floor + rest * squashed[mask + i]
    for head in range(n_reads):
        start = modes + head * d.modes
        softmax(d.modes, at(clipped, start), at(own, start))
    one_plus, used = scratch.one_plus, d.heads + n_sharp
    copy(d.heads, at(clipped, strength), one_plus)
    copy(n_sharp, at(clipped, sharpness), at(one_plus, d.heads))
    padded = (used + PORTION - 1) // PORTION * PORTION
    for i in range(used, padded):
        one_plus[i] = zero
    for i in range(padded):
        one_plus[i] = one + softplus(one_plus[i])
    copy(d.heads, one_plus, interface.strength)
    copy(n_sharp, at(one_plus, d.heads), interface.sharpness)


@helper
def _oneplus_backward(n, values, gradient):
    """Backpropagate through ``1 + softplus`` of n numbers."""
    one = number(values, 1.0)
    for i in range(n):
        gradient[i] *= one - exp(one - values[i])


@stage
def activate_backward(d, raw, interface, gradient, scratch):
    """Backpropagate through the activations, from the interface to ``raw``'s place."""
    one, floor = number(raw.key, 1.0), number(raw.key, MASK_FLOOR)
    scale = one / (one - floor)
    _oneplus_backward(d.heads, interface.strength, gradient.strength)
    if d.sharpens:
        _oneplus_backward(2 * d.read_heads, interface.sharpness, gradient.sharpness)
    if d.masks:
        for i in range(d.heads * d.width):
            m = interface.mask[i]
            gradient.mask[i] *= (m - floor) * (one - m) * scale
    for head in range(d.read_heads):
        mode, d_mode = (
            at(interface.modes, head * d.modes),
            at(gradient.modes, head * d.modes),
        )
        softmax_backward(d.modes, mode, d_mode, d_mode)
    n_gates = d.read_heads + 2 * d.write_heads + d.write_heads * d.width
    sigmoid_backward(n_gates, interface.free_gate, gradient.free_gate)
    clip_backward(d.columns, d.clip, gradient.key, raw.key)


# Forward


@stage
def step(d, interface, state, reads, history, scratch):
    """Allocate, write with each head in turn, link what was written, then read."""
    n, width = d.rows, d.width
    update_usage(d, interface, state, history, scratch)
    place_writes(d, interface, state.memory, history, scratch)
    write_all(d, interface, history, state.memory)
    follow_links(d, state, history)
    place_reads(d, interface, state.memory, history, scratch)
    multiply_transposed(
        d.read_heads,
        width,
        n,
        history.read_weights,
        n,
        state.memory,
        n,
        reads,
        width,
        plain(False),
    )
    copy(n, history.usage, state.usage)
    copy(d.read_heads * n, history.read_weights, state.read_weights)
    copy(d.write_heads * n, history.write_weights, state.write_weights)


@stage
def replay(d, interface, history, before, after):
    """Free, write and link once more, and take over the rest."""
    n, first = d.rows, plain(0)
    copy(d.width * n, before.memory, after.memory)
    write_all(d, interface, history, after.memory)
    for v in range(d.write_heads):
        focus, precedence = at(history.write_weights, v * n), at(before.precedence, v * n)
        old, new = at(before.links, v * n * n), at(after.links, v * n * n)
        link(n, first, n, focus, precedence, old, new)
        precede(n, focus, precedence, at(after.precedence, v * n))
    copy(n, history.usage, after.usage)
    copy(d.read_heads * n, history.read_weights, after.read_weights)
    copy(d.write_heads * n, history.write_weights, after.write_weights)


# Backward


@stage
def step_backward(d, interface, before, history, d_state, d_reads, gradient, scratch):
    """Backpropagate through one step."""
    n = d.rows
    rewrite(d, interface, before.memory, history, scratch)
    memory = at(scratch.memories, d.write_heads * d.width * n)
    read_backward(d, memory, history, d_state, d_reads)
    place_reads_backward(d, interface, memory, history, d_state, gradient, scratch)
    follow_links_backward(d, before, history, d_state, scratch)
    writes_backward(d, interface, before.memory, history, d_state, gradient, scratch)
    place_writes_backward(d, interface, before.memory, history, d_state, gradient, scratch)
    update_usage_backward(d, interface, before, history, d_state, gradient, scratch)
