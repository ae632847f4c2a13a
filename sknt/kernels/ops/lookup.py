"""Content lookup where rows can be all zeros, and keys masked (``sknt.ops.lookup``).

``d`` has ``rows`` and ``width``. Keys, masks and weightings are those of ``n_heads`` heads.
"""

import math
from typing import Any, NamedTuple

from sknt.kernels._compile import helper, stage
from sknt.kernels.ops.addressing import weigh_scores
from sknt.kernels.pointers import at, number, plain
from sknt.kernels.products import multiply, multiply_transposed
from sknt.ops.addressing import EPSILON


class Lookup(NamedTuple):
    """Working memory of a lookup, with what its backward pass needs of it."""

    keys: Any  # (n_heads, W), k∘m∘m
    columns: Any  # (n_heads, W), m∘m: how much each column counts
    squares: Any  # (W, N), M∘M
    cosines: Any  # (n_heads, N)
    row_norms: Any  # (n_heads, N)
    key_norms: Any  # (n_heads,)
    # Only in the backward pass:
    products: Any  # (n_heads, N), gradients with respect to the keys' products with rows
    norms: Any  # (n_heads, N), likewise the squares of the rows' norms
    key_sums: Any  # (n_heads, W)
    column_sums: Any  # (n_heads, W)
    slopes: Any  # (W, N)


@helper
def lookup_room(d, first, history, scratch):
    """Return the room for lookups of some heads, from the first one on.

    Similarities and norms are in the history, for all heads; the rest is in the scratch.
    """
    return Lookup(
        scratch.keys,
        scratch.key_columns,
        scratch.squares,
        at(history.cosines, first * d.rows),
        at(history.row_norms, first * d.rows),
        at(history.key_norms, first),
        scratch.products,
        scratch.norms,
        scratch.key_sums,
        scratch.column_sums,
        scratch.slopes,
    )


@stage
def mask_keys(d, n_heads, key, mask, is_masked, memory, room):
    """Compute what all lookups, and their backward passes, need of keys and memory."""
    whole = number(key, 1.0)
    for i in range(d.width * d.rows):
        room.squares[i] = memory[i] * memory[i]
    for i in range(n_heads * d.width):
        share = mask[i] * mask[i] if is_masked else whole
        room.columns[i] = share
        room.keys[i] = key[i] * share


@stage
def compare(d, n_heads, key, mask, is_masked, memory, room):
    """Compute the cosine of every key with every row, in the columns of its mask."""
    one, put, n, width = plain(1), plain(False), d.rows, d.width
    zero, epsilon = number(key, 0.0), number(key, EPSILON)
    mask_keys(d, n_heads, key, mask, is_masked, memory, room)
    multiply(n_heads, n, width, room.keys, width, one, memory, n, room.cosines, n, put)
    multiply(
        n_heads, n, width, room.columns, width, one, room.squares, n, room.row_norms, n, put
    )
    for head in range(n_heads):
        cosine, row_norm = at(room.cosines, head * n), at(room.row_norms, head * n)
        square = zero
        for w in range(head * width, (head + 1) * width):
            square += room.keys[w] * key[w]
        key_norm = math.sqrt(square + epsilon)
        room.key_norms[head] = key_norm
        for i in range(n):
            norm = math.sqrt(row_norm[i] + epsilon)
            row_norm[i] = norm
            cosine[i] /= key_norm * norm


@stage
def weigh(d, n_heads, strength, cosines, content):
    """Compute content weightings from cosines."""
    n = d.rows
    for head in range(n_heads):
        weigh_scores(n, strength[head], at(cosines, head * n), at(content, head * n))


@stage
def weigh_backward(d, n_heads, strength, content, d_content, d_strength, room):
    """Backpropagate from content weightings to ``room.products`` and ``room.norms``.

    ``room`` has what :func:`compare` and :func:`mask_keys` computed.
    """
    n, zero, half = d.rows, number(content, 0.0), number(content, 0.5)
    for head in range(n_heads):
        looked_up, d_looked_up = at(content, head * n), at(d_content, head * n)
        cosine, row_norm = at(room.cosines, head * n), at(room.row_norms, head * n)
        product, norm = at(room.products, head * n), at(room.norms, head * n)
        beta, key_norm, mean, d_beta = strength[head], room.key_norms[head], zero, zero
        for i in range(n):
            mean += d_looked_up[i] * looked_up[i]
        for i in range(n):
            z = (d_looked_up[i] - mean) * looked_up[i]
            product[i] = beta * z
            d_beta += z * cosine[i]
        d_key_norm = zero
        for i in range(n):
            slope, inverse = product[i], half / row_norm[i]
            turned = slope * cosine[i]
            d_key_norm -= turned
            norm[i] = -turned * inverse / row_norm[i]
            product[i] = (inverse + inverse) * slope / key_norm
        d_strength[head] += d_beta
        # From here on, the gradient with respect to the square of the key's norm:
        room.key_norms[head] = half * d_key_norm / (key_norm * key_norm)


@stage
def compare_backward(
    d, n_heads, key, mask, is_masked, memory, d_key, d_mask, d_memory, room
):
    """Backpropagate from :func:`weigh_backward` to keys, masks and memory."""
    one, put, accumulate, n, width = plain(1), plain(False), plain(True), d.rows, d.width
    two, key_sums, column_sums = number(key, 2.0), room.key_sums, room.column_sums
    multiply_transposed(
        n_heads, width, n, room.products, n, memory, n, key_sums, width, put
    )
    if is_masked:
        multiply_transposed(
            n_heads, width, n, room.norms, n, room.squares, n, column_sums, width, put
        )
    for head in range(n_heads):
        d_square = room.key_norms[head]
        for w in range(head * width, (head + 1) * width):
            d_key[w] += (key_sums[w] + two * d_square * key[w]) * room.columns[w]
            if is_masked:
                sums = key_sums[w] * key[w] + column_sums[w]
                d_mask[w] += two * mask[w] * (sums + d_square * key[w] * key[w])
    multiply(
        width, n, n_heads, room.keys, one, width, room.products, n, d_memory, n, accumulate
    )
    multiply(
        width, n, n_heads, room.columns, one, width, room.norms, n, room.slopes, n, put
    )
    for i in range(width * n):
        d_memory[i] += two * memory[i] * room.slopes[i]


@stage
def look_up_backward(
    d,
    of_writes,
    interface,
    memory,
    history,
    content,
    d_content,
    d_memory,
    gradient,
    scratch,
):
    """Backpropagate through the lookups of the read heads, or of the write heads."""
    first, n_heads = (d.read_heads, d.write_heads) if of_writes else (0, d.read_heads)
    room, masks = lookup_room(d, first, history, scratch), d.masks != 0
    at_word, at_mask = first * d.width, first * d.width if masks else 0
    key, mask = at(interface.key, at_word), at(interface.mask, at_mask)
    mask_keys(d, n_heads, key, mask, masks, memory, room)
    weigh_backward(
        d,
        n_heads,
        at(interface.strength, first),
        content,
        d_content,
        at(gradient.strength, first),
        room,
    )
    d_key, d_mask = at(gradient.key, at_word), at(gradient.mask, at_mask)
    compare_backward(d, n_heads, key, mask, masks, memory, d_key, d_mask, d_memory, room)
