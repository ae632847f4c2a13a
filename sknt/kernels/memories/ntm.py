"""One step of the NTM's memory, forward and backward, for one sequence.

The equations are those of ``sknt.ops.addressing`` and ``sknt.memories.ntm``. Letters: R
read heads, V write heads, H heads (R + V, the read heads first), N memory rows, W row
width. The memory is kept transposed, (W, N), so that every loop runs over adjacent
numbers. ``content`` and ``cosines`` are (H, N).
"""

import math
from typing import Any, NamedTuple

from sknt.kernels._compile import helper, stage
from sknt.kernels.functions import (
    clip,
    clip_backward,
    exp,
    largest,
    log,
    sigmoid,
    sigmoid_backward,
    softmax,
    softmax_backward,
    softplus,
    tanh,
    tanh_backward,
)
from sknt.kernels.layout import PORTION
from sknt.kernels.pointers import at, copy, number, plain
from sknt.kernels.products import multiply, multiply_transposed
from sknt.ops.addressing import EPSILON


class Dims(NamedTuple):
    """Sizes of an NTM's memory."""

    rows: int  # N
    width: int  # W
    read_heads: int  # R
    write_heads: int  # V
    heads: int  # H
    shifts: int  # 2 * shift_range + 1
    columns: int  # of the interface
    portions: int  # the same in whole portions
    clip: float  # inf for none
    squashes_keys: int  # 1: keys go through tanh, 0: they are linear
    squashes_adds: int  # likewise for add vectors


transposed = ("memory",)


def dims(memory: Any) -> Dims:
    """Return the sizes of a memory."""
    heads = memory.n_read_heads + memory.n_write_heads
    shifts = 2 * memory.shift_range + 1
    columns = heads * (memory.word_size + 3 + shifts)
    columns += 2 * memory.n_write_heads * memory.word_size
    return Dims(
        rows=memory.memory_size,
        width=memory.word_size,
        read_heads=memory.n_read_heads,
        write_heads=memory.n_write_heads,
        heads=heads,
        shifts=shifts,
        columns=columns,
        portions=-(-columns // PORTION) * PORTION,
        clip=float("inf" if memory.interface_clip is None else memory.interface_clip),
        squashes_keys=int(memory.key_activation == "tanh"),
        squashes_adds=int(memory.add_activation == "tanh"),
    )


def state(d: Dims) -> dict[str, tuple[int, ...]]:
    """Return the parts of a state."""
    return {
        "memory": (d.width, d.rows),
        "read_weights": (d.read_heads, d.rows),
        "write_weights": (d.write_heads, d.rows),
    }


def interface(d: Dims) -> dict[str, tuple[int, ...]]:
    """Return the parts of an interface."""
    return {
        "key": (d.heads, d.width),
        "strength": (d.heads, 1),
        "gate": (d.heads, 1),
        "shift": (d.heads, d.shifts),
        "gamma": (d.heads, 1),
        "erase": (d.write_heads, d.width),
        "add": (d.write_heads, d.width),
    }


def history(d: Dims) -> dict[str, tuple[int, ...]]:
    """Return what is kept of a step."""
    return {
        "content": (d.heads, d.rows),  # content weightings
        "weights": (d.heads, d.rows),
    }


def scratch(d: Dims) -> dict[str, tuple[int, ...]]:
    """Return the working memory of a step."""
    circular, more = d.rows + d.shifts - 1, d.heads + d.read_heads
    return {
        "cosines": (d.heads, d.rows),  # of every key with every row
        "row_norms": (d.rows,),
        "key_norms": (d.heads,),
        "circular": (circular,),  # a weighting with its ends repeated
        "shifted": (d.rows,),
        "columns": (2, d.portions),  # of the interface
        # Only in the backward pass:
        "circular_gradient": (circular,),  # to the shifted weighting
        "factors": (more, d.width),  # the keys, then the gradients of the reads
        "row_gradients": (more, d.rows),  # to the keys' products; then the read weightings
        "stages": (d.write_heads, d.width, d.rows),  # before each write, but the first
    }


@helper
def _of_head(d, of_read_heads, of_write_heads, head):
    """Return a pointer to a head's numbers, N of them, in one of two parts."""
    if head < d.read_heads:
        return at(of_read_heads, head * d.rows)
    return at(of_write_heads, (head - d.read_heads) * d.rows)


@stage
def activate(d, raw, interface, scratch):
    """Clip the raw interface and apply its activations.

    Where only some of the columns are wanted, all are computed in ``scratch.columns``: a
    loop over few would not be vectorised.
    """
    columns, n = raw.key, d.portions
    one = number(columns, 1.0)
    clipped, squashed = scratch.columns, at(scratch.columns, n)
    erase, add = d.columns - 2 * d.write_heads * d.width, d.write_heads * d.width
    gate = d.heads * (d.width + 1)
    clip(d.columns, n, d.clip, columns, clipped)
    for i in range(n):
        squashed[i] = sigmoid(clipped[i])
    copy(d.heads, at(squashed, gate), interface.gate)
    copy(add, at(squashed, erase), interface.erase)
    for i in range(n):
        squashed[i] = tanh(clipped[i])
    keys = squashed if d.squashes_keys else clipped
    adds = squashed if d.squashes_adds else clipped
    copy(d.heads * d.width, keys, interface.key)
    copy(add, at(adds, erase + add), interface.add)
    strengths, shifts = at(clipped, d.heads * d.width), at(clipped, gate + d.heads)
    gammas = at(shifts, d.heads * d.shifts)
    for head in range(d.heads):
        shift, out = at(shifts, head * d.shifts), at(interface.shift, head * d.shifts)
        softmax(d.shifts, shift, out)
        interface.strength[head] = softplus(strengths[head])
        interface.gamma[head] = one + softplus(gammas[head])


@stage
def activate_backward(d, raw, interface, gradient, scratch):
    """Backpropagate through the activations, from the interface to ``raw``'s place."""
    one = number(raw.key, 1.0)
    if d.squashes_keys:
        tanh_backward(d.heads * d.width, interface.key, gradient.key)
    for head in range(d.heads):
        shift, d_shift = (
            at(interface.shift, head * d.shifts),
            at(gradient.shift, head * d.shifts),
        )
        softmax_backward(d.shifts, shift, d_shift, d_shift)
        gradient.gate[head] *= interface.gate[head] * (one - interface.gate[head])
        gradient.strength[head] *= one - exp(-interface.strength[head])
        gradient.gamma[head] *= one - exp(one - interface.gamma[head])
    sigmoid_backward(d.write_heads * d.width, interface.erase, gradient.erase)
    if d.squashes_adds:
        tanh_backward(d.write_heads * d.width, interface.add, gradient.add)
    clip_backward(d.columns, d.clip, gradient.key, raw.key)


@stage
def step(d, interface, state, reads, history, scratch):
    """Address with all heads, read, then write with each write head in turn."""
    one, put = plain(1), plain(False)
    n, width, weights = d.rows, d.width, history.weights
    multiply(
        d.heads,
        n,
        width,
        interface.key,
        width,
        one,
        state.memory,
        n,
        scratch.cosines,
        n,
        put,
    )
    _compare(d, state.memory, interface, scratch)
    _address(d, interface, state, history, scratch)
    multiply_transposed(  # NTM eq. 2
        d.read_heads, width, n, weights, n, state.memory, n, reads, width, put
    )
    for v in range(d.write_heads):
        _write_in_place(d, v, interface, weights, state.memory)


@stage
def replay(d, interface, history, before, after):
    """Write once more, from one memory to the next, and take over the weightings."""
    _write(d, 0, interface, history.weights, before.memory, after.memory)
    for v in range(1, d.write_heads):
        _write_in_place(d, v, interface, history.weights, after.memory)
    copy(d.read_heads * d.rows, history.weights, after.read_weights)
    written = at(history.weights, d.read_heads * d.rows)
    copy(d.write_heads * d.rows, written, after.write_weights)


@stage
def _compare(d, memory, interface, scratch):
    """Turn the keys' products with the memory's rows into cosines, NTM eq. 6."""
    row_norms, key_norms = scratch.row_norms, scratch.key_norms
    n, zero, epsilon = d.rows, number(memory, 0.0), number(memory, EPSILON)
    for i in range(n):
        row_norms[i] = zero
    for w in range(0, d.width - 3, 4):
        for i in range(n):
            x, y = memory[w * n + i], memory[(w + 1) * n + i]
            z, u = memory[(w + 2) * n + i], memory[(w + 3) * n + i]
            row_norms[i] += x * x + y * y + z * z + u * u
    for w in range(d.width // 4 * 4, d.width):
        for i in range(n):
            row_norms[i] += memory[w * n + i] * memory[w * n + i]
    for i in range(n):
        row_norms[i] = math.sqrt(row_norms[i])
    for head in range(d.heads):
        square = zero
        for w in range(head * d.width, (head + 1) * d.width):
            square += interface.key[w] * interface.key[w]
        key_norm = math.sqrt(square)
        key_norms[head] = key_norm
        cosine = at(scratch.cosines, head * n)
        for i in range(n):
            cosine[i] /= key_norm * row_norms[i] + epsilon


@helper
def _shift(d, head, interface, content, previous, circular, shifted):
    """Interpolate a head's content weighting with the previous one, and shift it."""
    n, reach = d.rows, d.shifts // 2
    gate, shift = interface.gate[head], at(interface.shift, head * d.shifts)
    inner = at(circular, reach)
    for i in range(n):  # NTM eq. 7
        inner[i] = previous[i] + gate * (content[i] - previous[i])
    if d.shifts == 1:  # not moved at all, whatever the probability
        for i in range(n):
            shifted[i] = inner[i]
        return
    for i in range(reach):
        circular[i] = circular[n + i]
        circular[reach + n + i] = circular[reach + i]
    if d.shifts == 3:  # NTM eq. 8, in one pass for the usual shift_range
        back, stay, forth = shift[0], shift[1], shift[2]
        for i in range(n):
            shifted[i] = (
                back * circular[i + 2] + stay * circular[i + 1] + forth * circular[i]
            )
        return
    for j in range(d.shifts):
        moved, probability = at(circular, 2 * reach - j), shift[j]
        if j:
            for i in range(n):
                shifted[i] += probability * moved[i]
        else:
            for i in range(n):
                shifted[i] = probability * moved[i]


@stage
def _address(d, interface, state, history, scratch):
    """Turn cosines into all weightings, which replace the previous ones in ``state``."""
    circular, shifted = scratch.circular, scratch.shifted
    content, weights = history.content, history.weights
    n, zero, one = d.rows, number(content, 0.0), number(content, 1.0)
    epsilon = number(content, EPSILON)
    for head in range(d.heads):
        cosine, looked_up = at(scratch.cosines, head * n), at(content, head * n)
        focus = at(weights, head * n)
        last = _of_head(d, state.read_weights, state.write_weights, head)
        strength, gamma = interface.strength[head], interface.gamma[head]
        highest, total = strength * largest(n, cosine), zero
        for i in range(n):  # NTM eq. 5
            e = exp(strength * cosine[i] - highest)
            looked_up[i] = e
            total += e
        scale = one / total
        for i in range(n):
            looked_up[i] *= scale
        _shift(d, head, interface, looked_up, last, circular, shifted)
        for i in range(n):
            shifted[i] = gamma * log(shifted[i] + epsilon)
        highest, total = largest(n, shifted), zero
        for i in range(n):  # NTM eq. 9
            e = exp(shifted[i] - highest)
            focus[i] = e
            total += e
        scale = one / total
        for i in range(n):
            focus[i] *= scale
            last[i] = focus[i]


@stage
def _write(d, v, interface, weights, old, new):
    """Write with one head, NTM eq. 3-4, from the memory ``old`` to ``new``."""
    n, one = d.rows, number(old, 1.0)
    focus = at(weights, (d.read_heads + v) * n)
    for w in range(d.width):
        before, after = at(old, w * n), at(new, w * n)
        e = interface.erase[v * d.width + w]
        a = interface.add[v * d.width + w]
        for i in range(n):
            after[i] = before[i] * (one - focus[i] * e) + focus[i] * a


@stage
def _write_in_place(d, v, interface, weights, memory):
    """Write with one head, into the memory itself: a loop that can be vectorised."""
    n, one = d.rows, number(memory, 1.0)
    focus = at(weights, (d.read_heads + v) * n)
    for w in range(d.width):
        row = at(memory, w * n)
        e = interface.erase[v * d.width + w]
        a = interface.add[v * d.width + w]
        for i in range(n):
            row[i] = row[i] * (one - focus[i] * e) + focus[i] * a


# Backward: docs/equations.md, "Backward of one step"


@stage
def _write_backward(d, v, interface, weights, memory, d_state, gradient):
    """Backpropagate through a write whose previous memory was ``memory``."""
    n, zero, d_memory = d.rows, number(memory, 0.0), d_state.memory
    focus = at(weights, (d.read_heads + v) * n)
    d_focus = at(d_state.write_weights, v * n)
    for w in range(d.width):
        before, d_after = at(memory, w * n), at(d_memory, w * n)
        e, a = interface.erase[v * d.width + w], interface.add[v * d.width + w]
        d_erase, d_add = zero, zero
        for i in range(n):
            slope, m = d_after[i], before[i]
            focused = slope * focus[i]
            d_add += focused
            d_erase -= focused * m
            d_focus[i] += slope * (a - m * e)
            d_after[i] = slope - focused * e
        gradient.erase[v * d.width + w] += d_erase
        gradient.add[v * d.width + w] += d_add


@stage
def _address_backward(d, interface, before, history, d_state, gradient, scratch):
    """Backpropagate from the weightings to the content and previous weightings.

    The latter take the place of the former; those of the content weightings go to
    ``scratch.row_gradients``.
    """
    n, reach, weights = d.rows, d.shifts // 2, history.weights
    zero, one = number(weights, 0.0), number(weights, 1.0)
    epsilon = number(weights, EPSILON)
    circular, shifted, d_circular = (
        scratch.circular,
        scratch.shifted,
        scratch.circular_gradient,
    )
    d_inner = at(d_circular, reach)
    for head in range(d.heads):
        looked_up, focus = at(history.content, head * n), at(weights, head * n)
        last = _of_head(d, before.read_weights, before.write_weights, head)
        d_focus = _of_head(d, d_state.read_weights, d_state.write_weights, head)
        d_content = at(scratch.row_gradients, head * n)
        _shift(d, head, interface, looked_up, last, circular, shifted)
        mean = zero
        for i in range(n):
            mean += d_focus[i] * focus[i]
        gamma, d_gamma = interface.gamma[head], zero
        for i in range(n):
            z, base = (d_focus[i] - mean) * focus[i], shifted[i] + epsilon
            d_gamma += z * log(base)
        for i in range(n):
            z, base = (d_focus[i] - mean) * focus[i], shifted[i] + epsilon
            d_inner[i] = gamma * z / base
        gradient.gamma[head] += d_gamma

        for i in range(reach):
            d_circular[i] = d_circular[n + i]
            d_circular[reach + n + i] = d_circular[reach + i]
        shift = at(interface.shift, head * d.shifts)
        d_shift = at(gradient.shift, head * d.shifts)
        if d.shifts == 3:
            back, stay, forth = shift[0], shift[1], shift[2]
            d_back, d_stay, d_forth = zero, zero, zero
            for i in range(n):
                d_back += d_inner[i] * circular[i + 2]
                d_stay += d_inner[i] * circular[i + 1]
                d_forth += d_inner[i] * circular[i]
            for i in range(n):
                slope = back * d_circular[i] + stay * d_circular[i + 1]
                d_content[i] = slope + forth * d_circular[i + 2]
            d_shift[0] += d_back
            d_shift[1] += d_stay
            d_shift[2] += d_forth
        elif d.shifts == 1:
            for i in range(n):
                d_content[i] = d_inner[i]
        else:
            for i in range(n):
                d_content[i] = zero
            for j in range(d.shifts):
                moved, d_moved = at(circular, 2 * reach - j), at(d_circular, j)
                probability, d_probability = shift[j], zero
                for i in range(n):
                    d_probability += d_inner[i] * moved[i]
                for i in range(n):
                    d_content[i] += probability * d_moved[i]
                d_shift[j] += d_probability

        gate, d_gate = interface.gate[head], zero
        for i in range(n):
            d_gate += d_content[i] * (looked_up[i] - last[i])
        for i in range(n):
            slope = d_content[i]
            d_focus[i] = (one - gate) * slope
            d_content[i] = gate * slope
        gradient.gate[head] += d_gate


@stage
def _compare_backward(d, interface, content, gradient, scratch):
    """Backpropagate from the content weightings to the keys' products with the rows.

    These take the place of the former. ``scratch.shifted`` becomes the share of the rows'
    norms, divided by the norms; that of the keys' norms is added to the keys' gradients.
    The keys are copied to ``scratch.factors``.
    """
    n, width, row_norms = d.rows, d.width, scratch.row_norms
    zero, epsilon, d_norms = number(content, 0.0), number(content, EPSILON), scratch.shifted
    for i in range(n):
        d_norms[i] = zero
    for head in range(d.heads):
        looked_up, cosine = at(content, head * n), at(scratch.cosines, head * n)
        d_content, key_norm = at(scratch.row_gradients, head * n), scratch.key_norms[head]
        strength, d_strength, d_key_norm = interface.strength[head], zero, zero
        mean = zero
        for i in range(n):
            mean += d_content[i] * looked_up[i]
        for i in range(n):
            z = (d_content[i] - mean) * looked_up[i]
            d_strength += z * cosine[i]
            slope = strength * z / (key_norm * row_norms[i] + epsilon)
            d_content[i] = slope
            d_key_norm -= slope * cosine[i] * row_norms[i]
            d_norms[i] -= slope * cosine[i] * key_norm
        gradient.strength[head] += d_strength
        scale = zero if key_norm == zero else d_key_norm / key_norm
        for w in range(head * width, (head + 1) * width):
            scratch.factors[w] = interface.key[w]
            gradient.key[w] += scale * interface.key[w]
    for i in range(n):
        d_norms[i] = zero if row_norms[i] == zero else d_norms[i] / row_norms[i]


@stage
def _norms_backward(d, d_norms, memory, d_memory):
    """Add the share of the rows' norms to the memory's gradient."""
    n = d.rows
    for w in range(d.width):
        before, d_before = at(memory, w * n), at(d_memory, w * n)
        for i in range(n):
            d_before[i] += d_norms[i] * before[i]


@stage
def step_backward(d, interface, before, history, d_state, d_reads, gradient, scratch):
    """Backpropagate through one step."""
    one, put, accumulate = plain(1), plain(False), plain(True)
    n, width, heads, weights = d.rows, d.width, d.heads, history.weights
    factors, row_gradients = scratch.factors, scratch.row_gradients
    old = before.memory
    for v in range(d.write_heads - 1):
        new = at(scratch.stages, (v + 1) * width * n)
        _write(d, v, interface, weights, old, new)
        old = new
    for v in range(d.write_heads - 1, -1, -1):
        old = at(scratch.stages, v * width * n) if v else before.memory
        _write_backward(d, v, interface, weights, old, d_state, gradient)
    multiply(
        d.read_heads,
        n,
        width,
        d_reads,
        width,
        one,
        before.memory,
        n,
        d_state.read_weights,
        n,
        accumulate,
    )
    _address_backward(d, interface, before, history, d_state, gradient, scratch)
    multiply(
        heads,
        n,
        width,
        interface.key,
        width,
        one,
        before.memory,
        n,
        scratch.cosines,
        n,
        put,
    )
    _compare(d, before.memory, interface, scratch)
    _compare_backward(d, interface, history.content, gradient, scratch)
    multiply_transposed(  # to the keys
        heads,
        width,
        n,
        row_gradients,
        n,
        before.memory,
        n,
        gradient.key,
        width,
        accumulate,
    )
    copy(d.read_heads * width, d_reads, at(factors, heads * width))
    copy(d.read_heads * n, weights, at(row_gradients, heads * n))
    multiply(  # to the memory, from the keys' products and from the reads
        width,
        n,
        heads + d.read_heads,
        factors,
        one,
        width,
        row_gradients,
        n,
        d_state.memory,
        n,
        accumulate,
    )
    _norms_backward(d, scratch.shifted, before.memory, d_state.memory)
