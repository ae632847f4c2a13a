"""In which order rows were written, and how to follow it (``sknt.ops.linkage``)."""

from sknt.kernels._compile import stage
from sknt.kernels.functions import exp, log
from sknt.kernels.ops.lookup import largest
from sknt.kernels.pointers import at, number, plain
from sknt.kernels.products import multiply, multiply_transposed
from sknt.ops.addressing import EPSILON


@stage
def link(n, weights, precedence, old, new):
    """Compute the links after a write from those before, which may be in their place."""
    zero, one = number(old, 0.0), number(old, 1.0)
    for i in range(n):
        before, after, written = at(old, i * n), at(new, i * n), weights[i]
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
def follow_backward(n, n_heads, links, slopes, d_weights, d_links, adds):
    """Backpropagate through :func:`follow`, to weightings and links.

    ``slopes`` (3, n_heads, n) holds the gradient with respect to ``forward``, the weightings
    and the gradient with respect to ``backward``. ``adds`` says whether to add to
    ``d_weights``; the links' gradient is always added.
    """
    one, accumulate, part = plain(1), plain(True), n_heads * n
    multiply(n_heads, n, n, slopes, n, one, links, n, d_weights, n, adds)
    d_backward = at(slopes, 2 * part)
    multiply_transposed(n_heads, n, n, d_backward, n, links, n, d_weights, n, accumulate)
    both = 2 * n_heads
    multiply(n, n, both, slopes, one, n, at(slopes, part), n, d_links, n, accumulate)


@stage
def link_backward(n, weights, precedence, old, d_links, d_weights, d_precedence):
    """Backpropagate through :func:`link`, from links after a write to those before.

    Gradients with respect to weightings and precedence are added.
    """
    zero, one = number(old, 0.0), number(old, 1.0)
    for i in range(n):
        before, d_row, written = at(old, i * n), at(d_links, i * n), weights[i]
        d_row[i] = zero
        d_written, left = zero, one - written
        for j in range(n):
            d_written += d_row[j] * (precedence[j] - before[j])
        for j in range(n):
            d_precedence[j] += written * d_row[j]
        for j in range(n):
            slope = d_row[j]
            d_weights[j] -= slope * before[j]
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
def sharpen(n, sharpness, followed, sharpened):
    """Concentrate what links lead to; return the denominator of the powers' quotients."""
    zero, one, epsilon = (
        number(followed, 0.0),
        number(followed, 1.0),
        number(followed, EPSILON),
    )
    top, total = largest(n, followed), epsilon
    scale = one / ((zero if top < zero else top) + epsilon)
    for i in range(n):
        x = followed[i] * scale
        # NaN is not less and passes.
        power = exp(sharpness * log(one if x <= zero else x))
        power = zero if x <= zero else power
        sharpened[i] = power
        total += power
    inverse = one / total
    for i in range(n):
        sharpened[i] *= inverse
    return total


@stage
def sharpen_backward(n, sharpness, followed, sharpened, d_sharpened, d_followed, total):
    """Backpropagate through :func:`sharpen`; return the gradient of the sharpness.

    ``d_followed`` may be ``d_sharpened``. ``total`` is what :func:`sharpen` returned.
    """
    zero, one, epsilon = (
        number(followed, 0.0),
        number(followed, 1.0),
        number(followed, EPSILON),
    )
    top, mean = largest(n, followed), zero
    for i in range(n):
        mean += d_sharpened[i] * sharpened[i]
    scale = one / ((zero if top < zero else top) + epsilon)
    d_sharpness, share, n_largest = zero, zero, zero
    for i in range(n):
        x = followed[i] * scale
        z = (d_sharpened[i] - mean) * sharpened[i]
        d_sharpness += z * log(one if x <= zero else x)
        share += z
        n_largest += one if followed[i] == top else zero
    share *= sharpness / n_largest  # of the largest, by which all are divided
    inverse, less = sharpness / total, sharpness - one
    for i in range(n):
        f = followed[i]
        # x^(s-1) anew: x^s / x would multiply the rounding of the smallest numbers.
        power = exp(less * log(one if f <= zero else f * scale))
        slope = inverse * (d_sharpened[i] - mean) * power
        slope -= share if f == top else zero
        d_followed[i] = zero if f <= zero else slope * scale
    return d_sharpness
