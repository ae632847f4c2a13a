"""The order of the last accesses to a sparse memory's rows: a doubly linked list.

Rows are counted from 1 there, and 0 stands for none. Letters and layout are those of
``sknt.kernels.memories.sam``.
"""

from sknt.kernels._compile import helper, stage
from sknt.kernels.pointers import number


@stage
def list_rows(d, state):
    """List the rows that have been accessed, sorted by their last access."""
    rows, n, zero = state.norms, 0, number(state.step, 0.0)  # borrow some memory
    for row in range(d.rows):
        if state.last_access[row] != zero:
            rows[n] = number(rows, row)
            n += 1
    for i in range(n // 2 - 1, -1, -1):
        _sift(state.last_access, rows, i, n)
    for end in range(n - 1, 0, -1):
        latest = rows[0]
        rows[0] = rows[end]
        rows[end] = latest
        _sift(state.last_access, rows, 0, end)
    for i in range(n):
        _append(state, int(rows[i]))


@helper
def _is_later(last_access, one, other):
    """Tell whether a row was accessed after another, or is the second of two alike."""
    x, y = last_access[int(one)], last_access[int(other)]
    return x > y or (x == y and one > other)


@helper
def _sift(last_access, heap, i, n):
    """Move an element of a heap down to its place; the latest row is at the root."""
    row = heap[i]
    while 2 * i + 1 < n:
        below = 2 * i + 1
        if below + 1 < n and _is_later(last_access, heap[below + 1], heap[below]):
            below += 1
        if not _is_later(last_access, heap[below], row):
            break
        heap[i] = heap[below]
        i = below
    heap[i] = row


@stage
def find_unused(d, state):
    """Find the rows whose last access is longest ago, one for each write head."""
    last, n, row = d.nearest, 0, int(state.fresh[0])
    while row < d.rows and _is_listed(state, row):
        row += 1
    state.fresh[0] = number(state.fresh, row)
    while n < d.write_heads and row < d.rows:
        if not _is_listed(state, row):
            state.write_rows[n * (last + 1) + last] = number(state.write_rows, row)
            n += 1
        row += 1
    row = int(state.oldest[0])
    while n < d.write_heads and row > 0:
        state.write_rows[n * (last + 1) + last] = number(state.write_rows, row - 1)
        n += 1
        row = int(state.newer[row - 1])


@helper
def put_last(state, row):
    """Make a row the one accessed last."""
    if _is_listed(state, row):
        _unlink(state, row)
    _append(state, row)


@helper
def _is_listed(state, row):
    """Tell whether a row has been accessed."""
    zero = number(state.older, 0.0)
    return state.older[row] != zero or int(state.oldest[0]) == row + 1


@helper
def _append(state, row):
    """Put a row at the end of the list."""
    zero, last = number(state.older, 0.0), int(state.newest[0])
    state.older[row], state.newer[row] = state.newest[0], zero
    here = state.newer if last > 0 else state.oldest
    here[last - 1 if last > 0 else 0] = number(state.newer, row + 1)
    state.newest[0] = number(state.newest, row + 1)


@helper
def _unlink(state, row):
    """Take a row out of the list."""
    before, after = int(state.older[row]), int(state.newer[row])
    here = state.newer if before > 0 else state.oldest
    here[before - 1 if before > 0 else 0] = state.newer[row]
    here = state.older if after > 0 else state.newest
    here[after - 1 if after > 0 else 0] = state.older[row]
