"""The forward and the backward pass over blocks of sequences, for any memory.

Everything here is compiled once for each memory: :func:`instantiate` puts the functions of
a memory's kernel in the place of the names below, which stand for them.

Sequences are taken in the order ``order``, longest first. A block is every ``stride``-th of
them from ``first`` on. No two blocks write to the same place, so threads can process them
at the same time. ``rows[t]`` is the number of steps of all sequences before step t, so
``rows[t + 1] - rows[t]`` is the number of sequences that have a step t. Row
``rows[t] - base + i`` of the history belongs to step t of the i-th sequence.

Arrays are as in :mod:`sknt.kernels.layout`; in addition, ``x`` is (B, T, n_inputs), ``y``
(B, T, O), ``states`` (B, S) and ``saves`` (checkpoints, B, S), where S is the size of a
state, and ``private`` (B, P) has the private parts of each sequence.
"""

from types import FunctionType
from typing import Any, NamedTuple

from sknt.kernels import controllers
from sknt.kernels._compile import entry, helper, stage
from sknt.kernels.layout import kept_parts, room_parts, weight_parts
from sknt.kernels.pointers import add, at, copy, number, plain, start
from sknt.kernels.products import multiply

# The memory's kernel, see sknt.kernels.contract:
activate: Any = None
step: Any = None
prepare: Any = None
replay: Any = None
activate_backward: Any = None
step_backward: Any = None
replays: bool = True  # whether it has a replay, because step_backward needs earlier states
prepares: bool = True  # whether it has a prepare
# Pointers to the parts of a struct, from a pointer to its beginning and their places:
state_parts: Any = None
whole_state_parts: Any = None  # with the private parts, whose pointer and places follow
interface_parts: Any = None
history_parts: Any = None
scratch_parts: Any = None


class Block(NamedTuple):
    """The sequences that a call processes, of all those of a batch."""

    first: int
    stride: int
    order: Any  # (B,), sequences by length
    rows: Any  # (T + 1,), steps of all sequences before step t
    room_at: tuple[int, ...]  # the places of the parts of the scratch


class Span(NamedTuple):
    """The steps that a call processes, and what it keeps of them."""

    begin: int
    stop: int
    base: int  # row of the history of step ``begin``; < 0: each step overwrites the last
    interval: int  # states are saved before each so-many-th step; 0: never
    n_kept: int  # rows of the history
    kept_at: tuple[int, ...]  # the places of its parts


class Step(NamedTuple):
    """A block at one time step."""

    t: int
    n: int  # sequences that are still running
    row: int  # that of the first of them in the history


class Batch(NamedTuple):
    """Where a call finds what it works on, and sizes of the batch."""

    n_sequences: int
    n_steps: int
    x: Any
    y: Any
    states: Any
    saves: Any
    memories: Any  # trace of the bulky parts of the states
    trace: Any  # that of the rest, followed by the interface


_TEMPLATES: list[tuple[str, Any]] = []


def _template(decorator: Any) -> Any:
    """Mark a function that is compiled for each memory."""

    def keep(function: Any) -> Any:
        _TEMPLATES.append((function.__name__, decorator))
        return function

    return keep


def instantiate(name: str, **functions: Any) -> dict[str, Any]:
    """Return the functions of this module for one memory.

    Parameters
    ----------
    name : str
        The memory's, which distinguishes what is kept on disk.
    **functions
        In place of the names above; and ``sources``, the files that they come from.
    """
    sources = functions.pop("sources")
    names: dict[str, Any] = globals() | functions
    for own, decorator in _TEMPLATES:
        copied = FunctionType(globals()[own].__code__, names, own)
        copied.__module__ = __name__
        copied.__qualname__ = f"{name}.{own}"
        copied.sources = sources  # type: ignore[attr-defined]
        names[own] = decorator(copied)
    return names


@helper
def _at_step(block, span, t):
    """Return how many sequences of a block have a step t, and where they are kept."""
    n = block.rows[t + 1] - block.rows[t] - block.first
    n = (n + block.stride - 1) // block.stride if n > 0 else 0
    row = block.rows[t] - span.base if span.base >= 0 else 0
    return Step(t, n, row + block.first)


@helper
def _sequence(block, i):
    """Return the number of a block's i-th sequence."""
    return block.order[block.first + i * block.stride]


@helper
def _saved_at(sizes, batch, span, t, sequence):
    """Return a pointer to the state that was saved before step t."""
    number_ = t // span.interval * batch.n_sequences + sequence
    return at(batch.saves, number_ * sizes.state)


# Forward


@helper
def _save_or_resume(sizes, block, span, batch, now, resumes):
    """Save the states before a step, or load them to continue from there."""
    for i in range(now.n):
        sequence = _sequence(block, i)
        state = at(batch.states, sequence * sizes.state)
        saved = _saved_at(sizes, batch, span, now.t, sequence)
        if not resumes:
            copy(sizes.state, state, saved)
        elif now.t == span.begin:
            copy(sizes.state, saved, state)


@_template(stage)
def _prepare(sizes, block, batch, private, now, blank):
    """Work out the private parts of the sequences that are still running."""
    for i in range(now.n):
        sequence = _sequence(block, i)
        prepare(
            sizes.memory,
            whole_state_parts(
                at(batch.states, sequence * sizes.state),
                sizes.state_at,
                at(private, sequence * sizes.private),
                sizes.private_at,
            ),
            blank,
        )


@helper
def _gather_inputs(sizes, layer, x, state, inputs):
    """Lay out a layer's inputs, in the order of its weights' columns."""
    hidden, own, one = at(state, sizes.hidden_at), sizes.own, number(inputs, 1.0)
    if own:
        inputs[0] = one
        copy(sizes.hidden, at(hidden, layer * sizes.hidden), at(inputs, 1))
    if layer == 0:
        copy(sizes.reads, at(state, sizes.reads_at), at(inputs, own))
        copy(sizes.inputs, x, at(inputs, own + sizes.reads))
        inputs[own + sizes.reads + sizes.inputs] = one
    else:
        copy(sizes.hidden, at(hidden, (layer - 1) * sizes.hidden), at(inputs, own))
        inputs[own + sizes.hidden] = one


@_template(stage)
def _run_controller(sizes, block, span, batch, kept, weights, now):
    """Advance all layers of the controller by a step."""
    k, g, h = sizes.columns, sizes.gates, sizes.hidden
    stride = block.stride
    for layer in range(sizes.layers):
        first = layer * span.n_kept + now.row
        inputs, gates = at(kept.inputs, first * k), at(kept.gates, first * g)
        for i in range(now.n):
            sequence = _sequence(block, i)
            x = at(batch.x, (sequence * batch.n_steps + now.t) * sizes.inputs)
            state = at(batch.states, sequence * sizes.state)
            _gather_inputs(sizes, layer, x, state, at(inputs, i * stride * k))
        w = at(weights.controller, layer * k * g)
        controllers.multiply_inputs(sizes, layer, now.n, stride, inputs, w, gates)
        for i in range(now.n):
            state = at(batch.states, _sequence(block, i) * sizes.state + layer * h)
            hidden, cell = at(state, sizes.hidden_at), at(state, sizes.cell_at)
            old_cell = at(kept.cells, (first + i * stride) * h)
            controllers.step(sizes, hidden, cell, at(gates, i * stride * g), old_cell)


@_template(stage)
def _run_memory(sizes, block, span, batch, private, kept, room, weights, now):
    """Map the controller's output to interfaces, and advance the memories by a step."""
    one, put = plain(1), plain(False)
    f, s, n_interface, stride = sizes.features, sizes.seen, sizes.interface, block.stride
    h, reads = sizes.hidden, sizes.reads
    features = at(kept.features, now.row * f)
    for i in range(now.n):
        sequence = _sequence(block, i)
        row = at(features, i * stride * f + reads)
        hidden = at(batch.states, sequence * sizes.state + sizes.hidden_at)
        copy(h, at(hidden, (sizes.layers - 1) * h), row)
        row[h] = number(row, 1.0)
        x = at(batch.x, (sequence * batch.n_steps + now.t) * sizes.inputs)
        copy(s - h - 1, x, at(row, h + 1))
    raws = at(kept.raw, now.row * n_interface)
    w, c_row = weights.interface, stride * n_interface
    seen = at(features, reads)
    multiply(now.n, n_interface, s, seen, stride * f, one, w, n_interface, raws, c_row, put)
    for i in range(now.n):
        row, sequence = now.row + i * stride, _sequence(block, i)
        state = at(batch.states, sequence * sizes.state)
        interface = at(kept.interface, row * n_interface)
        scratch = scratch_parts(room.memory, sizes.scratch_at)
        activate(
            sizes.memory,
            interface_parts(at(kept.raw, row * n_interface), sizes.interface_at),
            interface_parts(interface, sizes.interface_at),
            scratch,
        )
        step(
            sizes.memory,
            interface_parts(interface, sizes.interface_at),
            whole_state_parts(
                state,
                sizes.state_at,
                at(private, sequence * sizes.private),
                sizes.private_at,
            ),
            at(state, sizes.reads_at),
            history_parts(at(kept.memory, row * sizes.history), sizes.history_at),
            scratch,
        )
        copy(reads, at(state, sizes.reads_at), at(kept.features, row * f))


@_template(stage)
def _keep_trace(sizes, block, batch, kept, now, keeps_bulky):
    """Copy states and interfaces to the trace."""
    n_rest, n_interface = sizes.state - sizes.bulky, sizes.interface
    for i in range(now.n):
        sequence = _sequence(block, i)
        state = at(batch.states, sequence * sizes.state)
        place = sequence * batch.n_steps + now.t
        if keeps_bulky:
            copy(sizes.bulky, state, at(batch.memories, place * sizes.bulky))
        trace = at(batch.trace, place * (n_rest + n_interface))
        copy(n_rest, at(state, sizes.bulky), trace)
        interface = at(kept.interface, (now.row + i * block.stride) * n_interface)
        copy(n_interface, interface, at(trace, n_rest))


@_template(stage)
def _read_out(sizes, block, batch, kept, weights, now):
    """Map reads and hidden state to the outputs."""
    one, put, stride = plain(1), plain(False), block.stride
    o, f, n_read = sizes.outputs, sizes.features, sizes.reads + sizes.hidden + 1
    features, outputs = at(kept.features, now.row * f), at(kept.outputs, now.row * o)
    w = weights.readout
    multiply(now.n, o, n_read, features, stride * f, one, w, o, outputs, stride * o, put)
    for i in range(now.n):
        place = _sequence(block, i) * batch.n_steps + now.t
        copy(o, at(outputs, i * stride * o), at(batch.y, place * o))


@_template(entry)
def forward(
    sizes,
    block,
    span,
    resumes,
    matrices,
    x,
    y,
    state,
    private,
    blank,
    history,
    saved,
    memory_trace,
    trace,
    scratch,
):
    """Run a block over a span of steps.

    The states are saved before every ``interval``-th step; with ``resumes``, they are
    loaded from there at the beginning instead. ``private`` holds zeros, and ``blank`` says
    that the bulky parts of the states do as well. The matrices are the transposed ones.
    Outputs and traces whose arrays are empty are not computed.
    """
    keeps_y, keeps_trace = y.shape[0] > 0, trace.shape[0] > 0
    keeps_bulky = memory_trace.shape[2] > 0
    batch = Batch(
        x.shape[0],
        x.shape[1],
        start(x),
        start(y),
        start(state),
        start(saved),
        start(memory_trace),
        start(trace),
    )
    weights = weight_parts(start(matrices), sizes.weights_at)
    kept = kept_parts(start(history), span.kept_at)
    room = room_parts(start(scratch), block.room_at)
    for t in range(span.begin, span.stop):
        now = _at_step(block, span, t)
        if now.n == 0:
            break
        if span.interval and t % span.interval == 0:
            _save_or_resume(sizes, block, span, batch, now, resumes)
        if prepares and t == span.begin:
            _prepare(sizes, block, batch, start(private), now, blank)
        _run_controller(sizes, block, span, batch, kept, weights, now)
        _run_memory(sizes, block, span, batch, start(private), kept, room, weights, now)
        if keeps_trace:
            _keep_trace(sizes, block, batch, kept, now, keeps_bulky)
        if keeps_y:
            _read_out(sizes, block, batch, kept, weights, now)


# Backward


@_template(stage)
def _replay_states(sizes, block, span, batch, kept, room, low, high):
    """Compute the memory's part of the states before each step since a checkpoint."""
    one_state, n_block = sizes.reads_at, _at_step(block, span, low).n
    for i in range(n_block):
        saved = _saved_at(sizes, batch, span, low, _sequence(block, i))
        copy(one_state, saved, at(room.states, i * one_state))
    for t in range(low, high - 1):
        now, n_next = _at_step(block, span, t), _at_step(block, span, t + 1).n
        for i in range(n_next):
            row = now.row + i * block.stride
            old = at(room.states, ((t - low) * n_block + i) * one_state)
            interface = at(kept.interface, row * sizes.interface)
            replay(
                sizes.memory,
                interface_parts(interface, sizes.interface_at),
                history_parts(at(kept.memory, row * sizes.history), sizes.history_at),
                state_parts(old, sizes.state_at),
                state_parts(at(old, n_block * one_state), sizes.state_at),
            )


@_template(stage)
def _read_out_backward(sizes, block, batch, kept, room, weights, now):
    """Backpropagate from the outputs to reads and hidden state."""
    one, put, stride = plain(1), plain(False), block.stride
    o, f, n_read = sizes.outputs, sizes.features, sizes.reads + sizes.hidden + 1
    outputs, w = at(kept.outputs, now.row * o), weights.readout
    for i in range(now.n):
        place = _sequence(block, i) * batch.n_steps + now.t
        copy(o, at(batch.y, place * o), at(outputs, i * stride * o))
    multiply(
        now.n, n_read - 1, o, outputs, stride * o, one, w, n_read, room.features, f, put
    )


@helper
def _add_trace_gradient(sizes, batch, place, d_state, d_interface, has_memories, has_trace):
    """Start with the gradients with respect to a step's place in the trace."""
    n_rest, n_interface = sizes.state - sizes.bulky, sizes.interface
    for i in range(n_interface):
        d_interface[i] = number(d_interface, 0.0)
    if has_memories:
        add(sizes.bulky, at(batch.memories, place * sizes.bulky), d_state)
    if has_trace:
        trace = at(batch.trace, place * (n_rest + n_interface))
        add(n_rest, trace, at(d_state, sizes.bulky))
        add(n_interface, at(trace, n_rest), d_interface)


@_template(stage)
def _run_memory_backward(
    sizes, block, span, batch, kept, room, weights, now, before, has_memories, has_trace
):
    """Backpropagate through a step of the memories, to the controller's output.

    ``before`` points to the memories' states before the step.
    """
    one, put, accumulate = plain(1), plain(False), plain(True)
    f, h, n_interface, stride = sizes.features, sizes.hidden, sizes.interface, block.stride
    for i in range(now.n):
        sequence, row = _sequence(block, i), now.row + i * stride
        d_state = at(batch.states, sequence * sizes.state)
        place = sequence * batch.n_steps + now.t
        _add_trace_gradient(
            sizes, batch, place, d_state, room.gradient, has_memories, has_trace
        )
        d_reads = at(d_state, sizes.reads_at)
        add(sizes.reads, at(room.features, i * f), d_reads)
        interface = at(kept.interface, row * n_interface)
        scratch = scratch_parts(room.memory, sizes.scratch_at)
        step_backward(
            sizes.memory,
            interface_parts(interface, sizes.interface_at),
            state_parts(at(before, i * sizes.reads_at), sizes.state_at),
            history_parts(at(kept.memory, row * sizes.history), sizes.history_at),
            state_parts(d_state, sizes.state_at),
            d_reads,
            interface_parts(room.gradient, sizes.interface_at),
            scratch,
        )
        activate_backward(
            sizes.memory,
            interface_parts(at(kept.raw, row * n_interface), sizes.interface_at),
            interface_parts(interface, sizes.interface_at),
            interface_parts(room.gradient, sizes.interface_at),
            scratch,
        )
    raw, d_seen = at(kept.raw, now.row * n_interface), at(room.features, sizes.reads)
    n, s, c_row, w = now.n, sizes.seen, stride * n_interface, weights.interface
    if n_interface:  # there is a memory
        multiply(n, h, n_interface, raw, c_row, one, w, s, d_seen, f, accumulate)
        if s > h + 1:
            d_x, w_x = at(d_seen, h + 1), at(w, h + 1)
            multiply(n, s - h - 1, n_interface, raw, c_row, one, w_x, s, d_x, f, put)
    for i in range(now.n):
        d_state = at(batch.states, _sequence(block, i) * sizes.state)
        d_hidden = at(d_state, sizes.hidden_at + (sizes.layers - 1) * h)
        add(h, at(room.features, i * f + sizes.reads), d_hidden)


@helper
def _scatter_inputs(sizes, layer, d_inputs, d_state, d_x, d_seen_x, gives_x):
    """Add the gradients with respect to a layer's inputs to where these came from."""
    own, d_hidden = sizes.own, at(d_state, sizes.hidden_at + layer * sizes.hidden)
    if own:
        add(sizes.hidden, at(d_inputs, 1), d_hidden)
    if layer:
        add(sizes.hidden, at(d_inputs, own), at(d_hidden, -sizes.hidden))
    else:
        copy(sizes.reads, at(d_inputs, own), at(d_state, sizes.reads_at))
        if gives_x:
            copy(sizes.inputs, at(d_inputs, own + sizes.reads), d_x)
            add(sizes.seen - sizes.hidden - 1, d_seen_x, d_x)


@_template(stage)
def _run_controller_backward(sizes, block, span, batch, kept, room, weights, now, gives_x):
    """Backpropagate through a step of all layers, from the last to the first."""
    k, g, h, stride = sizes.columns, sizes.gates, sizes.hidden, block.stride
    for layer in range(sizes.layers - 1, -1, -1):
        first = layer * span.n_kept + now.row
        inputs, gates = at(kept.inputs, first * k + 1), at(kept.gates, first * g)
        for i in range(now.n):
            d_state = at(batch.states, _sequence(block, i) * sizes.state + layer * h)
            controllers.step_backward(
                sizes,
                at(d_state, sizes.hidden_at),
                at(d_state, sizes.cell_at),
                at(inputs, i * stride * k),
                at(kept.cells, (first + i * stride) * h),
                at(gates, i * stride * g),
                room.cell,
            )
        w = at(weights.controller, layer * g * k)
        controllers.multiply_inputs_backward(
            sizes, layer, now.n, stride, gates, w, room.inputs, gives_x
        )
        for i in range(now.n):
            sequence = _sequence(block, i)
            d_x = at(batch.x, (sequence * batch.n_steps + now.t) * sizes.inputs)
            _scatter_inputs(
                sizes,
                layer,
                at(room.inputs, i * k),
                at(batch.states, sequence * sizes.state),
                d_x,
                at(room.features, i * sizes.features + sizes.reads + h + 1),
                gives_x,
            )


@_template(entry)
def backward(
    sizes,
    block,
    span,
    matrices,
    d_x,
    d_y,
    carry,
    history,
    saved,
    d_memory_trace,
    d_trace,
    scratch,
):
    """Backpropagate through a block from the end of a span of steps to its beginning.

    ``begin`` is a multiple of ``interval``, so states were saved there. ``carry`` holds the
    gradients with respect to the states after each sequence's last step, and is overwritten
    by those with respect to the states before step ``begin``. In the history, gradients
    before activation replace the gates and the raw interface. Arrays of gradients that are
    not needed, or are zero, are empty.
    """
    gives_x, has_memories = d_x.shape[0] > 0, d_memory_trace.shape[0] > 0
    has_trace = d_trace.shape[0] > 0
    batch = Batch(
        d_y.shape[0],
        d_y.shape[1],
        start(d_x),
        start(d_y),
        start(carry),
        start(saved),
        start(d_memory_trace),
        start(d_trace),
    )
    weights = weight_parts(start(matrices), sizes.weights_at)
    kept = kept_parts(start(history), span.kept_at)
    room = room_parts(start(scratch), block.room_at)
    n_segments = (span.stop - span.begin + span.interval - 1) // span.interval
    for segment in range(n_segments - 1, -1, -1):
        low = span.begin + segment * span.interval
        high = min(span.stop, low + span.interval)
        n_block = _at_step(block, span, low).n
        if n_block == 0:
            continue
        if replays:
            _replay_states(sizes, block, span, batch, kept, room, low, high)
        for t in range(high - 1, low - 1, -1):
            now = _at_step(block, span, t)
            if now.n == 0:
                continue
            before = at(room.states, (t - low) * n_block * sizes.reads_at)
            _read_out_backward(sizes, block, batch, kept, room, weights, now)
            _run_memory_backward(
                sizes,
                block,
                span,
                batch,
                kept,
                room,
                weights,
                now,
                before,
                has_memories,
                has_trace,
            )
            _run_controller_backward(
                sizes, block, span, batch, kept, room, weights, now, gives_x
            )
