"""One step of the D-NTM's memory, forward and backward, for one sequence.

The equations are those of ``sknt.memories.dntm``. Letters: R read heads, V write heads, H
heads (R + V, the read heads first), N memory rows, W row width, of which the content is the
last C. The memory is kept transposed, (W, N), so that every loop runs over adjacent
numbers; its first W - C lines, the addresses, are never written. A row without effect is
the last one: reads and writes end before it.
"""

from typing import Any, NamedTuple

import torch
from torch.nn import functional as F

from sknt.kernels._compile import helper, stage
from sknt.kernels.functions import (
    clip,
    clip_backward,
    exp,
    log,
    sigmoid,
    sigmoid_backward,
    softmax_backward,
    softplus,
)
from sknt.kernels.layout import PORTION
from sknt.kernels.memories._dntm_choice import choose, choose_backward
from sknt.kernels.ops.addressing import (
    compare_keys,
    interpolate_backward,
    move,
    of_head,
    shift_backward,
    weigh_scores,
)
from sknt.kernels.ops.writing import write_column, write_column_backward
from sknt.kernels.pointers import at, copy, number, plain
from sknt.kernels.products import multiply, multiply_transposed
from sknt.ops.addressing import EPSILON


class Dims(NamedTuple):
    """Sizes of a D-NTM's memory."""

    rows: int  # N
    acting: int  # rows with an effect
    width: int  # W
    address: int  # W - C
    content: int  # C
    read_heads: int  # R
    write_heads: int  # V
    heads: int  # H
    shifts: int  # 2 * shift_range + 1; 0: heads do not move
    columns: int  # of the interface
    portions: int  # the same in whole portions
    decay: float  # of usage
    clip: float  # inf for none
    is_hard: int  # 1: heads may choose one row each


transposed = ("memory",)


def dims(memory: Any) -> Dims:
    """Return the sizes of a memory."""
    columns = sum(memory._fields.sizes)
    return Dims(
        rows=memory.memory_size,
        acting=memory.memory_size - memory.nop,
        width=memory.word_size,
        address=memory.address_size,
        content=memory.word_size - memory.address_size,
        read_heads=memory.n_read_heads,
        write_heads=memory.n_write_heads,
        heads=memory.n_read_heads + memory.n_write_heads,
        shifts=2 * memory.shift_range + 1 if memory.shift_range else 0,
        columns=columns,
        portions=-(-columns // PORTION) * PORTION,
        decay=memory.usage_decay,
        clip=float("inf" if memory.interface_clip is None else memory.interface_clip),
        is_hard=int(memory.addressing == "hard"),
    )


def projection(memory: Any) -> tuple[Any, Any]:
    """Return weight and bias of the map from [h ; x], with zeros where there is none."""
    fields = memory._fields
    of_hidden = F.pad(memory.projection.weight, (0, 0, 0, fields.n_after))
    of_inputs = F.pad(memory.input_projection.weight, (0, 0, fields.n_before, 0))
    bias = F.pad(memory.projection.bias, (0, fields.n_after))
    return torch.cat([of_hidden, of_inputs], dim=1), bias


def state(d: Dims) -> dict[str, tuple[int, ...]]:
    """Return the parts of a state."""
    return {
        "memory": (d.width, d.rows),
        "usage": (d.heads, d.rows),
        "read_weights": (d.read_heads, d.rows),
        "write_weights": (d.write_heads, d.rows),
        "log_probability": (d.heads,),
        "entropy": (d.heads,),
        "draw": (2,),  # key and count
    }


def interface(d: Dims) -> dict[str, tuple[int, ...]]:
    """Return the parts of an interface."""
    moves = int(d.shifts > 0)
    return {
        "key": (d.heads, d.width),
        "strength": (d.heads, 1),
        "recency": (d.heads, 1),
        "gate": (d.heads, moves),
        "shift": (d.heads, d.shifts),
        "gamma": (d.heads, moves),
        "erase": (d.write_heads, d.content),
        "candidate": (d.write_heads, d.content),
        "mix": (d.write_heads, 1),
        "given": (d.write_heads, d.content),
        "baseline": (1, d.is_hard),
    }


def history(d: Dims) -> dict[str, tuple[int, ...]]:
    """Return what is kept of a step."""
    return {
        "usage": (d.heads, d.rows),  # before the step
        "content": (d.heads if d.shifts else 0, d.rows),  # weightings before moving
        "probabilities": (d.heads, d.rows),
        "weights": (d.heads if d.is_hard else 0, d.rows),  # soft: the probabilities
    }


def scratch(d: Dims) -> dict[str, tuple[int, ...]]:
    """Return the working memory of a step."""
    circular = d.rows + d.shifts - 1 if d.shifts else 0
    more = d.heads + d.read_heads
    return {
        "cosines": (d.heads, d.rows),  # of every key with every row
        "row_norms": (d.rows,),
        "key_norms": (d.heads,),
        "logits": (d.rows,),  # of one head; backward: the share of the rows' norms
        "circular": (circular,),  # a weighting with its ends repeated
        "shifted": (d.rows if d.shifts else 0,),
        "columns": (2, d.portions),  # of the interface
        # Only in the backward pass:
        "circular_gradient": (circular,),  # to the shifted weighting
        "factors": (more, d.width),  # the keys, then the gradients of the reads
        "row_gradients": (more, d.rows),  # to the logits; later as in _compare_backward
        "stages": (d.write_heads - 1, d.content, d.rows),  # contents between the writes
    }


# Activations


@stage
def activate(d, raw, interface, scratch):
    """Clip the raw interface and apply its activations.

    Logistic sigmoids are computed of all columns, in ``scratch.columns``: a loop over few
    would not be vectorised.
    """
    columns, told, n = raw.key, interface.key, d.portions
    one = number(columns, 1.0)
    clipped, squashed = scratch.columns, at(scratch.columns, n)
    first, moving = d.heads * d.width, 1 if d.shifts else 0
    strengths, recencies = at(clipped, first), first + d.heads
    gates = recencies + d.heads
    shifts = at(clipped, gates + moving * d.heads)
    gammas = at(shifts, d.heads * d.shifts)
    erasers = gates + d.heads * (2 * moving + d.shifts)
    written = d.write_heads * d.content
    mixes = erasers + 2 * written
    clip(d.columns, n, d.clip, columns, clipped)
    for i in range(n):
        squashed[i] = sigmoid(clipped[i])
    copy(d.columns, clipped, told)
    copy(d.heads, at(squashed, recencies), interface.recency)
    copy(moving * d.heads, at(squashed, gates), interface.gate)
    copy(written, at(squashed, erasers), interface.erase)
    copy(d.write_heads, at(squashed, mixes), interface.mix)
    for head in range(d.heads):
        interface.strength[head] = one + softplus(strengths[head])
        if d.shifts:
            interface.gamma[head] = one + softplus(gammas[head])
            start = head * d.shifts
            weigh_scores(d.shifts, one, at(shifts, start), at(interface.shift, start))


@stage
def activate_backward(d, raw, interface, gradient, scratch):
    """Backpropagate through the activations, from the interface to ``raw``'s place."""
    one = number(raw.key, 1.0)
    sigmoid_backward(d.heads, interface.recency, gradient.recency)
    sigmoid_backward(d.write_heads * d.content, interface.erase, gradient.erase)
    sigmoid_backward(d.write_heads, interface.mix, gradient.mix)
    for head in range(d.heads):
        gradient.strength[head] *= one - exp(one - interface.strength[head])
    if d.shifts:
        sigmoid_backward(d.heads, interface.gate, gradient.gate)
        for head in range(d.heads):
            gradient.gamma[head] *= one - exp(one - interface.gamma[head])
            start = head * d.shifts
            d_shift = at(gradient.shift, start)
            softmax_backward(d.shifts, at(interface.shift, start), d_shift, d_shift)
    clip_backward(d.columns, d.clip, gradient.key, raw.key)


# The step


@helper
def _weights(d, history):
    """Return a pointer to a step's weightings."""
    return history.weights if d.is_hard else history.probabilities


@stage
def step(d, interface, state, reads, history, scratch):
    """Address with all heads, read, then write with each write head in turn."""
    n, put = d.rows, plain(False)
    copy(d.heads * n, state.usage, history.usage)
    compare_keys(d, interface, state.memory, scratch)
    _address(d, interface, state, history, scratch)
    if d.is_hard:
        choose(d, state, history)
    weights = _weights(d, history)
    multiply_transposed(
        d.read_heads, d.width, d.acting, weights, n, state.memory, n, reads, d.width, put
    )
    _take_over(d, weights, state)
    contents = at(state.memory, d.address * n)
    for v in range(d.write_heads):
        _write(d, v, interface, weights, contents)


@stage
def replay(d, interface, history, before, after):
    """Write once more, from one memory to the next, and take over the weightings."""
    n, weights = d.rows, _weights(d, history)
    copy(d.width * n, before.memory, after.memory)
    contents = at(after.memory, d.address * n)
    for v in range(d.write_heads):
        _write(d, v, interface, weights, contents)
    copy(2, before.draw, after.draw)
    if d.shifts:
        _take_over(d, weights, after)


@helper
def _take_over(d, weights, state):
    """Copy the weightings to a state."""
    copy(d.read_heads * d.rows, weights, state.read_weights)
    copy(d.write_heads * d.rows, at(weights, d.read_heads * d.rows), state.write_weights)


@stage
def _address(d, interface, state, history, scratch):
    """Turn cosines into probabilities, and update the usage."""
    n, logits, shifted = d.rows, scratch.logits, scratch.shifted
    epsilon, decay = number(logits, EPSILON), number(logits, d.decay)
    one = number(logits, 1.0)
    for head in range(d.heads):
        cosine, usage = at(scratch.cosines, head * n), at(state.usage, head * n)
        strength, recency = interface.strength[head], interface.recency[head]
        for i in range(n):
            score, used = strength * cosine[i], usage[i]  # z, v
            logits[i] = score - recency * used
            usage[i] = score + decay * (used - score)
        if d.shifts:
            content, gamma = at(history.content, head * n), interface.gamma[head]
            last = of_head(d, state.read_weights, state.write_weights, head)
            weigh_scores(n, one, logits, content)
            move(d, head, interface, content, last, scratch.circular, shifted)
            for i in range(n):  # NTM eq. 9, up to the softmax
                logits[i] = gamma * log(shifted[i] + epsilon)
        weigh_scores(n, one, logits, at(history.probabilities, head * n))


@stage
def _write(d, v, interface, weights, contents):
    """Write with one head, into the contents themselves."""
    n, zero = d.rows, number(contents, 0.0)
    focus, mix = at(weights, (d.read_heads + v) * n), interface.mix[v]
    for w in range(d.content):
        column, j = at(contents, w * n), v * d.content + w
        a = interface.candidate[j] + mix * interface.given[j]
        a = zero if a < zero else a  # NaN stays NaN
        write_column(d.acting, focus, interface.erase[j], a, column, column)


# Backward


@stage
def _write_backward(d, v, interface, weights, contents, d_state, gradient):
    """Backpropagate through a write to the previous contents, ``contents``."""
    n, zero = d.rows, number(contents, 0.0)
    focus, mix = at(weights, (d.read_heads + v) * n), interface.mix[v]
    d_focus, d_mix = at(d_state.write_weights, v * n), zero
    d_contents = at(d_state.memory, d.address * n)
    for w in range(d.content):
        before, d_after, j = at(contents, w * n), at(d_contents, w * n), v * d.content + w
        e, new = interface.erase[j], interface.candidate[j] + mix * interface.given[j]
        a = zero if new < zero else new
        d_erase, d_new = write_column_backward(
            d.acting, focus, e, a, before, d_after, d_focus
        )
        d_new = zero if new <= zero else d_new
        gradient.erase[j] += d_erase
        gradient.candidate[j] += d_new
        gradient.given[j] += mix * d_new
        d_mix += interface.given[j] * d_new
    gradient.mix[v] += d_mix


@stage
def _writes_backward(d, interface, weights, before, d_state, gradient, scratch):
    """Backpropagate through all writes, from the last to the first."""
    n, size = d.rows, d.content * d.rows
    first = at(before.memory, d.address * n)
    old = first
    for v in range(d.write_heads - 1):
        new = at(scratch.stages, v * size)
        copy(size, old, new)
        _write(d, v, interface, weights, new)
        old = new
    for v in range(d.write_heads - 1, -1, -1):
        old = at(scratch.stages, (v - 1) * size) if v else first
        _write_backward(d, v, interface, weights, old, d_state, gradient)


@stage
def _move_backward(d, head, interface, last, content, d_last, d_logits, gradient, scratch):
    """Backpropagate through interpolation, shift and sharpening.

    The gradient of the logits of ``content`` takes the place of that of the sharpened
    weighting's; ``d_last`` is set.
    """
    n, reach = d.rows, d.shifts // 2
    zero, epsilon = number(content, 0.0), number(content, EPSILON)
    circular, shifted = scratch.circular, scratch.shifted
    d_circular, d_inner = scratch.circular_gradient, at(scratch.circular_gradient, reach)
    move(d, head, interface, content, last, circular, shifted)
    gamma, d_gamma = interface.gamma[head], zero
    for i in range(n):
        d_gamma += d_logits[i] * log(shifted[i] + epsilon)
    for i in range(n):
        d_inner[i] = gamma * d_logits[i] / (shifted[i] + epsilon)
    gradient.gamma[head] += d_gamma

    shift_backward(d, head, interface, circular, d_circular, d_logits, gradient)
    interpolate_backward(d, head, interface, content, last, d_logits, d_last, gradient)
    softmax_backward(n, content, d_logits, d_logits)


@stage
def _address_backward(d, interface, before, history, d_state, gradient, scratch):
    """Backpropagate from the weightings to the scores, and to the previous weightings.

    The latter take the place of the former; the gradients of the scores go to
    ``scratch.row_gradients``.
    """
    n, key, zero = d.rows, before.draw[0], number(scratch.logits, 0.0)
    for head in range(d.heads):
        d_focus = of_head(d, d_state.read_weights, d_state.write_weights, head)
        d_logits = at(scratch.row_gradients, head * n)
        choose_backward(d, head, key, history, d_state, d_focus, d_logits)
        if d.shifts:
            last = of_head(d, before.read_weights, before.write_weights, head)
            content = at(history.content, head * n)
            _move_backward(
                d, head, interface, last, content, d_focus, d_logits, gradient, scratch
            )
        else:
            for i in range(n):
                d_focus[i] = zero
        usage, d_recency = at(history.usage, head * n), zero
        for i in range(n):
            d_recency -= d_logits[i] * usage[i]
        gradient.recency[head] += d_recency


@stage
def _compare_backward(d, interface, gradient, scratch):
    """Backpropagate from the scores to the keys' products with the rows.

    These take the place of the former in ``scratch.row_gradients``. ``scratch.logits``
    becomes the share of the rows' norms, divided by the norms; that of the keys' norms is
    added to the keys' gradients.
    """
    n, width, row_norms, d_norms = d.rows, d.width, scratch.row_norms, scratch.logits
    zero, epsilon = number(row_norms, 0.0), number(row_norms, EPSILON)
    for i in range(n):
        d_norms[i] = zero
    for head in range(d.heads):
        cosine, key_norm = at(scratch.cosines, head * n), scratch.key_norms[head]
        d_scores = at(scratch.row_gradients, head * n)
        strength, d_strength, d_key_norm = interface.strength[head], zero, zero
        for i in range(n):
            d_score = d_scores[i]
            d_strength += d_score * cosine[i]
            slope = strength * d_score / (key_norm * row_norms[i] + epsilon)
            d_scores[i] = slope
            d_key_norm -= slope * cosine[i] * row_norms[i]
            d_norms[i] -= slope * cosine[i] * key_norm
        gradient.strength[head] += d_strength
        length = key_norm if key_norm > zero else number(row_norms, 1.0)
        for w in range(head * width, (head + 1) * width):
            # Divided first: the quotient of the norms alone can overflow.
            gradient.key[w] += d_key_norm * (interface.key[w] / length)
    for i in range(n):
        d_norms[i] = zero if row_norms[i] == zero else d_norms[i] / row_norms[i]


@stage
def _rows_backward(d, interface, weights, before, d_reads, d_memory, scratch):
    """Add to the memory's gradient what comes from the reads and from the similarities."""
    one, accumulate, zero = plain(1), plain(True), number(d_memory, 0.0)
    n, width, heads = d.rows, d.width, d.heads
    factors, row_gradients = scratch.factors, scratch.row_gradients
    copy(heads * width, interface.key, factors)
    copy(d.read_heads * width, d_reads, at(factors, heads * width))
    copy(d.read_heads * n, weights, at(row_gradients, heads * n))
    for head in range(heads, heads + d.read_heads):
        for i in range(d.acting, n):
            row_gradients[head * n + i] = zero
    n_factors = heads + d.read_heads
    multiply(
        width, n, n_factors, factors, one, width, row_gradients, n, d_memory, n, accumulate
    )
    d_norms = scratch.logits
    for w in range(width):
        row, d_row = at(before.memory, w * n), at(d_memory, w * n)
        for i in range(n):
            d_row[i] += d_norms[i] * row[i]


@stage
def step_backward(d, interface, before, history, d_state, d_reads, gradient, scratch):
    """Backpropagate through one step; usage has no gradient."""
    one, accumulate, zero = plain(1), plain(True), number(d_reads, 0.0)
    n, width, weights, memory = d.rows, d.width, _weights(d, history), before.memory
    d_weights = d_state.read_weights
    _writes_backward(d, interface, weights, before, d_state, gradient, scratch)
    m, k = d.read_heads, d.acting
    multiply(m, k, width, d_reads, width, one, memory, n, d_weights, n, accumulate)
    _address_backward(d, interface, before, history, d_state, gradient, scratch)
    compare_keys(d, interface, memory, scratch)
    _compare_backward(d, interface, gradient, scratch)
    rows = scratch.row_gradients
    multiply_transposed(
        d.heads, width, n, rows, n, memory, n, gradient.key, width, accumulate
    )
    _rows_backward(d, interface, weights, before, d_reads, d_state.memory, scratch)
    for i in range(d.heads * n):
        d_state.usage[i] = zero
