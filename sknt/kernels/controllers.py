"""One step of a controller's layer after its matrix product, forward and backward.

The equations are torch's own, as in ``sknt.nn.controllers``. All arguments but the sizes
point to the numbers of one sequence: ``hidden``, ``cell`` (H,), ``gates`` (G,). Each loop
works on few arrays: a loop over many of them is not vectorised.
"""

from sknt.kernels._compile import helper
from sknt.kernels.functions import sigmoid_all, tanh_all
from sknt.kernels.layout import GRU, LSTM
from sknt.kernels.pointers import at, number


@helper
def step(sizes, hidden, cell, gates, old_cell):
    """Turn pre-activations into gates, in place, and advance hidden and cell state."""
    n = sizes.hidden
    if sizes.controller == LSTM:
        write, keep, candidate, out = (
            gates,
            at(gates, n),
            at(gates, 2 * n),
            at(gates, 3 * n),
        )
        sigmoid_all(2 * n, gates)
        tanh_all(n, candidate)
        sigmoid_all(n, out)
        for i in range(n):
            old = cell[i]
            old_cell[i] = old
            cell[i] = keep[i] * old + write[i] * candidate[i]
            hidden[i] = cell[i]
        tanh_all(n, hidden)
        for i in range(n):
            hidden[i] *= out[i]
    elif sizes.controller == GRU:
        reset, keep, candidate = gates, at(gates, n), at(gates, 2 * n)
        from_hidden = at(gates, 3 * n)
        sigmoid_all(2 * n, gates)
        for i in range(n):
            candidate[i] += reset[i] * from_hidden[i]
        tanh_all(n, candidate)
        for i in range(n):
            hidden[i] = candidate[i] + keep[i] * (hidden[i] - candidate[i])
    else:
        tanh_all(n, gates)
        for i in range(n):
            hidden[i] = gates[i]


@helper
def step_backward(sizes, d_hidden, d_cell, old_hidden, old_cell, gates, scratch):
    """Turn gates into the gradients with respect to their pre-activations, in place.

    ``d_hidden`` is the gradient with respect to the new hidden state; it becomes that part
    of the gradient with respect to the old one in which no weight takes part.
    """
    n, zero, one = sizes.hidden, number(gates, 0.0), number(gates, 1.0)
    if sizes.controller == LSTM:
        write, keep, candidate, out = (
            gates,
            at(gates, n),
            at(gates, 2 * n),
            at(gates, 3 * n),
        )
        squashed = scratch
        for i in range(n):
            squashed[i] = keep[i] * old_cell[i] + write[i] * candidate[i]
        tanh_all(n, squashed)
        for i in range(n):
            o, s, dh = out[i], squashed[i], d_hidden[i]
            out[i] = dh * s * o * (one - o)
            d_cell[i] += dh * o * (one - s * s)
        for i in range(n):
            w, c, dc = write[i], candidate[i], d_cell[i]
            write[i] = dc * c * w * (one - w)
            candidate[i] = dc * w * (one - c * c)
        for i in range(n):
            k, dc = keep[i], d_cell[i]
            keep[i] = dc * old_cell[i] * k * (one - k)
            d_cell[i] = dc * k
            d_hidden[i] = zero
    elif sizes.controller == GRU:
        reset, keep, candidate = gates, at(gates, n), at(gates, 2 * n)
        from_hidden, d_candidate = at(gates, 3 * n), scratch
        for i in range(n):
            c = candidate[i]
            d_candidate[i] = d_hidden[i] * (one - keep[i]) * (one - c * c)
        for i in range(n):
            k, dh = keep[i], d_hidden[i]
            keep[i] = dh * (old_hidden[i] - candidate[i]) * k * (one - k)
            d_hidden[i] = dh * k
        for i in range(n):
            r, d = reset[i], d_candidate[i]
            reset[i] = d * from_hidden[i] * r * (one - r)
            from_hidden[i] = d * r
            candidate[i] = d
    else:
        for i in range(n):
            gates[i] = d_hidden[i] * (one - gates[i] * gates[i])
            d_hidden[i] = zero
