"""The gradients of the weights, from what the backward pass leaves in the history.

They do not depend on the kind of memory: one function is compiled for all of them.
"""

from sknt.kernels._compile import entry, helper
from sknt.kernels.layout import Sizes, kept_parts, weight_parts
from sknt.kernels.pointers import at, plain, start
from sknt.kernels.products import multiply

PANEL = 64
"""Rows of the history summed into the gradients at once: they stay in the cache."""


def common_sizes(sizes: Sizes) -> Sizes:
    """Leave out of the sizes what differs in type from memory to memory."""
    nothing = (0,)
    return sizes._replace(
        memory=0,
        state_at=nothing,
        interface_at=nothing,
        history_at=nothing,
        scratch_at=nothing,
        private_at=nothing,
    )


@helper
def _part(n, part, n_parts):
    """Return the bounds of one of n_parts parts of n columns, in whole vectors."""
    low, high = n * part // n_parts, n * (part + 1) // n_parts
    return low // 16 * 16, high if part == n_parts - 1 else high // 16 * 16


@entry
def weight_gradients(sizes, n_rows, part, n_parts, history, n_kept, kept_at, gradients):
    """Add the contribution of the history's first rows to the gradients of the weights.

    The gradients are those of the transposed matrices. Each of ``n_parts`` threads takes
    some of their columns.
    """
    one, add = plain(1), plain(True)
    h, f, i, o = sizes.hidden, sizes.features, sizes.interface, sizes.outputs
    g, k, r, s = sizes.gates, sizes.columns, sizes.reads, sizes.seen
    kept = kept_parts(start(history), kept_at)
    targets = weight_parts(start(gradients), sizes.weights_at)
    for row in range(0, n_rows, PANEL):
        n = min(PANEL, n_rows - row)
        for layer in range(sizes.layers):
            p = layer * n_kept + row
            used = sizes.own + (h if layer else r + sizes.inputs) + 1
            inputs, gates = at(kept.inputs, p * k), at(kept.gates, p * g)
            low, high = _part(g, part, n_parts)
            target = at(targets.controller, layer * k * g + low)
            multiply(used, high - low, n, inputs, one, k, at(gates, low), g, target, g, add)
        features, raw = at(kept.features, row * f), at(kept.raw, row * i)
        outputs = at(kept.outputs, row * o)
        low, high = _part(i, part, n_parts)
        target = at(targets.interface, low)
        seen = at(features, r)
        multiply(s, high - low, n, seen, one, f, at(raw, low), i, target, i, add)
        low, high = _part(o, part, n_parts)
        target = at(targets.readout, low)
        multiply(
            r + h + 1, high - low, n, features, one, f, at(outputs, low), o, target, o, add
        )
