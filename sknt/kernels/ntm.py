"""One step of the NTM's memory, forward and backward, for one sequence.

The equations are those of ``sknt.ops.addressing`` and ``sknt.memories.ntm``, the letters
those of ``sknt.kernels.layout``; the matrix products between these stages are in
``sknt.kernels.passes``. All arguments but the sizes point to numbers of one sequence:
``memory`` (W, N), ``interface`` (I,), and weightings, ``content`` and ``cosines``
(R + V, N).
"""

import math

from sknt.kernels._compile import helper
from sknt.kernels.functions import exp, larger, log, sigmoid, softplus, tanh
from sknt.kernels.layout import PORTION
from sknt.kernels.pointers import at, number
from sknt.ops.addressing import EPSILON


@helper
def activate(sizes, raw, interface, room):
    """Clip the raw interface and apply its activations.

    Where only some of the columns are wanted, all are computed in ``room``, (2, I rounded
    up to whole portions): a loop over few would not be vectorised.
    """
    zero, one, clip = number(raw, 0.0), number(raw, 1.0), number(raw, sizes.clip)
    n = -(-sizes.interface // PORTION) * PORTION
    clipped, squashed = room, at(room, n)
    for i in range(sizes.interface):
        x = raw[i]
        x = -clip if x < -clip else x  # NaN stays NaN
        clipped[i] = clip if x > clip else x
    for i in range(sizes.interface, n):
        clipped[i] = zero
    for i in range(n):
        squashed[i] = sigmoid(clipped[i])
    for i in range(sizes.gate, sizes.shift):
        interface[i] = squashed[i]
    for i in range(sizes.erase, sizes.add):
        interface[i] = squashed[i]
    for i in range(n):
        squashed[i] = tanh(clipped[i])
    keys = squashed if sizes.squashes_keys else clipped
    adds = squashed if sizes.squashes_adds else clipped
    for i in range(sizes.strength):
        interface[i] = keys[i]
    for i in range(sizes.add, sizes.interface):
        interface[i] = adds[i]
    for head in range(sizes.heads):
        first = sizes.shift + head * sizes.shifts
        shift, out = at(clipped, first), at(interface, first)
        largest, total = shift[0], zero
        for i in range(sizes.shifts):
            largest = shift[i] if shift[i] > largest else largest
        for i in range(sizes.shifts):
            e = exp(shift[i] - largest)
            out[i] = e
            total += e
        for i in range(sizes.shifts):
            out[i] /= total
        i = sizes.strength + head
        interface[i] = softplus(clipped[i])
        i = sizes.gamma + head
        interface[i] = one + softplus(clipped[i])


@helper
def activate_backward(sizes, raw, interface, gradient):
    """Backpropagate through the activations, from the interface to ``raw``'s place."""
    zero, one, clip = number(raw, 0.0), number(raw, 1.0), number(raw, sizes.clip)
    if sizes.squashes_keys:
        for i in range(sizes.strength):
            gradient[i] *= one - interface[i] * interface[i]
    for head in range(sizes.heads):
        first, total = sizes.shift + head * sizes.shifts, zero
        for i in range(first, first + sizes.shifts):
            total += gradient[i] * interface[i]
        for i in range(first, first + sizes.shifts):
            gradient[i] = (gradient[i] - total) * interface[i]
        i = sizes.gate + head
        gradient[i] *= interface[i] * (one - interface[i])
        i = sizes.strength + head
        gradient[i] *= one - exp(-interface[i])
        i = sizes.gamma + head
        gradient[i] *= one - exp(one - interface[i])
    for i in range(sizes.erase, sizes.add):
        gradient[i] *= interface[i] * (one - interface[i])
    if sizes.squashes_adds:
        for i in range(sizes.add, sizes.interface):
            gradient[i] *= one - interface[i] * interface[i]
    unclipped = sizes.clip == math.inf  # and then NaN has a gradient, too
    for i in range(sizes.interface):
        x = raw[i]
        raw[i] = gradient[i] if unclipped or (-clip <= x and x <= clip) else zero


@helper
def compare(sizes, memory, interface, cosines, row_norms, key_norms):
    """Turn the keys' products with the memory's rows into cosines, NTM eq. 6."""
    n, zero, epsilon = sizes.rows, number(memory, 0.0), number(memory, EPSILON)
    for i in range(n):
        row_norms[i] = zero
    for w in range(0, sizes.width - 3, 4):
        for i in range(n):
            x, y = memory[w * n + i], memory[(w + 1) * n + i]
            z, u = memory[(w + 2) * n + i], memory[(w + 3) * n + i]
            row_norms[i] += x * x + y * y + z * z + u * u
    for w in range(sizes.width // 4 * 4, sizes.width):
        for i in range(n):
            row_norms[i] += memory[w * n + i] * memory[w * n + i]
    for i in range(n):
        row_norms[i] = math.sqrt(row_norms[i])
    for head in range(sizes.heads):
        square = zero
        for w in range(head * sizes.width, (head + 1) * sizes.width):
            square += interface[w] * interface[w]
        key_norm = math.sqrt(square)
        key_norms[head] = key_norm
        cosine = at(cosines, head * n)
        for i in range(n):
            cosine[i] /= key_norm * row_norms[i] + epsilon


@helper
def _largest(n, values):
    """Return the largest of n numbers, and NaN if one of them is."""
    largest = values[0]
    for i in range(n):
        largest = larger(values[i], largest)
    return largest


@helper
def _shift(sizes, head, interface, content, previous, circular, shifted):
    """Interpolate a head's content weighting with the previous one, and shift it."""
    n, reach = sizes.rows, sizes.shifts // 2
    gate, shift = (
        interface[sizes.gate + head],
        at(interface, sizes.shift + head * sizes.shifts),
    )
    inner = at(circular, reach)
    for i in range(n):  # NTM eq. 7
        inner[i] = previous[i] + gate * (content[i] - previous[i])
    if sizes.shifts == 1:  # not moved at all, whatever the probability
        for i in range(n):
            shifted[i] = inner[i]
        return
    for i in range(reach):
        circular[i] = circular[n + i]
        circular[reach + n + i] = circular[reach + i]
    if sizes.shifts == 3:  # NTM eq. 8, in one pass for the usual shift_range
        back, stay, forth = shift[0], shift[1], shift[2]
        for i in range(n):
            shifted[i] = (
                back * circular[i + 2] + stay * circular[i + 1] + forth * circular[i]
            )
        return
    for j in range(sizes.shifts):
        moved, probability = at(circular, 2 * reach - j), shift[j]
        if j:
            for i in range(n):
                shifted[i] += probability * moved[i]
        else:
            for i in range(n):
                shifted[i] = probability * moved[i]


@helper
def address(sizes, interface, content, weights, state, scratch):
    """Turn cosines into all weightings, which replace the previous ones in ``state``."""
    circular, shifted = scratch.circular, scratch.shifted
    n, zero, one = sizes.rows, number(content, 0.0), number(content, 1.0)
    epsilon = number(content, EPSILON)
    for head in range(sizes.heads):
        cosine, looked_up = at(scratch.cosines, head * n), at(content, head * n)
        focus, last = at(weights, head * n), at(state, head * n)
        strength, gamma = interface[sizes.strength + head], interface[sizes.gamma + head]
        largest, total = strength * _largest(n, cosine), zero
        for i in range(n):  # NTM eq. 5
            e = exp(strength * cosine[i] - largest)
            looked_up[i] = e
            total += e
        scale = one / total
        for i in range(n):
            looked_up[i] *= scale
        _shift(sizes, head, interface, looked_up, last, circular, shifted)
        for i in range(n):
            shifted[i] = gamma * log(shifted[i] + epsilon)
        largest, total = _largest(n, shifted), zero
        for i in range(n):  # NTM eq. 9
            e = exp(shifted[i] - largest)
            focus[i] = e
            total += e
        scale = one / total
        for i in range(n):
            focus[i] *= scale
            last[i] = focus[i]


@helper
def write(sizes, v, interface, weights, old, new):
    """Write with one head, NTM eq. 3-4, from the memory ``old`` to ``new``."""
    n, one = sizes.rows, number(old, 1.0)
    focus = at(weights, (sizes.read_heads + v) * n)
    for w in range(sizes.width):
        before, after = at(old, w * n), at(new, w * n)
        e = interface[sizes.erase + v * sizes.width + w]
        a = interface[sizes.add + v * sizes.width + w]
        for i in range(n):
            after[i] = before[i] * (one - focus[i] * e) + focus[i] * a


@helper
def write_in_place(sizes, v, interface, weights, memory):
    """Write with one head, into the memory itself: a loop that can be vectorised."""
    n, one = sizes.rows, number(memory, 1.0)
    focus = at(weights, (sizes.read_heads + v) * n)
    for w in range(sizes.width):
        row = at(memory, w * n)
        e = interface[sizes.erase + v * sizes.width + w]
        a = interface[sizes.add + v * sizes.width + w]
        for i in range(n):
            row[i] = row[i] * (one - focus[i] * e) + focus[i] * a


# Backward: docs/equations.md, "Backward of one step"


@helper
def write_backward(sizes, v, interface, weights, memory, d_memory, d_weights, gradient):
    """Backpropagate through a write whose previous memory was ``memory``."""
    n, zero = sizes.rows, number(memory, 0.0)
    head, erase, add = sizes.read_heads + v, sizes.erase + v * sizes.width, sizes.add
    add += v * sizes.width
    focus, d_focus = at(weights, head * n), at(d_weights, head * n)
    for w in range(sizes.width):
        before, d_after = at(memory, w * n), at(d_memory, w * n)
        e, a = interface[erase + w], interface[add + w]
        d_erase, d_add = zero, zero
        for i in range(n):
            d, m = d_after[i], before[i]
            focused = d * focus[i]
            d_add += focused
            d_erase -= focused * m
            d_focus[i] += d * (a - m * e)
            d_after[i] = d - focused * e
        gradient[erase + w] += d_erase
        gradient[add + w] += d_add


@helper
def address_backward(
    sizes, interface, content, weights, previous, d_weights, gradient, scratch
):
    """Backpropagate from the weightings to the content and previous weightings.

    The latter take the place of the former; those of the content weightings go to
    ``scratch.row_gradients``.
    """
    n, reach = sizes.rows, sizes.shifts // 2
    zero, one, epsilon = (
        number(weights, 0.0),
        number(weights, 1.0),
        number(weights, EPSILON),
    )
    circular, shifted, d_circular = (
        scratch.circular,
        scratch.shifted,
        scratch.circular_gradient,
    )
    d_inner = at(d_circular, reach)
    for head in range(sizes.heads):
        looked_up, last = at(content, head * n), at(previous, head * n)
        focus, d_focus = at(weights, head * n), at(d_weights, head * n)
        d_content = at(scratch.row_gradients, head * n)
        _shift(sizes, head, interface, looked_up, last, circular, shifted)
        mean = zero
        for i in range(n):
            mean += d_focus[i] * focus[i]
        gamma, d_gamma = interface[sizes.gamma + head], zero
        for i in range(n):
            z, base = (d_focus[i] - mean) * focus[i], shifted[i] + epsilon
            d_gamma += z * log(base)
        for i in range(n):
            z, base = (d_focus[i] - mean) * focus[i], shifted[i] + epsilon
            d_inner[i] = gamma * z / base
        gradient[sizes.gamma + head] += d_gamma

        for i in range(reach):
            d_circular[i] = d_circular[n + i]
            d_circular[reach + n + i] = d_circular[reach + i]
        first = sizes.shift + head * sizes.shifts
        if sizes.shifts == 3:
            back, stay, forth = interface[first], interface[first + 1], interface[first + 2]
            d_back, d_stay, d_forth = zero, zero, zero
            for i in range(n):
                d_back += d_inner[i] * circular[i + 2]
                d_stay += d_inner[i] * circular[i + 1]
                d_forth += d_inner[i] * circular[i]
            for i in range(n):
                d = back * d_circular[i] + stay * d_circular[i + 1]
                d_content[i] = d + forth * d_circular[i + 2]
            gradient[first] += d_back
            gradient[first + 1] += d_stay
            gradient[first + 2] += d_forth
        elif sizes.shifts == 1:
            for i in range(n):
                d_content[i] = d_inner[i]
        else:
            for i in range(n):
                d_content[i] = zero
            for j in range(sizes.shifts):
                moved, d_moved = at(circular, 2 * reach - j), at(d_circular, j)
                probability, d_probability = interface[first + j], zero
                for i in range(n):
                    d_probability += d_inner[i] * moved[i]
                for i in range(n):
                    d_content[i] += probability * d_moved[i]
                gradient[first + j] += d_probability

        gate, d_gate = interface[sizes.gate + head], zero
        for i in range(n):
            d_gate += d_content[i] * (looked_up[i] - last[i])
        for i in range(n):
            d = d_content[i]
            d_focus[i] = (one - gate) * d
            d_content[i] = gate * d
        gradient[sizes.gate + head] += d_gate


@helper
def compare_backward(sizes, interface, content, gradient, scratch):
    """Backpropagate from the content weightings to the keys' products with the rows.

    These take the place of the former. ``scratch.shifted`` becomes the share of the rows'
    norms, divided by the norms; that of the keys' norms is added to the keys' gradients.
    The keys are copied to ``scratch.factors``.
    """
    n, width, row_norms = sizes.rows, sizes.width, scratch.row_norms
    zero, epsilon, d_norms = number(content, 0.0), number(content, EPSILON), scratch.shifted
    for i in range(n):
        d_norms[i] = zero
    for head in range(sizes.heads):
        looked_up, cosine = at(content, head * n), at(scratch.cosines, head * n)
        d_content, key_norm = at(scratch.row_gradients, head * n), scratch.key_norms[head]
        strength, d_strength, d_key_norm = interface[sizes.strength + head], zero, zero
        mean = zero
        for i in range(n):
            mean += d_content[i] * looked_up[i]
        for i in range(n):
            z = (d_content[i] - mean) * looked_up[i]
            d_strength += z * cosine[i]
            d = strength * z / (key_norm * row_norms[i] + epsilon)
            d_content[i] = d
            d_key_norm -= d * cosine[i] * row_norms[i]
            d_norms[i] -= d * cosine[i] * key_norm
        gradient[sizes.strength + head] += d_strength
        scale = zero if key_norm == zero else d_key_norm / key_norm
        for w in range(head * width, (head + 1) * width):
            scratch.factors[w] = interface[w]
            gradient[w] += scale * interface[w]
    for i in range(n):
        d_norms[i] = zero if row_norms[i] == zero else d_norms[i] / row_norms[i]


@helper
def norms_backward(sizes, d_norms, memory, d_memory):
    """Add the share of the rows' norms to the memory's gradient."""
    n = sizes.rows
    for w in range(sizes.width):
        before, d_before = at(memory, w * n), at(d_memory, w * n)
        for i in range(n):
            d_before[i] += d_norms[i] * before[i]
