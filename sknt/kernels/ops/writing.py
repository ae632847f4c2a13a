"""How heads write to a memory: ``M ∘ (1 - w eᵀ) + w aᵀ``, forward and backward.

``focus`` (n,) is a head's weighting, ``erase`` and ``add`` (width,) are its vectors. A
column is what the memory has in one place of all its rows: adjacent numbers.
"""

from sknt.kernels._compile import helper, stage
from sknt.kernels.pointers import at, number


@helper
def write_column(acting, focus, e, a, before, after):
    """Write to one column of the first rows, ``acting`` of them."""
    one = number(before, 1.0)
    for i in range(acting):
        after[i] = before[i] * (one - focus[i] * e) + focus[i] * a


@stage
def write(n, width, focus, erase, add, old, new):
    """Compute the memory ``new`` after a write from that before it, ``old``."""
    for w in range(width):
        write_column(n, focus, erase[w], add[w], at(old, w * n), at(new, w * n))


@stage
def write_in_place(n, width, focus, erase, add, memory):
    """Write into the memory itself: a loop that can be vectorised, as one pointer tells."""
    for w in range(width):
        column = at(memory, w * n)
        write_column(n, focus, erase[w], add[w], column, column)


@helper
def write_column_backward(acting, focus, e, a, before, d_after, d_focus):
    """Backpropagate through :func:`write_column`; return the gradients of e and a.

    ``d_after`` changes to the gradient with respect to ``before``, that of the weighting is
    added to ``d_focus``.
    """
    erased, added = number(before, 0.0), number(before, 0.0)
    for i in range(acting):
        slope, m = d_after[i], before[i]
        focused = slope * focus[i]
        added += focused
        erased -= focused * m
        d_focus[i] += slope * (a - m * e)
        d_after[i] = slope - focused * e
    return erased, added


@stage
def write_backward(n, width, focus, erase, add, old, d_memory, d_focus, d_erase, d_add):
    """Backpropagate through a write whose previous memory was ``old``.

    ``d_memory`` changes from the gradient with respect to the memory after the write to
    that before it; the other gradients are added.
    """
    for w in range(width):
        before, d_after = at(old, w * n), at(d_memory, w * n)
        erased, added = write_column_backward(
            n, focus, erase[w], add[w], before, d_after, d_focus
        )
        d_erase[w] += erased
        d_add[w] += added


@helper
def free(n, width, retention, old, new):
    """Clear the rows that were freed, of which ``retention`` (n,) tells what is kept."""
    for w in range(width):
        before, after = at(old, w * n), at(new, w * n)
        for i in range(n):
            after[i] = before[i] * retention[i]


@stage
def free_backward(n, width, retention, old, d_memory, d_retention):
    """Backpropagate through :func:`free`; ``d_memory`` changes as in a write's."""
    for w in range(width):
        before, d_column = at(old, w * n), at(d_memory, w * n)
        for i in range(n):
            slope = d_column[i]
            d_retention[i] += slope * before[i]
            d_column[i] = slope * retention[i]
