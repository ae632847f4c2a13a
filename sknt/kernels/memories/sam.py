"""One step of the sparse access memory, forward and backward, for one sequence.

The equations are those of ``sknt.ops.sparse`` and ``sknt.memories.sam``. Letters: R read
heads, V write heads, N memory rows, W row width, K rows that a read head reads.

Nothing here passes over all rows, unless a run starts from a memory that has been used:

- Rows from ``top`` on are zeros, and equally near to any key. So the nearest rows are among
  those below, and the first K of the others.
- Accessed rows are in a doubly linked list, the one accessed longest ago first. All others
  come before them, in the order of their numbers.

In the private parts, rows are counted from 1, and 0 stands for none.
"""

import math
from typing import Any, NamedTuple

from sknt.kernels._compile import helper, stage
from sknt.kernels.functions import (
    clip,
    clip_backward,
    exp,
    larger,
    last_place,
    sigmoid,
    sigmoid_backward,
    softplus,
    tanh,
    tanh_backward,
)
from sknt.kernels.layout import PORTION
from sknt.kernels.memories._sam_accesses import find_unused, list_rows, put_last
from sknt.kernels.pointers import at, copy, number, plain
from sknt.kernels.products import multiply, multiply_transposed
from sknt.ops.addressing import EPSILON
from sknt.ops.sparse import TIE

ACCESSED = 0.005
"""As in ``sknt.memories.sam``."""


class Dims(NamedTuple):
    """Sizes of a sparse access memory."""

    rows: int  # N
    width: int  # W
    read_heads: int  # R
    write_heads: int  # V
    nearest: int  # K
    columns: int  # of the interface
    portions: int  # the same in whole portions
    clip: float  # inf for none


def dims(memory: Any) -> Dims:
    """Return the sizes of a memory."""
    read_heads, write_heads = memory.n_read_heads, memory.n_write_heads
    columns = read_heads * (memory.word_size + 1) + write_heads * (memory.word_size + 2)
    return Dims(
        rows=memory.memory_size,
        width=memory.word_size,
        read_heads=read_heads,
        write_heads=write_heads,
        nearest=memory.n_nearest,
        columns=columns,
        portions=-(-columns // PORTION) * PORTION,
        clip=float("inf" if memory.interface_clip is None else memory.interface_clip),
    )


def state(d: Dims) -> dict[str, tuple[int, ...]]:
    """Return the parts of a state."""
    return {
        "memory": (d.rows, d.width),
        "last_access": (d.rows,),
        "read_rows": (d.read_heads, d.nearest),
        "read_weights": (d.read_heads, d.nearest),
        "write_rows": (d.write_heads, d.nearest + 1),
        "write_weights": (d.write_heads, d.nearest + 1),
        "step": (1,),
    }


def private(d: Dims) -> dict[str, tuple[int, ...]]:
    """Return what follows from a state, and is kept up to date."""
    return {
        "norms": (d.rows,),
        "older": (d.rows,),  # the row accessed before each accessed row, or none
        "newer": (d.rows,),  # the row accessed after it
        "totals": (d.rows,),  # sums of weights; zeros between steps
        "oldest": (1,),  # the row accessed longest ago
        "newest": (1,),  # the row accessed last
        "fresh": (1,),  # so many rows from the first one on have been accessed
        "top": (1,),  # rows from here on are zeros
    }


def interface(d: Dims) -> dict[str, tuple[int, ...]]:
    """Return the parts of an interface."""
    return {
        "key": (d.read_heads, d.width),
        "strength": (d.read_heads, 1),
        "write_gate": (d.write_heads, 1),
        "interpolation_gate": (d.write_heads, 1),
        "add": (d.write_heads, d.width),
    }


def history(d: Dims) -> dict[str, tuple[int, ...]]:
    """Return what is kept of a step."""
    reads, writes = (d.read_heads, d.nearest), (d.write_heads, d.nearest + 1)
    return {
        "contents": (*reads, d.width),  # of the rows that are read
        "cosines": reads,
        "read_rows": reads,
        "read_weights": reads,
        "previous": reads,  # the read weights of the step before
        "write_rows": writes,
        "write_weights": writes,
        "accessed": (math.prod(reads) + math.prod(writes) + 1,),  # rows, until none
    }


def scratch(d: Dims) -> dict[str, tuple[int, ...]]:
    """Return the working memory of a step."""
    return {
        "cosines": (d.read_heads, d.rows),  # of every key with rows
        "columns": (2, d.portions),  # of the interface
        # Only in the backward pass:
        "weights": (d.nearest + 1,),  # gradients of a head's weights
        "previous": (d.read_heads, d.nearest),  # gradients of the last read weights
    }


@helper
def _norm(n, x):
    """Return the length of a vector."""
    square = number(x, 0.0)
    for i in range(n):
        square += x[i] * x[i]
    return math.sqrt(square)


# The private parts


@stage
def prepare(d, state, blank):
    """Work out the private parts of a state, which are zeros so far."""
    for i in range(d.read_heads * d.nearest):
        row = state.read_rows[i]
        if not (row >= number(state.step, 0.0) and row < d.rows):
            state.read_rows[i] = number(state.step, 0.0)  # not a row: do not look there
    if blank:
        return
    list_rows(d, state)
    zero, top = number(state.step, 0.0), 0
    for row in range(d.rows):
        content = at(state.memory, row * d.width)
        for i in range(d.width):
            top = row + 1 if content[i] != zero else top
        state.norms[row] = _norm(d.width, content)
    state.top[0] = number(state.step, top)


# The interface


@stage
def activate(d, raw, interface, scratch):
    """Clip the raw interface and apply its activations.

    All columns are computed for each activation: a loop over few would not be vectorised.
    """
    columns, n = raw.key, d.portions
    clipped, squashed = scratch.columns, at(scratch.columns, n)
    strengths, gates = d.read_heads * d.width, d.read_heads * (d.width + 1)
    adds = gates + 2 * d.write_heads
    clip(d.columns, n, d.clip, columns, clipped)
    for i in range(d.read_heads):
        interface.strength[i] = softplus(clipped[strengths + i])
    for i in range(n):
        squashed[i] = sigmoid(clipped[i])
    copy(d.write_heads, at(squashed, gates), interface.write_gate)
    copy(d.write_heads, at(squashed, gates + d.write_heads), interface.interpolation_gate)
    for i in range(n):
        squashed[i] = tanh(clipped[i])
    copy(strengths, squashed, interface.key)
    copy(d.write_heads * d.width, at(squashed, adds), interface.add)


@stage
def activate_backward(d, raw, interface, gradient, scratch):
    """Backpropagate through the activations, from the interface to ``raw``'s place."""
    one = number(raw.key, 1.0)
    tanh_backward(d.read_heads * d.width, interface.key, gradient.key)
    for i in range(d.read_heads):
        gradient.strength[i] *= one - exp(-interface.strength[i])
    gates = interface.interpolation_gate
    sigmoid_backward(d.write_heads, interface.write_gate, gradient.write_gate)
    sigmoid_backward(d.write_heads, gates, gradient.interpolation_gate)
    tanh_backward(d.write_heads * d.width, interface.add, gradient.add)
    clip_backward(d.columns, d.clip, gradient.key, raw.key)


# A step


@stage
def step(d, interface, state, reads, history, scratch):
    """Write with all heads, then read the new memory."""
    n_reads, n_writes = d.read_heads * d.nearest, d.write_heads * (d.nearest + 1)
    copy(n_reads, state.read_weights, history.previous)
    find_unused(d, state)
    _address_writes(d, interface, state)
    _write(d, interface, state)
    _find_nearest(d, interface, state, history, scratch)
    for r in range(d.read_heads):
        _read(d, r, interface, state, reads, history)
    copy(n_reads, state.read_rows, history.read_rows)
    copy(n_reads, state.read_weights, history.read_weights)
    copy(n_writes, state.write_rows, history.write_rows)
    copy(n_writes, state.write_weights, history.write_weights)
    state.step[0] += number(state.step, 1.0)
    _access(d, state, history.accessed)


@helper
def _address_writes(d, interface, state):
    """Write where was read last and to the unused row, α (γ w + (1 - γ) 1_LRA)."""
    k, one = d.nearest, number(state.step, 1.0)
    for v in range(d.write_heads):
        last = v % d.read_heads * k
        alpha, gamma = interface.write_gate[v], interface.interpolation_gate[v]
        rows, weights = (
            at(state.write_rows, v * (k + 1)),
            at(state.write_weights, v * (k + 1)),
        )
        copy(k, at(state.read_rows, last), rows)
        for j in range(k):
            weights[j] = alpha * (gamma * state.read_weights[last + j])
        weights[k] = alpha * (one - gamma)


@stage
def _write(d, interface, state):
    """Wipe the unused rows, then add each head's vector to its rows."""
    k, width, zero, top = d.nearest, d.width, number(state.step, 0.0), int(state.top[0])
    for v in range(d.write_heads):
        row = int(state.write_rows[v * (k + 1) + k])
        content = at(state.memory, row * width)
        for i in range(width):
            content[i] = zero
    for v in range(d.write_heads):
        add = at(interface.add, v * width)
        for j in range(v * (k + 1), (v + 1) * (k + 1)):
            row, weight = int(state.write_rows[j]), state.write_weights[j]
            content = at(state.memory, row * width)
            for i in range(width):
                content[i] += weight * add[i]
            top = max(top, row + 1)
    for j in range(d.write_heads * (k + 1)):
        row = int(state.write_rows[j])
        state.norms[row] = _norm(width, at(state.memory, row * width))
    state.top[0] = number(state.top, top)


@stage
def _find_nearest(d, interface, state, history, scratch):
    """Find the rows nearest to each key, and their cosines."""
    n, k = min(d.rows, int(state.top[0]) + d.nearest), d.nearest
    _compare(d, n, interface.key, state, scratch)
    lowest = -number(state.step, math.inf)
    for r in range(d.read_heads):
        cosines = at(scratch.cosines, r * d.rows)
        for j in range(r * k, (r + 1) * k):
            row = _first_nearest(n, cosines)
            state.read_rows[j], history.cosines[j] = number(cosines, row), cosines[row]
            cosines[row] = lowest


@stage
def _compare(d, n, key, state, scratch):
    """Compute the cosines of all keys with the first n rows, NTM eq. 6; NaN becomes inf."""
    width, put, cosines = d.width, plain(False), scratch.cosines
    epsilon, most = number(cosines, EPSILON), number(cosines, math.inf)
    multiply_transposed(
        d.read_heads, n, width, key, width, state.memory, width, cosines, d.rows, put
    )
    for r in range(d.read_heads):
        norm, cosine = _norm(width, at(key, r * width)), at(cosines, r * d.rows)
        for i in range(n):
            x = cosine[i] / (norm * state.norms[i] + epsilon)
            cosine[i] = most if x != x else x


@helper
def _first_nearest(n, cosines):
    """Return the first row of those with the largest cosine, but for rounding."""
    largest, row = cosines[0], 0
    for i in range(n):
        largest = larger(cosines[i], largest)
    least = largest - number(cosines, TIE) * last_place(largest)
    while row < n - 1 and not cosines[row] >= least:
        row += 1
    return row


@stage
def _read(d, r, interface, state, reads, history):
    """Blend the rows nearest to a key."""
    k, width, one, put = d.nearest, d.width, plain(1), plain(False)
    contents, cosines = at(history.contents, r * k * width), at(history.cosines, r * k)
    rows, weights = at(state.read_rows, r * k), at(state.read_weights, r * k)
    strength, total = interface.strength[r], number(weights, 0.0)
    largest = strength * cosines[0]
    for j in range(k):
        copy(width, at(state.memory, int(rows[j]) * width), at(contents, j * width))
        weights[j] = exp(strength * cosines[j] - largest)
        total += weights[j]
    for j in range(k):
        weights[j] /= total
    out = at(reads, r * width)
    multiply(one, width, k, weights, k, one, contents, width, out, width, put)


@helper
def _add_weights(n, rows, weights, totals):
    """Add the weights of some rows to the rows' totals."""
    for j in range(n):
        totals[int(rows[j])] += weights[j]


@helper
def _collect(n, rows, totals, accessed, n_accessed):
    """Add the rows with a large total to a sorted list; return its length."""
    zero, one, limit = number(totals, 0.0), number(totals, 1.0), number(totals, ACCESSED)
    for j in range(n):
        row = int(rows[j])
        total = totals[row]
        totals[row] = zero
        if total > limit:
            place = n_accessed
            while place > 0 and accessed[place - 1] > rows[j]:
                accessed[place] = accessed[place - 1]
                place -= 1
            accessed[place] = rows[j] + one
            n_accessed += 1
    return n_accessed


@stage
def _access(d, state, accessed):
    """Note the step as the last access of all rows that were written and read enough."""
    n_reads, n_writes = d.read_heads * d.nearest, d.write_heads * (d.nearest + 1)
    _add_weights(n_writes, state.write_rows, state.write_weights, state.totals)
    _add_weights(n_reads, state.read_rows, state.read_weights, state.totals)
    n = _collect(n_writes, state.write_rows, state.totals, accessed, 0)
    n = _collect(n_reads, state.read_rows, state.totals, accessed, n)
    accessed[n] = number(accessed, 0.0)
    for i in range(n):
        row = int(accessed[i]) - 1
        put_last(state, row)
        state.last_access[row] = state.step[0]


# Backward


@stage
def step_backward(d, interface, before, history, d_state, d_reads, d_interface, scratch):
    """Backpropagate through a step; the gradient of the memory changes in a few rows."""
    n_reads, n_writes = d.read_heads * d.nearest, d.write_heads * (d.nearest + 1)
    zero = number(d_reads, 0.0)
    for r in range(d.read_heads):
        _read_backward(d, r, interface, history, d_state, d_reads, d_interface, scratch)
    for i in range(n_reads):
        scratch.previous[i] = zero
    for v in range(d.write_heads):
        _write_backward(d, v, interface, history, d_state, d_interface, scratch)
    for v in range(d.write_heads):  # what was wiped had no influence
        row = int(history.write_rows[v * (d.nearest + 1) + d.nearest])
        for i in range(row * d.width, (row + 1) * d.width):
            d_state.memory[i] = zero
    for i in range(n_reads):
        d_state.read_weights[i], d_state.read_rows[i] = scratch.previous[i], zero
    for i in range(n_writes):
        d_state.write_weights[i], d_state.write_rows[i] = zero, zero
    i = 0
    while history.accessed[i] > zero:
        row = int(history.accessed[i]) - 1
        d_state.step[0] += d_state.last_access[row]
        d_state.last_access[row] = zero
        i += 1


@stage
def _read_backward(d, r, interface, history, d_state, d_reads, d_interface, scratch):
    """Backpropagate from what a head read to the memory, its key and strength."""
    k, width, one, put = d.nearest, d.width, plain(1), plain(False)
    contents, cosines = at(history.contents, r * k * width), at(history.cosines, r * k)
    rows, weights = at(history.read_rows, r * k), at(history.read_weights, r * k)
    key, d_key = at(interface.key, r * width), at(d_interface.key, r * width)
    d_read, d_weights = at(d_reads, r * width), scratch.weights
    multiply_transposed(one, k, width, d_read, width, contents, width, d_weights, k, put)
    zero, epsilon, strength = number(key, 0.0), number(key, EPSILON), interface.strength[r]
    total, d_norm, key_norm = zero, zero, _norm(width, key)
    for j in range(k):
        d_weights[j] += d_state.read_weights[r * k + j]
        total += weights[j] * d_weights[j]
    for j in range(k):
        content = at(contents, j * width)
        d_memory = at(d_state.memory, int(rows[j]) * width)
        power, norm, weight = (
            weights[j] * (d_weights[j] - total),
            _norm(width, content),
            weights[j],
        )
        d_interface.strength[r] += power * cosines[j]
        d_product = strength * power / (key_norm * norm + epsilon)
        d_norms = -d_product * cosines[j]
        d_norm += d_norms * norm
        along = d_norms * key_norm / norm if norm > zero else zero
        for i in range(width):
            d_memory[i] += weight * d_read[i] + d_product * key[i] + along * content[i]
        for i in range(width):
            d_key[i] += d_product * content[i]
    along = d_norm / key_norm if key_norm > zero else zero
    for i in range(width):
        d_key[i] += along * key[i]


@stage
def _write_backward(d, v, interface, history, d_state, d_interface, scratch):
    """Backpropagate from the memory to a head's vector, gates and last read weights."""
    k, width, owner = d.nearest, d.width, v % d.read_heads * d.nearest
    rows = at(history.write_rows, v * (k + 1))
    weights = at(history.write_weights, v * (k + 1))
    add, d_add = at(interface.add, v * width), at(d_interface.add, v * width)
    d_weights, one, from_reads = scratch.weights, number(add, 1.0), number(add, 0.0)
    for j in range(k + 1):
        d_memory, weight = at(d_state.memory, int(rows[j]) * width), weights[j]
        d_weight = d_state.write_weights[v * (k + 1) + j]
        for i in range(width):
            d_weight += d_memory[i] * add[i]
        for i in range(width):
            d_add[i] += weight * d_memory[i]
        d_weights[j] = d_weight
    alpha, gamma = interface.write_gate[v], interface.interpolation_gate[v]
    for j in range(k):
        from_reads += d_weights[j] * history.previous[owner + j]
        scratch.previous[owner + j] += alpha * gamma * d_weights[j]
    d_interface.write_gate[v] += gamma * from_reads + (one - gamma) * d_weights[k]
    d_interface.interpolation_gate[v] += alpha * (from_reads - d_weights[k])
