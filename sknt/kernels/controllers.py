"""One step of a controller's layer, forward and backward.

The equations are torch's own, as in ``sknt.nn.controllers``. In ``step`` and
``step_backward``, all arguments but the sizes point to the numbers of one sequence:
``hidden``, ``cell`` (H,), ``gates`` (G,). Each loop works on few arrays: a loop over many
of them is not vectorised.
"""

from sknt.kernels._compile import helper, stage
from sknt.kernels.functions import sigmoid_all, tanh_all
from sknt.kernels.layout import GRU, LSTM
from sknt.kernels.pointers import at, number, plain
from sknt.kernels.products import multiply


@helper
def multiply_inputs(sizes, layer, n, stride, inputs, w, gates):
    """Multiply a layer's inputs of n sequences by its weights: gates before activation."""
    one, put, add = plain(1), plain(False), plain(True)
    h, g, own, stride_in = sizes.hidden, sizes.gates, sizes.own, stride * sizes.columns
    n_given, stride_out = (h if layer else sizes.reads + sizes.inputs) + 1, stride * g
    if sizes.controller == GRU:
        # Columns: the reset and keep gates from all inputs, the candidate's part from the
        # inputs proper, and that from h, yet to be scaled by the reset.
        given, w_given = at(inputs, own), at(w, own * g)
        multiply(
            n, 3 * h, n_given, given, stride_in, one, w_given, g, gates, stride_out, put
        )
        multiply(n, 2 * h, own, inputs, stride_in, one, w, g, gates, stride_out, add)
        w_own, c_own = at(w, 3 * h), at(gates, 3 * h)
        multiply(n, h, own, inputs, stride_in, one, w_own, g, c_own, stride_out, put)
    else:
        multiply(n, g, own + n_given, inputs, stride_in, one, w, g, gates, stride_out, put)


@helper
def multiply_inputs_backward(sizes, layer, n, stride, gates, w, d_inputs, gives_x):
    """Backpropagate from a layer's gates before activation to its inputs."""
    one, put, add = plain(1), plain(False), plain(True)
    h, k, own, a_row = sizes.hidden, sizes.columns, sizes.own, stride * sizes.gates
    below = h if layer else sizes.reads + (sizes.inputs if gives_x else 0)
    if sizes.controller == GRU:
        multiply(n, own + below, 2 * h, gates, a_row, one, w, k, d_inputs, k, put)
        given, w_given, d_given = (
            at(gates, 2 * h),
            at(w, 2 * h * k + own),
            at(d_inputs, own),
        )
        multiply(n, below, h, given, a_row, one, w_given, k, d_given, k, add)
        a_own, w_own = at(gates, 3 * h), at(w, 3 * h * k)
        multiply(n, own, h, a_own, a_row, one, w_own, k, d_inputs, k, add)
    else:
        u = 1 if own else 0  # the constant input 1 needs no gradient
        w_used, d_used = at(w, u), at(d_inputs, u)
        multiply(
            n, own + below - u, sizes.gates, gates, a_row, one, w_used, k, d_used, k, put
        )


@stage
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


@stage
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
