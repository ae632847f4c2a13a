"""In which order rows were written, and how to follow it (``sknt.ops.linkage``).

Links are processed a few rows at a time, so that these stay in the nearest cache from one
product to the next.
"""

from typing import Any

from numba import types
from numba.extending import intrinsic

from sknt.kernels._compile import stage
from sknt.kernels.pointers import at, number, plain
from sknt.kernels.products import Vectors, multiply, multiply_transposed

ROWS = 16
"""Rows of links that are processed at once."""


def _rows(n_rows: int) -> Any:
    """Build the update of the links' rows from the i-th one on.

    Written as instructions on vectors: a loop over so many arrays is not vectorised, and
    rows that are processed together share what is loaded of weightings and precedence.
    """

    @intrinsic
    def rows(typing_context, n, i, weights, precedence, old, new):
        arguments = [types.intp, types.intp, *[weights] * 4]

        def generate(context, builder, signature, args):
            n, i, weights, precedence, old, new = args
            vectors = Vectors(context, builder, signature.args[2].dtype)
            size, number_ = vectors.size, vectors.vector.element
            own = [builder.add(i, size(row)) for row in range(n_rows)]
            places = [builder.mul(n, size(row)) for row in range(n_rows)]
            written = [builder.load(builder.gep(weights, [row])) for row in own]
            left = [vectors.splat(builder.fsub(number_(1.0), w)) for w in written]
            written = [vectors.splat(w) for w in written]

            def advance(j, totals, mask=None):
                focus, before = (
                    vectors.load(start, j, mask) for start in (weights, precedence)
                )
                for row in range(n_rows):
                    place = builder.add(j, places[row])
                    kept = builder.fsub(left[row], focus)
                    kept = builder.fmul(kept, vectors.load(old, place, mask))
                    link = vectors.multiply_add(written[row], before, kept)
                    vectors.store(link, new, place, mask)
                return []

            vectors.accumulate(n, 0, advance)
            for row in range(n_rows):
                place = builder.add(own[row], places[row])
                builder.store(number_(0.0), builder.gep(new, [place]))
            return context.get_dummy_value()

        return types.void(*arguments), generate

    return rows


_four_rows, _row = _rows(4), _rows(1)


@stage
def link(n, first, stop, weights, precedence, old, new):
    """Compute some rows of the links after a write from those before.

    ``old`` and ``new``, which may be the same, point to the first of these rows.
    """
    i = first
    while i < stop:
        place = (i - first) * n
        if stop - i >= 4:
            _four_rows(n, i, weights, precedence, at(old, place), at(new, place))
            i += 4
        else:
            _row(n, i, weights, precedence, at(old, place), at(new, place))
            i += 1


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
def link_and_follow(
    n, n_heads, weights, precedence, links, read_weights, backward, forward
):
    """Update the links after a write, and follow them.

    Read heads move to what was written before (``backward``), and after, what they read.
    """
    one, put = plain(1), plain(False)
    first = 0
    while first < n:
        stop = min(first + ROWS, n)
        k, rows, adds = stop - first, at(links, first * n), first > 0
        link(n, first, stop, weights, precedence, rows, rows)
        focus, ahead = at(read_weights, first), at(forward, first)
        multiply(n_heads, n, k, focus, n, one, rows, n, backward, n, adds)
        multiply_transposed(n_heads, k, n, read_weights, n, rows, n, ahead, n, put)
        first = stop


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
    """Backpropagate through :func:`link_and_follow`.

    ``slopes`` (3, n_heads, n) holds the gradient with respect to ``backward``, the read
    weightings and the gradient with respect to ``forward``. The gradient with respect to
    the links before takes the place of that with respect to the links after; the others are
    added: ``d_reads`` (n_heads, n), ``d_weights`` and ``d_precedence``. ``rows`` is working
    memory, (ROWS, n).
    """
    one, accumulate, part, both = plain(1), plain(True), n_heads * n, 2 * n_heads
    zero, ahead = number(old, 0.0), at(slopes, part)
    first = 0
    while first < n:
        stop = min(first + ROWS, n)
        k, before, d_rows = stop - first, at(old, first * n), at(d_links, first * n)
        d_forward, d_mine = at(slopes, 2 * part + first), at(d_reads, first)
        link(n, first, stop, weights, precedence, before, rows)
        multiply(n_heads, n, k, d_forward, n, one, rows, n, d_reads, n, accumulate)
        multiply_transposed(n_heads, k, n, slopes, n, rows, n, d_mine, n, accumulate)
        multiply(k, n, both, at(ahead, first), one, n, slopes, n, d_rows, n, accumulate)
        for i in range(k):
            d_rows[i * n + first + i] = zero
        _link_backward(
            n, first, stop, weights, precedence, before, d_rows, d_weights, d_precedence
        )
        first = stop


@stage
def _link_backward(
    n, first, stop, weights, precedence, old, d_links, d_weights, d_precedence
):
    """Backpropagate through :func:`link`, several rows at a time."""
    i = first
    while i < stop:
        place = (i - first) * n
        before, d_rows = at(old, place), at(d_links, place)
        if stop - i >= 4:
            _four_rows_backward(
                n, i, weights, precedence, before, d_rows, d_weights, d_precedence
            )
            i += 4
        else:
            _row_backward(
                n, i, weights, precedence, before, d_rows, d_weights, d_precedence
            )
            i += 1


def _rows_backward(n_rows: int) -> Any:
    """Build the backward pass of the links' rows from the i-th one on.

    With L' the links before, and D the gradient with respect to those after the write,
    ``(1 - w[i] - w[j]) L'[i, j] + w[i] p[j]``, the gradient of w[i] is the sum of
    ``D (p[j] - L'[i, j])`` over a row, that of w[j] the sum of ``-D L'[i, j]`` over a
    column, and so on.
    """

    @intrinsic
    def rows(typing_context, n, i, weights, precedence, old, d_links, d_weights, d_before):
        pointer = weights
        arguments = [types.intp, types.intp, *[pointer] * 6]

        def generate(context, builder, signature, args):
            n, i, *pointers = args
            vectors = Vectors(context, builder, pointer.dtype)
            weights, precedence, old, d_links, d_weights, d_before = pointers
            size, number_ = vectors.size, vectors.vector.element
            places = [builder.mul(n, size(r)) for r in range(n_rows)]
            written = [
                builder.load(builder.gep(weights, [builder.add(i, size(r))]))
                for r in range(n_rows)
            ]
            left = [vectors.splat(builder.fsub(number_(1.0), w)) for w in written]
            written = [vectors.splat(w) for w in written]

            def advance(j, totals, mask=None):
                focus, before, d_focus, d_p = (
                    vectors.load(start, j, mask)
                    for start in (weights, precedence, d_weights, d_before)
                )
                sums = []
                for row, total in enumerate(totals):
                    place = builder.add(j, places[row])
                    slope = vectors.load(d_links, place, mask)
                    link = vectors.load(old, place, mask)
                    gain = builder.fsub(before, link)
                    sums.append(vectors.multiply_add(slope, gain, total))
                    d_p = vectors.multiply_add(slope, written[row], d_p)
                    d_focus = vectors.multiply_add(builder.fneg(slope), link, d_focus)
                    slope = builder.fmul(slope, builder.fsub(left[row], focus))
                    vectors.store(slope, d_links, place, mask)
                vectors.store(d_focus, d_weights, j, mask)
                vectors.store(d_p, d_before, j, mask)
                return sums

            totals = vectors.accumulate(n, n_rows, advance)
            for row, total in enumerate(totals):
                own = builder.gep(d_weights, [builder.add(i, size(row))])
                builder.store(builder.fadd(builder.load(own), vectors.sum(total)), own)
            return context.get_dummy_value()

        return types.void(*arguments), generate

    return rows


_four_rows_backward, _row_backward = _rows_backward(4), _rows_backward(1)


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
