"""One step of the NTM's memory, forward and backward, for one sequence.

The equations are those of ``sknt.ops.addressing`` and ``sknt.memories.ntm``. Letters: R
read heads, V write heads, H heads (R + V, the read heads first), N memory rows, W row
width. The memory is kept transposed, (W, N), so that every loop runs over adjacent
numbers. ``content`` and ``cosines`` are (H, N).
"""

from typing import Any, NamedTuple

from sknt.kernels._compile import helper, stage
from sknt.kernels.functions import (
    clip,
    clip_backward,
    exp,
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
from sknt.kernels.ops.addressing import (
    compare_keys,
    interpolate_backward,
    move,
    of_head,
    shift_backward,
    weigh_scores,
)
from sknt.kernels.ops.writing import write, write_backward, write_in_place
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
    n, width, weights, put = d.rows, d.width, history.weights, plain(False)
    compare_keys(d, interface, state.memory, scratch)
    _address(d, interface, state, history, scratch)
    multiply_transposed(  # NTM eq. 2
        d.read_heads, width, n, weights, n, state.memory, n, reads, width, put
    )
    for v in range(d.write_heads):
        focus, erase, add = _vectors(d, v, interface, weights)
        write_in_place(n, width, focus, erase, add, state.memory)


@stage
def replay(d, interface, history, before, after):
    """Write once more, from one memory to the next, and take over the weightings."""
    n, width = d.rows, d.width
    for v in range(d.write_heads):
        focus, erase, add = _vectors(d, v, interface, history.weights)
        if v:
            write_in_place(n, width, focus, erase, add, after.memory)
        else:
            write(n, width, focus, erase, add, before.memory, after.memory)
    copy(d.read_heads * d.rows, history.weights, after.read_weights)
    written = at(history.weights, d.read_heads * d.rows)
    copy(d.write_heads * d.rows, written, after.write_weights)


@stage
def _address(d, interface, state, history, scratch):
    """Turn cosines into all weightings, which replace the previous ones in ``state``."""
    circular, shifted = scratch.circular, scratch.shifted
    content, weights = history.content, history.weights
    n, one, epsilon = d.rows, number(content, 1.0), number(content, EPSILON)
    for head in range(d.heads):
        cosine, looked_up = at(scratch.cosines, head * n), at(content, head * n)
        focus = at(weights, head * n)
        last = of_head(d, state.read_weights, state.write_weights, head)
        gamma = interface.gamma[head]
        weigh_scores(n, interface.strength[head], cosine, looked_up)
        move(d, head, interface, looked_up, last, circular, shifted)
        for i in range(n):  # NTM eq. 9
            shifted[i] = gamma * log(shifted[i] + epsilon)
        weigh_scores(n, one, shifted, focus)
        copy(n, focus, last)


@helper
def _vectors(d, v, interface, weights):
    """Return pointers to a write head's weighting, erase and add vector."""
    focus, at_word = at(weights, (d.read_heads + v) * d.rows), v * d.width
    return focus, at(interface.erase, at_word), at(interface.add, at_word)


# Backward: docs/equations.md, "Backward of one step"


@stage
def _address_backward(d, interface, before, history, d_state, gradient, scratch):
    """Backpropagate from the weightings to the content and previous weightings.

    The latter take the place of the former; those of the content weightings go to
    ``scratch.row_gradients``.
    """
    n, reach, weights = d.rows, d.shifts // 2, history.weights
    zero, epsilon = number(weights, 0.0), number(weights, EPSILON)
    circular, shifted, d_circular = (
        scratch.circular,
        scratch.shifted,
        scratch.circular_gradient,
    )
    d_inner = at(d_circular, reach)
    for head in range(d.heads):
        looked_up, focus = at(history.content, head * n), at(weights, head * n)
        last = of_head(d, before.read_weights, before.write_weights, head)
        d_focus = of_head(d, d_state.read_weights, d_state.write_weights, head)
        d_content = at(scratch.row_gradients, head * n)
        move(d, head, interface, looked_up, last, circular, shifted)
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

        shift_backward(d, head, interface, circular, d_circular, d_content, gradient)
        interpolate_backward(
            d, head, interface, looked_up, last, d_content, d_focus, gradient
        )


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
    one, accumulate = plain(1), plain(True)
    n, width, heads, weights = d.rows, d.width, d.heads, history.weights
    factors, row_gradients = scratch.factors, scratch.row_gradients
    old = before.memory
    for v in range(d.write_heads - 1):
        new = at(scratch.stages, (v + 1) * width * n)
        focus, erase, add = _vectors(d, v, interface, weights)
        write(n, width, focus, erase, add, old, new)
        old = new
    for v in range(d.write_heads - 1, -1, -1):
        old = at(scratch.stages, v * width * n) if v else before.memory
        focus, erase, add = _vectors(d, v, interface, weights)
        d_erase, d_add = at(gradient.erase, v * width), at(gradient.add, v * width)
        d_focus = at(d_state.write_weights, v * n)
        write_backward(
            n, width, focus, erase, add, old, d_state.memory, d_focus, d_erase, d_add
        )
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
    compare_keys(d, interface, before.memory, scratch)
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
