"""In which order rows were written, and how to follow it (``sknt.ops.linkage``)."""

from sknt.kernels._compile import stage
from sknt.kernels.functions import exp, largest, log
from sknt.kernels.pointers import at, number, plain
from sknt.kernels.products import multiply, multiply_transposed
from sknt.ops.addressing import EPSILON

ROWS = 16
"""Rows of links that are processed at once in the backward pass, while they are cached."""


@stage
def link(n, first, stop, weights, precedence, old, new):
    """Compute some rows of the links after a write from those before.

    ``old`` and ``new``, which may be the same, point to the first of these rows.
    """
    zero, one = number(old, 0.0), number(old, 1.0)
    for i in range(first, stop):
        before, after, written = (
            at(old, (i - first) * n),
            at(new, (i - first) * n),
            weights[i],
        )
        left = one - written
        for j in range(n):
            after[j] = (left - weights[j]) * before[j] + written * precedence[j]
        after[i] = zero


@stage
def precede(n, weights, old, new):
    """Compute the precedence after a write; ``new`` may be ``old``."""
    total, one = number(old, 0.0), number(old, 1.0)
    for i in range(n):
        total += weights[i]
    left = one - total
    for i in range(n):
        new[i] = left * old[i] + weights[i]


@stage
def follow(n, n_heads, links, weights, backward, forward):
    """Move read heads to what was written before, and after, what they read."""
    one, put = plain(1), plain(False)
    multiply(n_heads, n, n, weights, n, one, links, n, backward, n, put)
    multiply_transposed(n_heads, n, n, weights, n, links, n, forward, n, put)


@stage
def links_backward(
    n,
    n_heads,
    weights,
    precedence,
    old,
    slopes,
    d_reads,
    d_links,
    d_weights,
    d_precedence,
    rows,
):
    """Backpropagate through :func:`follow` and :func:`link`, a few rows at a time.

    ``slopes`` (3, n_heads, n) holds the gradient with respect to ``forward``, the read
    weightings and the gradient with respect to ``backward``. The gradient with respect to
    the links before takes the place of that with respect to the links after; the others are
    added: ``d_reads`` (n_heads, n), ``d_weights`` and ``d_precedence``. ``rows`` is working
    memory, (ROWS, n).
    """
    one, accumulate, part, both = plain(1), plain(True), n_heads * n, 2 * n_heads
    zero, d_backward = number(old, 0.0), at(slopes, 2 * part)
    first = 0
    while first < n:
        stop = min(first + ROWS, n)
        k, before, d_rows = stop - first, at(old, first * n), at(d_links, first * n)
        mine = at(slopes, first)
        link(n, first, stop, weights, precedence, before, rows)
        multiply(n_heads, n, k, mine, n, one, rows, n, d_reads, n, accumulate)
        d_mine = at(d_reads, first)
        multiply_transposed(n_heads, k, n, d_backward, n, rows, n, d_mine, n, accumulate)
        multiply(k, n, both, mine, one, n, at(slopes, part), n, d_rows, n, accumulate)
        for i in range(k):
            d_rows[i * n + first + i] = zero
        written, d_written = at(weights, first), at(d_weights, first)
        multiply(one, n, k, written, n, one, d_rows, n, d_precedence, n, accumulate)
        multiply_transposed(one, k, n, precedence, n, d_rows, n, d_written, n, accumulate)
        _link_backward(n, first, stop, weights, before, d_rows, d_weights)
        first = stop


@stage
def _link_backward(n, first, stop, weights, old, d_links, d_weights):
    """Backpropagate through the first term of :func:`link`."""
    zero, one = number(old, 0.0), number(old, 1.0)
    for i in range(first, stop):
        before, d_row = at(old, (i - first) * n), at(d_links, (i - first) * n)
        d_written, left = zero, one - weights[i]
        for j in range(n):
            slope = d_row[j]
            share = slope * before[j]
            d_written -= share
            d_weights[j] -= share
            d_row[j] = slope * (left - weights[j])
        d_weights[i] += d_written


@stage
def precede_backward(n, weights, old, d_precedence, d_weights):
    """Backpropagate through :func:`precede`; ``d_precedence`` is replaced."""
    one, mean, total = number(old, 1.0), number(old, 0.0), number(old, 0.0)
    for i in range(n):
        mean += d_precedence[i] * old[i]
        total += weights[i]
    left = one - total
    for i in range(n):
        d_weights[i] += d_precedence[i] - mean
        d_precedence[i] *= left


@stage
def sharpen(n, sharpness, followed, logs, sharpened):
    """Concentrate what links lead to; return the denominator of the powers' quotients.

    ``logs`` becomes the logarithm of what links lead to, divided by the largest of them.
    """
    zero, one, epsilon = (
        number(followed, 0.0),
        number(followed, 1.0),
        number(followed, EPSILON),
    )
    top, total = largest(n, followed), epsilon
    scale = one / ((zero if top < zero else top) + epsilon)
    for i in range(n):
        x = followed[i]
        logarithm = log(one if x <= zero else x * scale)  # NaN is not less and passes
        logs[i] = logarithm
        power = exp(sharpness * logarithm)
        power = zero if x <= zero else power
        sharpened[i] = power
        total += power
    inverse = one / total
    for i in range(n):
        sharpened[i] *= inverse
    return total


@stage
def sharpen_backward(
    n, sharpness, followed, logs, sharpened, total, mode, slopes, d_followed
):
    """Backpropagate through :func:`sharpen`; return the gradient of the sharpness.

    ``mode * slopes`` is the gradient with respect to ``sharpened``; ``logs`` and ``total``
    come from the function.
    """
    zero, one, epsilon = (
        number(followed, 0.0),
        number(followed, 1.0),
        number(followed, EPSILON),
    )
    top, mean = largest(n, followed), zero
    for i in range(n):
        mean += slopes[i] * sharpened[i]
    d_sharpness, share, n_largest = zero, zero, zero
    for i in range(n):
        z = (slopes[i] - mean) * sharpened[i]
        d_sharpness += z * logs[i]
        share += z
        n_largest += one if followed[i] == top else zero
    scale = mode / ((zero if top < zero else top) + epsilon)
    factor, less = scale * sharpness / total, sharpness - one
    share *= scale * sharpness / n_largest  # of the largest, by which all are divided
    for i in range(n):
        f = followed[i]
        # x^(s-1) anew: x^s / x would multiply the rounding of the smallest numbers.
        slope = factor * (slopes[i] - mean) * exp(less * logs[i])
        slope -= share if f == top else zero
        d_followed[i] = zero if f <= zero else slope
    return mode * d_sharpness
