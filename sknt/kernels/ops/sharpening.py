"""Sharpening of what links lead to (``sknt.ops.linkage.sharpen_links``).

``followed`` holds such weightings of n_writes times n_heads heads, (n_writes, n_heads, n),
and ``sharpness`` a number for each of the n_heads, with a gap between them (n_heads, 2).
Logarithms and powers are computed of all of them at once: a loop over those of one head
would be a short one.
"""

from sknt.kernels._compile import stage
from sknt.kernels.functions import exp, largest, log
from sknt.kernels.pointers import at, number
from sknt.ops.addressing import EPSILON


@stage
def sharpen(n, n_writes, n_heads, sharpness, followed, logs, sharpened, totals):
    """Concentrate what links lead to.

    ``logs`` becomes the logarithms of the weightings divided by their largest numbers,
    ``totals`` (n_writes, n_heads) the denominators of the powers' quotients.
    """
    n_all = n_writes * n_heads
    zero, one = number(followed, 0.0), number(followed, 1.0)
    epsilon = number(followed, EPSILON)
    for head in range(n_all):
        weighting, ratio = at(followed, head * n), at(logs, head * n)
        top = largest(n, weighting)
        scale = one / ((zero if top < zero else top) + epsilon)
        for i in range(n):
            x = weighting[i]
            ratio[i] = one if x <= zero else x * scale  # NaN is not less and passes
    for i in range(n_all * n):
        logs[i] = log(logs[i])
    for head in range(n_all):
        exponent, log_ratio = sharpness[head % n_heads * 2], at(logs, head * n)
        power = at(sharpened, head * n)
        for i in range(n):
            power[i] = exponent * log_ratio[i]
    for i in range(n_all * n):
        sharpened[i] = exp(sharpened[i])
    for head in range(n_all):
        weighting, power = at(followed, head * n), at(sharpened, head * n)
        total = epsilon
        for i in range(n):
            p = zero if weighting[i] <= zero else power[i]
            power[i] = p
            total += p
        totals[head] = total
        inverse = one / total
        for i in range(n):
            power[i] *= inverse


@stage
def sharpen_again(
    n, n_writes, n_heads, sharpness, followed, logs, totals, sharpened, powers
):
    """Compute ``sharpened`` once more, from ``logs`` and ``totals``.

    With x a weighting divided by its largest number, ``powers`` becomes x^(s - 1). Nothing
    is divided by x, which would multiply the rounding of the smallest numbers.
    """
    n_all, zero, one = n_writes * n_heads, number(followed, 0.0), number(followed, 1.0)
    epsilon = number(followed, EPSILON)
    for head in range(n_all):
        less = sharpness[head % n_heads * 2] - one
        power, log_ratio = at(powers, head * n), at(logs, head * n)
        for i in range(n):
            power[i] = less * log_ratio[i]
    for i in range(n_all * n):
        powers[i] = exp(powers[i])
    for head in range(n_all):
        weighting, power = at(followed, head * n), at(powers, head * n)
        top, result = largest(n, weighting), at(sharpened, head * n)
        scale = one / (totals[head] * ((zero if top < zero else top) + epsilon))
        for i in range(n):
            f = weighting[i]
            result[i] = scale * (zero if f <= zero else f) * power[i]


@stage
def sharpen_backward(
    n,
    n_writes,
    n_heads,
    sharpness,
    followed,
    logs,
    totals,
    sharpened,
    powers,
    slopes,
    d_sharpness,
):
    """Backpropagate through :func:`sharpen`, after :func:`sharpen_again`.

    ``slopes`` changes from the gradient with respect to ``sharpened`` to that with respect
    to ``followed``; those of the sharpness are added to ``d_sharpness``.
    """
    n_all = n_writes * n_heads
    zero, one = number(followed, 0.0), number(followed, 1.0)
    epsilon = number(followed, EPSILON)
    for head in range(n_all):
        weighting, slope = at(followed, head * n), at(slopes, head * n)
        log_ratio, result = at(logs, head * n), at(sharpened, head * n)
        top, power, mean = largest(n, weighting), at(powers, head * n), zero
        for i in range(n):
            mean += slope[i] * result[i]
        d_exponent, share, n_largest = zero, zero, zero
        for i in range(n):
            z = (slope[i] - mean) * result[i]
            d_exponent += z * log_ratio[i]
            share += z
            n_largest += one if weighting[i] == top else zero
        exponent = sharpness[head % n_heads * 2]
        d_sharpness[head % n_heads * 2] += d_exponent
        scale = exponent / ((zero if top < zero else top) + epsilon)
        share *= scale / n_largest  # of the largest, by which all are divided
        factor = scale / totals[head]
        for i in range(n):
            f = weighting[i]
            d = factor * (slope[i] - mean) * power[i]
            d -= share if f == top else zero
            slope[i] = zero if f <= zero else d
