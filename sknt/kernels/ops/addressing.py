"""Addressing of the NTM, NTM eq. 5-9 (``sknt.ops.addressing``), forward and backward.

``d`` has ``rows``, ``width``, ``heads``, ``read_heads`` and ``shifts``, the number of
places to which a shift can move a weighting.
"""

import math

from sknt.kernels._compile import helper, stage
from sknt.kernels.functions import exp, largest
from sknt.kernels.pointers import at, number, plain
from sknt.kernels.products import multiply
from sknt.ops.addressing import EPSILON


@helper
def of_head(d, of_read_heads, of_write_heads, head):
    """Return a pointer to a head's numbers, N of them, in one of two parts."""
    if head < d.read_heads:
        return at(of_read_heads, head * d.rows)
    return at(of_write_heads, (head - d.read_heads) * d.rows)


@stage
def compare_keys(d, interface, memory, scratch):
    """Compute the cosines of all keys with all rows, NTM eq. 6, in ``scratch``."""
    row_norms, key_norms, cosines = scratch.row_norms, scratch.key_norms, scratch.cosines
    n, zero, epsilon = d.rows, number(memory, 0.0), number(memory, EPSILON)
    one, put, width, keys = plain(1), plain(False), d.width, interface.key
    multiply(d.heads, n, width, keys, width, one, memory, n, cosines, n, put)
    for i in range(n):
        row_norms[i] = zero
    for w in range(0, width - 3, 4):
        for i in range(n):
            x, y = memory[w * n + i], memory[(w + 1) * n + i]
            z, u = memory[(w + 2) * n + i], memory[(w + 3) * n + i]
            row_norms[i] += x * x + y * y + z * z + u * u
    for w in range(width // 4 * 4, width):
        for i in range(n):
            row_norms[i] += memory[w * n + i] * memory[w * n + i]
    for i in range(n):
        row_norms[i] = math.sqrt(row_norms[i])
    for head in range(d.heads):
        square = zero
        for w in range(head * width, (head + 1) * width):
            square += keys[w] * keys[w]
        key_norm = math.sqrt(square)
        key_norms[head] = key_norm
        cosine = at(cosines, head * n)
        for i in range(n):
            cosine[i] /= key_norm * row_norms[i] + epsilon


@helper
def weigh_scores(n, strength, scores, weights):
    """Compute ``softmax(strength * scores)``, NTM eq. 5; it may take the scores' place."""
    one, highest, total = number(scores, 1.0), largest(n, scores), number(scores, 0.0)
    highest *= strength
    for i in range(n):
        e = exp(strength * scores[i] - highest)
        weights[i] = e
        total += e
    scale = one / total
    for i in range(n):
        weights[i] *= scale


@helper
def move(d, head, interface, content, previous, circular, shifted):
    """Interpolate a head's content weighting with the previous one, and shift it.

    ``circular`` becomes the interpolated weighting with its ends repeated.
    """
    n, reach = d.rows, d.shifts // 2
    gate, moves = interface.gate[head], at(interface.shift, head * d.shifts)
    inner = at(circular, reach)
    for i in range(n):  # NTM eq. 7
        inner[i] = previous[i] + gate * (content[i] - previous[i])
    if d.shifts == 1:  # not moved at all, whatever the probability
        for i in range(n):
            shifted[i] = inner[i]
        return
    _repeat_ends(n, reach, circular)
    if d.shifts == 3:  # NTM eq. 8, in one pass for the usual shift_range
        back, stay, forth = moves[0], moves[1], moves[2]
        for i in range(n):
            shifted[i] = (
                back * circular[i + 2] + stay * circular[i + 1] + forth * circular[i]
            )
        return
    for j in range(d.shifts):
        moved, probability = at(circular, 2 * reach - j), moves[j]
        if j:
            for i in range(n):
                shifted[i] += probability * moved[i]
        else:
            for i in range(n):
                shifted[i] = probability * moved[i]


@helper
def _repeat_ends(n, reach, circular):
    """Put the last rows of a weighting before the first, and the first after the last."""
    for i in range(reach):
        circular[i] = circular[n + i]
        circular[reach + n + i] = circular[reach + i]


@helper
def shift_backward(d, head, interface, circular, d_circular, d_gated, gradient):
    """Backpropagate from a shifted weighting to the interpolated one, ``d_gated``.

    The gradient with respect to the former is in ``d_circular``, without its ends.
    """
    n, reach, zero = d.rows, d.shifts // 2, number(d_gated, 0.0)
    d_inner = at(d_circular, reach)
    _repeat_ends(n, reach, d_circular)
    moves = at(interface.shift, head * d.shifts)
    d_moves = at(gradient.shift, head * d.shifts)
    if d.shifts == 3:
        back, stay, forth = moves[0], moves[1], moves[2]
        d_back, d_stay, d_forth = zero, zero, zero
        for i in range(n):
            d_back += d_inner[i] * circular[i + 2]
            d_stay += d_inner[i] * circular[i + 1]
            d_forth += d_inner[i] * circular[i]
        for i in range(n):
            slope = back * d_circular[i] + stay * d_circular[i + 1]
            d_gated[i] = slope + forth * d_circular[i + 2]
        d_moves[0] += d_back
        d_moves[1] += d_stay
        d_moves[2] += d_forth
    elif d.shifts == 1:
        for i in range(n):
            d_gated[i] = d_inner[i]
    else:
        for i in range(n):
            d_gated[i] = zero
        for j in range(d.shifts):
            moved, d_moved = at(circular, 2 * reach - j), at(d_circular, j)
            probability, d_probability = moves[j], zero
            for i in range(n):
                d_probability += d_inner[i] * moved[i]
            for i in range(n):
                d_gated[i] += probability * d_moved[i]
            d_moves[j] += d_probability


@helper
def interpolate_backward(d, head, interface, content, previous, d_gated, d_last, gradient):
    """Backpropagate from interpolated to content and previous weightings.

    The gradient with respect to the former takes the place of ``d_gated``; that with
    respect to the latter is ``d_last``.
    """
    n, one, d_gate = d.rows, number(content, 1.0), number(content, 0.0)
    gate = interface.gate[head]
    for i in range(n):
        d_gate += d_gated[i] * (content[i] - previous[i])
    for i in range(n):
        slope = d_gated[i]
        d_last[i] = (one - gate) * slope
        d_gated[i] = gate * slope
    gradient.gate[head] += d_gate
