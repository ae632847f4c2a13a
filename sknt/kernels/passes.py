"""The forward and the backward pass over blocks of sequences.

Sequences are taken in the order ``order``, longest first. A block is every ``stride``-th of
them from ``first`` on. No two blocks write to the same place, so threads can process them
at the same time. ``rows[t]`` is the number of steps of all sequences before step t, so
``rows[t + 1] - rows[t]`` is the number of sequences that have a step t. Row
``rows[t] - base + i`` of the history belongs to step t of the i-th sequence.

Arrays are as in ``sknt.kernels.layout``; in addition, ``x`` is (B, T, n_inputs), ``y``
(B, T, O), ``state`` (B, S) and ``saved`` (checkpoints, B, S), where S is the size of a
state.
"""

from sknt.kernels import controllers, ntm
from sknt.kernels._compile import entry, helper
from sknt.kernels.layout import GRU, locate_history, locate_scratch
from sknt.kernels.pointers import at, number, plain, start
from sknt.kernels.products import multiply, multiply_transposed

PANEL = 64
"""Rows of the history summed into the weights' gradients at once: they stay in the cache.
"""


@helper
def _copy(n, source, target):
    for i in range(n):
        target[i] = source[i]


@helper
def _add(n, source, target):
    for i in range(n):
        target[i] += source[i]


@helper
def _gather_inputs(sizes, layer, x, state, inputs):
    """Lay out a layer's inputs, in the order of its weights' columns."""
    hidden, own, one = at(state, sizes.hidden_at), sizes.own, number(inputs, 1.0)
    if own:
        inputs[0] = one
        _copy(sizes.hidden, at(hidden, layer * sizes.hidden), at(inputs, 1))
    if layer == 0:
        _copy(sizes.reads, at(state, sizes.reads_at), at(inputs, own))
        _copy(sizes.inputs, x, at(inputs, own + sizes.reads))
        inputs[own + sizes.reads + sizes.inputs] = one
    else:
        _copy(sizes.hidden, at(hidden, (layer - 1) * sizes.hidden), at(inputs, own))
        inputs[own + sizes.hidden] = one


@helper
def _step(sizes, raw, interface, content, weights, state, scratch):
    """Address with all heads, read, then write with each write head in turn."""
    one, put = plain(1), plain(False)
    n, width = sizes.rows, sizes.width
    ntm.activate(sizes, raw, interface, scratch.columns)
    cosines = scratch.cosines
    multiply(sizes.heads, n, width, interface, width, one, state, n, cosines, n, put)
    ntm.compare(sizes, state, interface, cosines, scratch.row_norms, scratch.key_norms)
    ntm.address(sizes, interface, content, weights, at(state, sizes.weights_at), scratch)
    reads = at(state, sizes.reads_at)  # NTM eq. 2
    multiply_transposed(sizes.read_heads, width, n, weights, n, state, n, reads, width, put)
    for v in range(sizes.write_heads):
        ntm.write_in_place(sizes, v, interface, weights, state)


@entry
def forward(
    sizes,
    first,
    stride,
    order,
    rows,
    begin,
    stop,
    base,
    interval,
    resumes,
    w_controller,
    w_interface,
    w_readout,
    x,
    y,
    state,
    history,
    n_kept,
    saved,
    memory_trace,
    trace,
    scratch,
):
    """Run a block from step ``begin`` to ``stop``.

    With ``base < 0``, each step overwrites the history of the one before. The states are
    saved before every ``interval``-th step (never if it is 0); with ``resumes``, they are
    loaded from there at the beginning instead. The weights are the transposed matrices.
    Outputs and traces whose arrays are empty are not computed.
    """
    one, put, add = plain(1), plain(False), plain(True)
    n_sequences, n_steps, h = x.shape[0], x.shape[1], sizes.hidden
    keeps_y, keeps_trace = y.shape[0] > 0, trace.shape[0] > 0
    keeps_memory = memory_trace.shape[2] > 0
    k, g, f = sizes.columns, sizes.gates, sizes.features
    i, o, r, own = sizes.interface, sizes.outputs, sizes.reads, sizes.own
    w_c, w_i, w_o = start(w_controller), start(w_interface), start(w_readout)
    x_0, y_0 = start(x), start(y)
    states, saves, traces = start(state), start(saved), start(trace)
    kept = locate_history(sizes, n_kept, start(history))
    room = locate_scratch(sizes, 0, start(scratch))
    n_weights, n_trace = sizes.heads * sizes.rows, sizes.state - sizes.memory + i
    for t in range(begin, stop):
        n_running = rows[t + 1] - rows[t]
        if n_running <= first:
            break
        m = (n_running - first + stride - 1) // stride
        row = rows[t] - base if base >= 0 else 0
        top = row + first
        if interval and t % interval == 0:
            for j in range(first, n_running, stride):
                a = at(states, order[j] * sizes.state)
                b = at(saves, (t // interval * n_sequences + order[j]) * sizes.state)
                if not resumes:
                    _copy(sizes.state, a, b)
                elif t == begin:
                    _copy(sizes.state, b, a)
        for layer in range(sizes.layers):
            inputs = at(kept.inputs, layer * n_kept * k)
            gates = at(kept.gates, layer * n_kept * g)
            w = at(w_c, layer * k * g)
            for j in range(first, n_running, stride):
                _gather_inputs(
                    sizes,
                    layer,
                    at(x_0, (order[j] * n_steps + t) * sizes.inputs),
                    at(states, order[j] * sizes.state),
                    at(inputs, (row + j) * k),
                )
            a, a_row = at(inputs, top * k), stride * k
            c, c_row = at(gates, top * g), stride * g
            n_given = (h if layer else r + sizes.inputs) + 1
            if sizes.controller == GRU:
                # Columns: the reset and keep gates from all inputs, the candidate's part
                # from the inputs proper, and that from h, yet to be scaled by the reset.
                given, w_given = at(a, own), at(w, own * g)
                multiply(m, 3 * h, n_given, given, a_row, one, w_given, g, c, c_row, put)
                multiply(m, 2 * h, own, a, a_row, one, w, g, c, c_row, add)
                w_own, c_own = at(w, 3 * h), at(c, 3 * h)
                multiply(m, h, own, a, a_row, one, w_own, g, c_own, c_row, put)
            else:
                multiply(m, g, own + n_given, a, a_row, one, w, g, c, c_row, put)
            for j in range(first, n_running, stride):
                b = at(states, order[j] * sizes.state + layer * h)
                hidden, cell = at(b, sizes.hidden_at), at(b, sizes.cell_at)
                old_cell = at(kept.cells, (layer * n_kept + row + j) * h)
                controllers.step(sizes, hidden, cell, at(gates, (row + j) * g), old_cell)

        for j in range(first, n_running, stride):
            b = at(states, order[j] * sizes.state + sizes.hidden_at)
            features = at(kept.features, (row + j) * f)
            _copy(h, at(b, (sizes.layers - 1) * h), at(features, r))
            features[r + h] = number(features, 1.0)
        features, f_row = at(kept.features, top * f), stride * f
        hidden, c, c_row = at(features, r), at(kept.raw, top * i), stride * i
        multiply(m, i, h + 1, hidden, f_row, one, w_i, i, c, c_row, put)
        for j in range(first, n_running, stride):
            b, weights = at(states, order[j] * sizes.state), (row + j) * n_weights
            raw, interface = at(kept.raw, (row + j) * i), at(kept.interface, (row + j) * i)
            content, weights = at(kept.content, weights), at(kept.weights, weights)
            _step(sizes, raw, interface, content, weights, b, room)
            _copy(r, at(b, sizes.reads_at), at(kept.features, (row + j) * f))
            if keeps_trace:
                p = order[j] * n_steps + t
                if keeps_memory:
                    _copy(sizes.memory, b, at(start(memory_trace), p * sizes.memory))
                c = at(traces, p * n_trace)
                _copy(n_trace - i, at(b, sizes.memory), c)
                _copy(i, interface, at(c, n_trace - i))
        if keeps_y:
            c = at(kept.outputs, top * o)
            multiply(m, o, f, features, f_row, one, w_o, o, c, stride * o, put)
            for j in range(first, n_running, stride):
                p = order[j] * n_steps + t
                _copy(o, at(kept.outputs, (row + j) * o), at(y_0, p * o))


@helper
def _step_backward(sizes, interface, content, weights, memory, previous, carry, room):
    """Backpropagate through one step of one sequence's memory.

    ``memory`` and ``previous`` are the memory and the weightings before the step.
    """
    one, put, add = plain(1), plain(False), plain(True)
    width, n, heads = sizes.width, sizes.rows, sizes.heads
    gradient, factors, row_gradients = room.gradient, room.factors, room.row_gradients
    d_weights, d_reads = at(carry, sizes.weights_at), at(carry, sizes.reads_at)
    old = memory
    for v in range(sizes.write_heads - 1):
        new = at(room.stages, (v + 1) * sizes.memory)
        ntm.write(sizes, v, interface, weights, old, new)
        old = new
    for v in range(sizes.write_heads - 1, -1, -1):
        old = at(room.stages, v * sizes.memory) if v else memory
        ntm.write_backward(sizes, v, interface, weights, old, carry, d_weights, gradient)
    multiply(sizes.read_heads, n, width, d_reads, width, one, memory, n, d_weights, n, add)
    ntm.address_backward(
        sizes, interface, content, weights, previous, d_weights, gradient, room
    )
    multiply(heads, n, width, interface, width, one, memory, n, room.cosines, n, put)
    ntm.compare(sizes, memory, interface, room.cosines, room.row_norms, room.key_norms)
    ntm.compare_backward(sizes, interface, content, gradient, room)
    multiply_transposed(  # to the keys
        heads, width, n, row_gradients, n, memory, n, gradient, width, add
    )
    _copy(sizes.reads, d_reads, at(factors, heads * width))
    _copy(sizes.read_heads * n, weights, at(row_gradients, heads * n))
    multiply(  # to the memory, from the keys' products and from the reads
        width,
        n,
        heads + sizes.read_heads,
        factors,
        one,
        width,
        row_gradients,
        n,
        carry,
        n,
        add,
    )
    ntm.norms_backward(sizes, room.shifted, memory, carry)


@entry
def backward(
    sizes,
    first,
    stride,
    order,
    rows,
    begin,
    stop,
    base,
    interval,
    w_controller,
    w_interface,
    w_readout,
    d_x,
    d_y,
    carry,
    history,
    n_kept,
    saved,
    d_memory_trace,
    d_trace,
    scratch,
    block,
):
    """Backpropagate through a block from step ``stop`` to ``begin``.

    ``begin`` is a multiple of ``interval``, so states were saved there. ``carry`` holds the
    gradients with respect to the states after each sequence's last step, and is overwritten
    by those with respect to the states before step ``begin``. In the history, gradients
    before activation replace the gates and the raw interface. Arrays of gradients that are
    not needed, or are zero, are empty.
    """
    one, put, add = plain(1), plain(False), plain(True)
    n_sequences, n_steps, h = d_y.shape[0], d_y.shape[1], sizes.hidden
    gives_x, has_memory = d_x.shape[0] > 0, d_memory_trace.shape[0] > 0
    has_trace = d_trace.shape[0] > 0
    k, g, f = sizes.columns, sizes.gates, sizes.features
    i, o = sizes.interface, sizes.outputs
    r, own, one_memory = sizes.reads, sizes.own, sizes.memory
    n_weights, n_trace = sizes.heads * sizes.rows, sizes.state - sizes.memory + i
    w_c, carries, saves = start(w_controller), start(carry), start(saved)
    kept = locate_history(sizes, n_kept, start(history))
    room = locate_scratch(sizes, block, start(scratch))
    for segment in range((stop - begin + interval - 1) // interval - 1, -1, -1):
        low = begin + segment * interval
        high = min(stop, low + interval)
        n_running = rows[low + 1] - rows[low]
        if n_running <= first:
            continue
        # Replay the writes since the checkpoint, to have the memory before each step.
        n_block = (n_running - first + stride - 1) // stride
        for j in range(n_block):
            s = low // interval * n_sequences + order[first + j * stride]
            _copy(one_memory, at(saves, s * sizes.state), at(room.memories, j * one_memory))
        for t in range(low, high - 1):
            s = (t - low) * n_block
            for j in range(first, rows[t + 2] - rows[t + 1], stride):
                p = rows[t] - base + j
                old = at(room.memories, s * one_memory)
                new = at(old, n_block * one_memory)
                interface = at(kept.interface, p * i)
                weights = at(kept.weights, p * n_weights)
                ntm.write(sizes, 0, interface, weights, old, new)
                for v in range(1, sizes.write_heads):
                    ntm.write_in_place(sizes, v, interface, weights, new)
                s += 1

        for t in range(high - 1, low - 1, -1):
            n_running = rows[t + 1] - rows[t]
            if n_running <= first:
                continue
            m = (n_running - first + stride - 1) // stride
            row = rows[t] - base
            top = row + first
            for j in range(first, n_running, stride):
                p = order[j] * n_steps + t
                _copy(o, at(start(d_y), p * o), at(kept.outputs, (row + j) * o))
            a, a_row, w = at(kept.outputs, top * o), stride * o, start(w_readout)
            multiply(m, f - 1, o, a, a_row, one, w, f, room.features, f, put)
            for s in range(m):
                j = first + s * stride
                d_state = at(carries, order[j] * sizes.state)
                p = order[j] * n_steps + t
                for u in range(i):
                    room.gradient[u] = number(room.gradient, 0.0)
                if has_memory:
                    _add(one_memory, at(start(d_memory_trace), p * one_memory), d_state)
                if has_trace:
                    a = at(start(d_trace), p * n_trace)
                    _add(n_trace - i, a, at(d_state, one_memory))
                    _add(i, at(a, n_trace - i), room.gradient)
                _add(r, at(room.features, s * f), at(d_state, sizes.reads_at))
                if t > low:
                    previous = at(kept.weights, (rows[t - 1] - base + j) * n_weights)
                else:
                    a = (low // interval * n_sequences + order[j]) * sizes.state
                    previous = at(saves, a + sizes.weights_at)
                raw, interface = (
                    at(kept.raw, (row + j) * i),
                    at(kept.interface, (row + j) * i),
                )
                content = at(kept.content, (row + j) * n_weights)
                weights = at(kept.weights, (row + j) * n_weights)
                memory = at(room.memories, ((t - low) * n_block + s) * one_memory)
                _step_backward(
                    sizes, interface, content, weights, memory, previous, d_state, room
                )
                ntm.activate_backward(sizes, raw, interface, room.gradient)
            a, a_row, w = at(kept.raw, top * i), stride * i, start(w_interface)
            if i:  # there is a memory
                multiply(m, h, i, a, a_row, one, w, h + 1, at(room.features, r), f, add)
            for s in range(m):
                d_state = at(carries, order[first + s * stride] * sizes.state)
                d_hidden = at(d_state, sizes.hidden_at + (sizes.layers - 1) * h)
                _add(h, at(room.features, s * f + r), d_hidden)

            for layer in range(sizes.layers - 1, -1, -1):
                gates = at(kept.gates, layer * n_kept * g)
                inputs = at(kept.inputs, layer * n_kept * k + 1)
                for j in range(first, n_running, stride):
                    d_state = at(carries, order[j] * sizes.state + layer * h)
                    d_hidden, d_cell = (
                        at(d_state, sizes.hidden_at),
                        at(d_state, sizes.cell_at),
                    )
                    old_hidden = at(inputs, (row + j) * k)
                    old_cell = at(kept.cells, (layer * n_kept + row + j) * h)
                    gate = at(gates, (row + j) * g)
                    controllers.step_backward(
                        sizes, d_hidden, d_cell, old_hidden, old_cell, gate, room.cell
                    )
                below = h if layer else r + (sizes.inputs if gives_x else 0)
                n, a, a_row = own + below, at(gates, top * g), stride * g
                w, c = at(w_c, layer * g * k), room.inputs
                if sizes.controller == GRU:
                    multiply(m, n, 2 * h, a, a_row, one, w, k, c, k, put)
                    a_given, w_given = at(a, 2 * h), at(w, 2 * h * k + own)
                    multiply(
                        m, below, h, a_given, a_row, one, w_given, k, at(c, own), k, add
                    )
                    a_own, w_own = at(a, 3 * h), at(w, 3 * h * k)
                    multiply(m, own, h, a_own, a_row, one, w_own, k, c, k, add)
                else:
                    u = 1 if own else 0  # the constant input 1 needs no gradient
                    multiply(m, n - u, g, a, a_row, one, at(w, u), k, at(c, u), k, put)
                for s in range(m):
                    j = first + s * stride
                    d_inputs = at(room.inputs, s * k)
                    d_state = at(carries, order[j] * sizes.state)
                    d_hidden = at(d_state, sizes.hidden_at + layer * h)
                    if own:
                        _add(h, at(d_inputs, 1), d_hidden)
                    if layer:
                        _add(h, at(d_inputs, own), at(d_hidden, -h))
                        continue
                    _copy(r, at(d_inputs, own), at(d_state, sizes.reads_at))
                    if gives_x:
                        p = order[j] * n_steps + t
                        a = at(start(d_x), p * sizes.inputs)
                        _copy(sizes.inputs, at(d_inputs, own + r), a)


@entry
def weight_gradients(
    sizes, n_rows, part, n_parts, history, n_kept, d_controller, d_interface, d_readout
):
    """Add the contribution of the history's first rows to the gradients of the weights.

    The gradients are those of the transposed matrices. Each of ``n_parts`` threads takes
    some of their columns.
    """
    one, add = plain(1), plain(True)
    h, f, i, o = sizes.hidden, sizes.features, sizes.interface, sizes.outputs
    g, k, r = sizes.gates, sizes.columns, sizes.reads
    kept = locate_history(sizes, n_kept, start(history))
    for row in range(0, n_rows, PANEL):
        n = min(PANEL, n_rows - row)
        for layer in range(sizes.layers):
            p = layer * n_kept + row
            used = sizes.own + (h if layer else r + sizes.inputs) + 1
            inputs, gates = at(kept.inputs, p * k), at(kept.gates, p * g)
            low, high = _part(g, part, n_parts)
            target = at(start(d_controller), layer * k * g + low)
            multiply(used, high - low, n, inputs, one, k, at(gates, low), g, target, g, add)
        features, raw = at(kept.features, row * f), at(kept.raw, row * i)
        outputs = at(kept.outputs, row * o)
        low, high = _part(i, part, n_parts)
        target = at(start(d_interface), low)
        multiply(
            h + 1, high - low, n, at(features, r), one, f, at(raw, low), i, target, i, add
        )
        low, high = _part(o, part, n_parts)
        target = at(start(d_readout), low)
        multiply(f, high - low, n, features, one, f, at(outputs, low), o, target, o, add)


@helper
def _part(n, part, n_parts):
    """Return the bounds of one of n_parts parts of n columns, in whole vectors."""
    low, high = n * part // n_parts, n * (part + 1) // n_parts
    return low // 16 * 16, high if part == n_parts - 1 else high // 16 * 16
