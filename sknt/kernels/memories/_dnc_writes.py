"""How the DNC writes, forward and backward: usage, weightings, and the writes proper.

Letters and layout are those of ``sknt.kernels.memories.dnc``.
"""

from sknt.kernels._compile import helper, stage
from sknt.kernels.ops.allocation import (
    allocate,
    allocate_backward,
    retain,
    retain_backward,
    sort,
    use,
)
from sknt.kernels.ops.lookup import (
    compare,
    look_up_backward,
    lookup_room,
    weigh,
)
from sknt.kernels.ops.writing import (
    free,
    free_backward,
    write,
    write_backward,
    write_in_place,
)
from sknt.kernels.pointers import at, copy, number, plain


@helper
def _of_write_heads(d, of_heads, width):
    """Return a pointer to the write heads' numbers, ``width`` of each head."""
    return at(of_heads, d.read_heads * width)


@stage
def update_usage(d, interface, state, history, scratch):
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


@stage
def place_writes(d, interface, memory, history, scratch):
    """Weigh where each write head writes: to free rows, or where the content is."""
    n, room = d.rows, lookup_room(d, d.read_heads, history, scratch)
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
def write_all(d, interface, history, memory):
    """Clear what was freed, then write with each head, in the memory itself."""
    n, width = d.rows, d.width
    if d.deallocates:
        free(n, width, history.retention, memory, memory)
    for v in range(d.write_heads):
        focus, at_word = at(history.write_weights, v * n), v * width
        erase, add = at(interface.erase, at_word), at(interface.add, at_word)
        write_in_place(n, width, focus, erase, add, memory)


@stage
def rewrite(d, interface, memory, history, scratch):
    """Compute the memory before each write, and after the last one."""
    n, width = d.rows, d.width
    if d.deallocates:
        free(n, width, history.retention, memory, scratch.memories)
    else:
        copy(width * n, memory, scratch.memories)
    for v in range(d.write_heads):
        focus, at_word = at(history.write_weights, v * n), v * width
        erase, add = at(interface.erase, at_word), at(interface.add, at_word)
        old = at(scratch.memories, at_word * n)
        write(n, width, focus, erase, add, old, at(old, width * n))


@stage
def writes_backward(d, interface, memory, history, d_state, gradient, scratch):
    """Backpropagate through the writes, and through the clearing of freed rows.

    The gradient with respect to the retention goes to ``scratch.retention_gradient``.
    """
    n, zero = d.rows, number(memory, 0.0)
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
    for i in range(n):
        scratch.retention_gradient[i] = zero
    if d.deallocates:
        free_backward(
            n,
            d.width,
            history.retention,
            memory,
            d_state.memory,
            scratch.retention_gradient,
        )


@stage
def place_writes_backward(d, interface, memory, history, d_state, gradient, scratch):
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
    look_up_backward(
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
def update_usage_backward(d, interface, before, history, d_state, gradient, scratch):
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
