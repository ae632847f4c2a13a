"""How heads write to a memory: ``M ∘ (1 - w eᵀ) + w aᵀ``, forward and backward.

Heads write to the first ``acting`` of n rows. ``focus`` is a head's weighting of them;
``erase`` and ``add`` (width,) are its vectors.
"""

from sknt.kernels._compile import helper, stage
from sknt.kernels.pointers import at, number


@helper
def _write_column(acting, focus, e, a, before, after):
    """Write one number to each row."""
    one = number(before, 1.0)
    for i in range(acting):
        after[i] = before[i] * (one - focus[i] * e) + focus[i] * a


@stage
def write(n, acting, width, focus, erase, add, old, new):
    """Compute the memory ``new`` after a write from that before it, ``old``."""
    for w in range(width):
        _write_column(acting, focus, erase[w], add[w], at(old, w * n), at(new, w * n))


@stage
def write_in_place(n, acting, width, focus, erase, add, memory):
    """Write into the memory itself: a loop that can be vectorised, as one pointer tells."""
    for w in range(width):
        column = at(memory, w * n)
        _write_column(acting, focus, erase[w], add[w], column, column)


@stage
def write_backward(
    n, acting, width, focus, erase, add, old, d_memory, d_focus, d_erase, d_add
):
    """Backpropagate through a write whose previous memory was ``old``.

    ``d_memory`` changes from the gradient with respect to the memory after the write to
    that before it; the other gradients are added.
    """
    zero = number(old, 0.0)
    for w in range(width):
        before, d_after = at(old, w * n), at(d_memory, w * n)
        e, a = erase[w], add[w]
        erased, added = zero, zero
        for i in range(acting):
            slope, m = d_after[i], before[i]
            focused = slope * focus[i]
            added += focused
            erased -= focused * m
            d_focus[i] += slope * (a - m * e)
            d_after[i] = slope - focused * e
        d_erase[w] += erased
        d_add[w] += added
