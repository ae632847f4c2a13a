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
from sknt.kernels.ops.allocation import (
    allocate,
    allocate_backward,
    retain,
    retain_backward,
    sort,
    use,
)
from sknt.kernels.ops.linkage import (
    ROWS,
    link,
    link_and_follow,
    links_backward,
    precede,
    precede_backward,
)
from sknt.kernels.ops.lookup import (
    Lookup,
    compare,
    compare_backward,
    mask_keys,
    weigh,
    weigh_backward,
)
from sknt.kernels.ops.sharpening import sharpen, sharpen_again, sharpen_backward
from sknt.kernels.ops.writing import write, write_backward, write_in_place
from sknt.kernels.pointers import at, copy, number, plain
from sknt.kernels.products import multiply, multiply_transposed
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


@helper
def _lookup_room(d, first, history, scratch):
    """Return the working memory of the lookups of some heads, from the first one on."""
    return Lookup(
        scratch.keys,
        scratch.key_columns,
        scratch.squares,
        at(history.cosines, first * d.rows),
        at(history.row_norms, first * d.rows),
        at(history.key_norms, first),
        scratch.products,
        scratch.norms,
        scratch.key_sums,
        scratch.column_sums,
        scratch.slopes,
    )


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
    _use(d, interface, state, history, scratch)
    _place_writes(d, interface, state.memory, history, scratch)
    _write(d, interface, history, state.memory)
    for v in range(d.write_heads):
        focus, precedence = at(history.write_weights, v * n), at(state.precedence, v * n)
        link_and_follow(
            n,
            d.read_heads,
            focus,
            precedence,
            at(state.links, v * n * n),
            state.read_weights,
            _targets(d, history.targets, v),
            _targets(d, history.targets, d.write_heads + 1 + v),
        )
        precede(n, focus, precedence, precedence)
    _place_reads(d, interface, state.memory, history, scratch)
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


@helper
def _targets(d, targets, mode):
    """Return a pointer to where a mode leads the read heads."""
    return at(targets, mode * d.read_heads * d.rows)


@stage
def _use(d, interface, state, history, scratch):
    """Compute retention and the usage that the first write head sees."""
    n, one = d.rows, number(state.usage, 1.0)
    for v in range(d.write_heads):
        scratch.ones[v] = one
    retain(
        n,
        d.write_heads,
        scratch.ones,
        state.write_weights,
        scratch.factors,
        scratch.untouched,
    )
    retain(
        n,
        d.read_heads,
        interface.free_gate,
        state.read_weights,
        scratch.factors,
        history.retention,
    )
    use(n, state.usage, scratch.untouched, history.retention, history.usage)


@helper
def _of_write_heads(d, of_heads, width):
    """Return a pointer to the write heads' numbers, ``width`` of each head."""
    return at(of_heads, d.read_heads * width)


@stage
def _place_writes(d, interface, memory, history, scratch):
    """Weigh where each write head writes: to free rows, or where the content is."""
    n, room = d.rows, _lookup_room(d, d.read_heads, history, scratch)
    keys = _of_write_heads(d, interface.key, d.width)
    masks = _of_write_heads(d, interface.mask, d.width)
    strengths, content = _of_write_heads(d, interface.strength, 1), history.content
    compare(d, d.write_heads, keys, masks, d.masks != 0, memory, room)
    weigh(d, d.write_heads, strengths, room.cosines, content)
    for v in range(d.write_heads):
        usage, order = at(history.usage, v * n), at(history.order, v * n)
        allocated, looked_up = at(history.allocated, v * n), at(content, v * n)
        sort(n, usage, order, scratch.row, scratch.ranks, scratch.taken)
        allocate(n, usage, order, allocated)
        write, allocation = interface.write_gate[v], interface.allocation_gate[v]
        focus = at(history.write_weights, v * n)
        for i in range(n):
            mixed = looked_up[i] + allocation * (allocated[i] - looked_up[i])
            focus[i] = write * mixed
        if v < d.write_heads - 1:
            taken, used = write * allocation, at(history.usage, (v + 1) * n)
            for i in range(n):
                used[i] = usage[i] + taken * allocated[i]


@stage
def _place_reads(d, interface, memory, history, scratch):
    """Weigh where each read head reads: by content, or along the links."""
    n, one, put = d.rows, plain(1), plain(False)
    key, mask, masks = interface.key, interface.mask, d.masks != 0
    room = _lookup_room(d, plain(0), history, scratch)
    compare(d, d.read_heads, key, mask, masks, memory, room)
    content = _targets(d, history.targets, d.write_heads)
    weigh(d, d.read_heads, interface.strength, room.cosines, content)
    targets = _sharpen(d, interface, history, scratch)
    for r in range(d.read_heads):
        modes, of_head = at(interface.modes, r * d.modes), at(targets, r * n)
        focus, stride = at(history.read_weights, r * n), d.read_heads * n
        multiply(one, n, d.modes, modes, d.modes, one, of_head, stride, focus, n, put)


@stage
def _sharpen(d, interface, history, scratch):
    """Return where the modes lead after sharpening, if there is any."""
    if not d.sharpens:
        return history.targets
    reads, writes, size = d.read_heads, d.write_heads, d.read_heads * d.rows
    for forth in range(2):
        first, heads = forth * (writes + 1) * size, forth * writes * reads
        sharpen(
            d.rows,
            writes,
            reads,
            at(interface.sharpness, forth),
            at(history.targets, first),
            at(history.logs, first),
            at(scratch.sharpened, first),
            at(history.totals, heads),
        )
    content = _targets(d, history.targets, writes)
    copy(size, content, _targets(d, scratch.sharpened, writes))
    return scratch.sharpened


@helper
def _free(d, retention, old, new):
    """Clear the rows that were freed."""
    n = d.rows
    for w in range(d.width):
        before, after = at(old, w * n), at(new, w * n)
        for i in range(n):
            after[i] = before[i] * retention[i]


@stage
def _write(d, interface, history, memory):
    """Clear what was freed, then write with each head, in the memory itself."""
    n, width = d.rows, d.width
    if d.deallocates:
        _free(d, history.retention, memory, memory)
    for v in range(d.write_heads):
        focus, at_word = at(history.write_weights, v * n), v * width
        erase, add = at(interface.erase, at_word), at(interface.add, at_word)
        write_in_place(n, width, focus, erase, add, memory)


@stage
def replay(d, interface, history, before, after):
    """Free, write and link once more, and take over the rest."""
    n, first = d.rows, plain(0)
    copy(d.width * n, before.memory, after.memory)
    _write(d, interface, history, after.memory)
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
    _rewrite(d, interface, before.memory, history, scratch)
    memory = at(scratch.memories, d.write_heads * d.width * n)
    _read_backward(d, memory, history, d_state, d_reads)
    _place_reads_backward(d, interface, memory, history, d_state, gradient, scratch)
    _link_backward(d, before, history, d_state, scratch)
    for v in range(d.write_heads - 1, -1, -1):
        at_word = v * d.width
        write_backward(
            n,
            d.width,
            at(history.write_weights, v * n),
            at(interface.erase, at_word),
            at(interface.add, at_word),
            at(scratch.memories, at_word * n),
            d_state.memory,
            at(d_state.write_weights, v * n),
            at(gradient.erase, at_word),
            at(gradient.add, at_word),
        )
    zero = number(before.usage, 0.0)
    for i in range(n):
        scratch.retention_gradient[i] = zero
    if d.deallocates:
        _free_backward(
            d, history.retention, before.memory, d_state.memory, scratch.retention_gradient
        )
    _place_writes_backward(d, interface, before.memory, history, d_state, gradient, scratch)
    _use_backward(d, interface, before, history, d_state, gradient, scratch)


@stage
def _rewrite(d, interface, memory, history, scratch):
    """Compute the memory before each write, and after the last one."""
    n, width = d.rows, d.width
    if d.deallocates:
        _free(d, history.retention, memory, scratch.memories)
    else:
        copy(width * n, memory, scratch.memories)
    for v in range(d.write_heads):
        focus, at_word = at(history.write_weights, v * n), v * width
        erase, add = at(interface.erase, at_word), at(interface.add, at_word)
        old = at(scratch.memories, at_word * n)
        write(n, width, focus, erase, add, old, at(old, width * n))


@stage
def _read_backward(d, memory, history, d_state, d_reads):
    """Backpropagate from what was read to the weightings and the memory."""
    one, accumulate, n, width = plain(1), plain(True), d.rows, d.width
    multiply(
        d.read_heads,
        n,
        width,
        d_reads,
        width,
        one,
        memory,
        n,
        d_state.read_weights,
        n,
        accumulate,
    )
    multiply(
        width,
        n,
        d.read_heads,
        d_reads,
        one,
        width,
        history.read_weights,
        n,
        d_state.memory,
        n,
        accumulate,
    )


@stage
def _place_reads_backward(d, interface, memory, history, d_state, gradient, scratch):
    """Backpropagate from read weightings to contents and to what links lead to.

    The gradients of the latter go to ``scratch.targets_gradient``.
    """
    n, reads, modes, one = d.rows, d.read_heads, d.modes, plain(1)
    put, accumulate, stride = plain(False), plain(True), reads * n
    targets = _sharpen_again(d, interface, history, scratch)
    for r in range(reads):
        mode, d_mode = at(interface.modes, r * modes), at(gradient.modes, r * modes)
        d_focus, target = at(d_state.read_weights, r * n), at(targets, r * n)
        d_target = at(scratch.targets_gradient, r * n)
        multiply_transposed(
            one, modes, n, d_focus, n, target, stride, d_mode, modes, accumulate
        )
        multiply(modes, n, one, mode, one, one, d_focus, n, d_target, stride, put)
    _sharpen_backward(d, interface, history, gradient, scratch)
    _look_up_backward(
        d,
        plain(False),
        interface,
        memory,
        history,
        _targets(d, history.targets, d.write_heads),
        _targets(d, scratch.targets_gradient, d.write_heads),
        d_state.memory,
        gradient,
        scratch,
    )


@stage
def _sharpen_again(d, interface, history, scratch):
    """Return where the modes lead after sharpening, as :func:`_sharpen` does."""
    if not d.sharpens:
        return history.targets
    reads, writes, size = d.read_heads, d.write_heads, d.read_heads * d.rows
    for forth in range(2):
        first, heads = forth * (writes + 1) * size, forth * writes * reads
        sharpen_again(
            d.rows,
            writes,
            reads,
            at(interface.sharpness, forth),
            at(history.targets, first),
            at(history.logs, first),
            at(history.totals, heads),
            at(scratch.sharpened, first),
            at(scratch.powers, first),
        )
    content = _targets(d, history.targets, writes)
    copy(size, content, _targets(d, scratch.sharpened, writes))
    return scratch.sharpened


@stage
def _sharpen_backward(d, interface, history, gradient, scratch):
    """Backpropagate through the sharpening of what links lead to, if there is any."""
    if not d.sharpens:
        return
    reads, writes, size = d.read_heads, d.write_heads, d.read_heads * d.rows
    for forth in range(2):
        first, heads = forth * (writes + 1) * size, forth * writes * reads
        sharpen_backward(
            d.rows,
            writes,
            reads,
            at(interface.sharpness, forth),
            at(history.targets, first),
            at(history.logs, first),
            at(history.totals, heads),
            at(scratch.sharpened, first),
            at(scratch.powers, first),
            at(scratch.targets_gradient, first),
            at(gradient.sharpness, forth),
        )


@stage
def _look_up_backward(
    d,
    of_writes,
    interface,
    memory,
    history,
    content,
    d_content,
    d_memory,
    gradient,
    scratch,
):
    """Backpropagate through the lookups of the read heads, or of the write heads."""
    first, n_heads = (d.read_heads, d.write_heads) if of_writes else (0, d.read_heads)
    room, masks = _lookup_room(d, first, history, scratch), d.masks != 0
    at_word, at_mask = first * d.width, first * d.width if masks else 0
    key, mask = at(interface.key, at_word), at(interface.mask, at_mask)
    mask_keys(d, n_heads, key, mask, masks, memory, room)
    weigh_backward(
        d,
        n_heads,
        at(interface.strength, first),
        content,
        d_content,
        at(gradient.strength, first),
        room,
    )
    d_key, d_mask = at(gradient.key, at_word), at(gradient.mask, at_mask)
    compare_backward(d, n_heads, key, mask, masks, memory, d_key, d_mask, d_memory, room)


@stage
def _link_backward(d, before, history, d_state, scratch):
    """Backpropagate from what links led to, and from links and precedence.

    Gradients with respect to the read weightings replace those after the step.
    """
    n, zero, slopes = d.rows, number(before.links, 0.0), scratch.slopes_of_links
    part = d.read_heads * n
    copy(part, before.read_weights, at(slopes, part))
    for i in range(d.read_heads * n):
        d_state.read_weights[i] = zero
    for v in range(d.write_heads):
        focus, d_focus = at(history.write_weights, v * n), at(d_state.write_weights, v * n)
        precedence = at(before.precedence, v * n)
        d_precedence = at(d_state.precedence, v * n)
        copy(part, _targets(d, scratch.targets_gradient, v), slopes)
        forward = _targets(d, scratch.targets_gradient, d.write_heads + 1 + v)
        copy(part, forward, at(slopes, 2 * part))
        precede_backward(n, focus, precedence, d_precedence, d_focus)
        links_backward(
            n,
            d.read_heads,
            focus,
            precedence,
            at(before.links, v * n * n),
            slopes,
            d_state.read_weights,
            at(d_state.links, v * n * n),
            d_focus,
            d_precedence,
            scratch.links,
        )


@stage
def _free_backward(d, retention, memory, d_memory, d_retention):
    """Backpropagate through the clearing of freed rows."""
    n = d.rows
    for w in range(d.width):
        before, d_row = at(memory, w * n), at(d_memory, w * n)
        for i in range(n):
            slope = d_row[i]
            d_retention[i] += slope * before[i]
            d_row[i] = slope * retention[i]


@stage
def _place_writes_backward(d, interface, memory, history, d_state, gradient, scratch):
    """Backpropagate from write weightings to contents and usage, the last head first.

    The gradient with respect to the usage that the first head saw is added to that with
    respect to the state's.
    """
    n, last, zero = d.rows, d.write_heads - 1, number(memory, 0.0)
    d_allocated, d_usage = scratch.allocated_gradient, scratch.usage_gradient
    for i in range(n):
        d_usage[i] = zero  # to the usage that the next head saw
    for v in range(last, -1, -1):
        allocated = at(history.allocated, v * n)
        content = at(history.content, v * n)
        d_focus, d_content = (
            at(d_state.write_weights, v * n),
            at(scratch.content_gradient, v * n),
        )
        write, allocation = interface.write_gate[v], interface.allocation_gate[v]
        d_write, d_allocation, d_taken = zero, zero, zero
        for i in range(n):
            slope, more = d_focus[i], allocated[i] - content[i]
            d_write += slope * (content[i] + allocation * more)
            d_allocation += slope * more
            d_taken += d_usage[i] * allocated[i]
        gradient.write_gate[v] += d_write + allocation * d_taken
        gradient.allocation_gate[v] += write * (d_allocation + d_taken)
        taken, looked_up = write * allocation, write - write * allocation
        for i in range(n):
            d_allocated[i] = taken * (d_focus[i] + d_usage[i])
            d_content[i] = looked_up * d_focus[i]
        allocate_backward(
            n,
            at(history.usage, v * n),
            at(history.order, v * n),
            d_allocated,
            d_usage,
            scratch.row,
        )
    for i in range(n):
        d_state.usage[i] += d_usage[i]
    _look_up_backward(
        d,
        plain(True),
        interface,
        memory,
        history,
        history.content,
        scratch.content_gradient,
        d_state.memory,
        gradient,
        scratch,
    )


@stage
def _use_backward(d, interface, before, history, d_state, gradient, scratch):
    """Backpropagate from the usage to the state before, and to the free gates."""
    n, zero, one = d.rows, number(before.usage, 0.0), number(before.usage, 1.0)
    d_usage, untouched = d_state.usage, scratch.untouched
    d_untouched, d_retention = scratch.usage_gradient, scratch.retention_gradient
    for v in range(d.write_heads):
        scratch.ones[v] = one
    retain(n, d.write_heads, scratch.ones, before.write_weights, scratch.factors, untouched)
    for i in range(n):
        written, used, slope = one - untouched[i], before.usage[i], d_usage[i]
        d_retention[i] += slope * (used + written - used * written)
        slope *= history.retention[i]
        d_untouched[i] = slope * (used - one)
        d_usage[i] = slope * untouched[i]
    for i in range(d.write_heads * n):
        d_state.write_weights[i] = zero
    retain_backward(
        n,
        d.write_heads,
        scratch.ones,
        before.write_weights,
        scratch.factors,
        d_untouched,
        scratch.ones_gradient,
        d_state.write_weights,
        scratch.row,
    )
    retain(
        n,
        d.read_heads,
        interface.free_gate,
        before.read_weights,
        scratch.factors,
        scratch.untouched,
    )
    retain_backward(
        n,
        d.read_heads,
        interface.free_gate,
        before.read_weights,
        scratch.factors,
        d_retention,
        gradient.free_gate,
        d_state.read_weights,
        scratch.row,
    )
