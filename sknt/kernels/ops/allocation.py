"""Which rows are in use, and which are free to be written (``sknt.ops.allocation``)."""

from sknt.kernels._compile import helper, stage
from sknt.kernels.pointers import at, number


@stage
def retain(n, n_heads, gates, weights, factors, product):
    """Compute the factors ``1 - gate * weighting`` of heads, and their product.

    ``gates`` is (n_heads,), ``weights`` and ``factors`` are (n_heads, n).
    """
    one = number(weights, 1.0)
    for i in range(n):
        product[i] = one
    for head in range(n_heads):
        gate, focus, factor = gates[head], at(weights, head * n), at(factors, head * n)
        for i in range(n):
            left = one - gate * focus[i]
            factor[i] = left
            product[i] *= left


@stage
def retain_backward(
    n, n_heads, gates, weights, factors, d_product, d_gates, d_weights, row
):
    """Backpropagate through :func:`retain`; gradients are added.

    Nothing is divided by a factor, which may be 0. ``factors`` is overwritten, ``row``
    (n,) is working memory.
    """
    zero, one = number(weights, 0.0), number(weights, 1.0)
    for i in range(n):
        row[i] = d_product[i]
    # From the last head to the first: each factor times what follows it, ...
    for head in range(n_heads - 1, -1, -1):
        factor = at(factors, head * n)
        for i in range(n):
            own = factor[i]
            factor[i] = row[i]
            row[i] *= own
    # ... and then times what comes before it.
    for i in range(n):
        row[i] = one
    for head in range(n_heads):
        gate, focus, factor = gates[head], at(weights, head * n), at(factors, head * n)
        d_focus, d_gate = at(d_weights, head * n), zero
        for i in range(n):
            slope = row[i] * factor[i]
            d_gate -= slope * focus[i]
            d_focus[i] -= slope * gate
        d_gates[head] += d_gate
        for i in range(n):
            row[i] *= one - gate * focus[i]


@stage
def use(n, usage, untouched, retention, used):
    """Compute the usage after writes that leave ``untouched`` of each row."""
    one = number(usage, 1.0)
    for i in range(n):
        written, before = one - untouched[i], usage[i]
        used[i] = (before + written - before * written) * retention[i]


@helper
def _count_smaller(n, j, keys, ranks):
    """Add 1 to the ranks of all rows whose keys are larger than the j-th."""
    zero, one, mine = number(keys, 0.0), number(keys, 1.0), keys[j]
    for i in range(n):
        ranks[i] += one if mine < keys[i] else zero


@helper
def _count_smaller_of_four(n, j, keys, ranks):
    """Do so for four rows from the j-th on: the ranks are read and written once."""
    zero, one = number(keys, 0.0), number(keys, 1.0)
    a, b, c, d = keys[j], keys[j + 1], keys[j + 2], keys[j + 3]
    for i in range(n):
        key, rank = keys[i], ranks[i]
        rank += one if a < key else zero
        rank += one if b < key else zero
        rank += one if c < key else zero
        ranks[i] = rank + (one if d < key else zero)


@stage
def sort(n, usage, order, keys, ranks, taken):
    """Sort rows by their usage; rows used alike, or not finite, stay in their order.

    A row's rank is the number of rows that are used less; rows used alike take one place
    after the other from there. Counting takes N² comparisons, but without a branch that
    depends on them, and is short beside the links' N² products. ``order`` holds whole
    numbers; ``keys``, ``ranks`` and ``taken`` (n,) are working memory.
    """
    zero, one, beyond = number(usage, 0.0), number(usage, 1.0), number(usage, 1e30)
    for i in range(n):
        # NaN is not less: it becomes a number, so that the ranks are a permutation.
        keys[i] = usage[i] if usage[i] < beyond else beyond
        ranks[i] = zero
        taken[i] = zero
    for j in range(0, n - 3, 4):
        _count_smaller_of_four(n, j, keys, ranks)
    for j in range(n // 4 * 4, n):
        _count_smaller(n, j, keys, ranks)
    for i in range(n):
        rank = int(ranks[i])
        place = taken[rank]
        taken[rank] = place + one
        order[rank + int(place)] = number(order, i)


@stage
def allocate(n, usage, order, allocation):
    """Weigh the rows that are free, above all the freest."""
    one = number(usage, 1.0)
    of_freer_rows = one
    for j in range(n):
        i = int(order[j])
        used = usage[i]
        allocation[i] = (one - used) * of_freer_rows
        of_freer_rows *= used


@stage
def allocate_backward(n, usage, order, d_allocation, d_usage, products):
    """Backpropagate through :func:`allocate`; gradients are added. ``products`` is (n,)."""
    zero, one = number(usage, 0.0), number(usage, 1.0)
    of_freer_rows, d_product = one, zero
    for j in range(n):
        products[j] = of_freer_rows
        of_freer_rows *= usage[int(order[j])]
    for j in range(n - 1, -1, -1):
        i = int(order[j])
        slope, used = d_allocation[i], usage[i]
        d_usage[i] += products[j] * (d_product - slope)
        d_product = d_product * used + slope * (one - used)
