"""Where everything is in memory.

Letters: B sequences, T steps, L layers, H controller units, G gate units (4H for an LSTM
and a GRU, H for feed-forward layers), K inputs of a layer, R read heads, W the width of a
read, I numbers of an interface, O outputs, F = R * W + H + 1 features (and, for a memory
that sees them, the step's inputs).

The parts of a state, an interface, a history and a scratch that belong to a memory are
those that its kernel names, with their shapes (see :mod:`sknt.kernels.contract`). Where
they start follows from the shapes alone, here. The same holds for the private parts of a
sequence, which have a row of their own.

A sequence's state is one row: the memory's own parts, then the reads (R, W), the hidden
state (L, H) and the cell state (L, H).

The biases are columns of the weights, with 1 as their input:

- controller (L, G, K); columns [1, h of this layer], unless it is feed-forward, and then
  [reads, x, 1] in the first layer or [h of the layer below, 1];
- interface (I, H + 1), columns [h, 1], or (I, H + 1 + inputs), columns [h, 1, x];
- readout (O, R * W + H + 1), columns [reads, h, 1].
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from sknt.kernels._compile import helper
from sknt.kernels.pointers import at

LSTM, GRU, FEED_FORWARD = 0, 1, 2

PORTION = 32
"""Numbers that a vectorised loop processes at once; it takes the remainder one by one."""

ALIGNMENT = 16
"""Parts start at multiples of so many numbers, so that vectors do not cross cache lines."""

Shapes = Mapping[str, tuple[int, ...]]


class Fields(NamedTuple):
    """Where parts start, in their order, and where the last one ends."""

    starts: tuple[int, ...]
    size: int


def place(shapes: Shapes, *, adjacent: bool = False) -> Fields:
    """Place parts one after the other, without gaps if they have to be adjacent."""
    starts, size = [], 0
    for shape in shapes.values():
        starts.append(size)
        size += math.prod(shape)
        if not adjacent:
            size = -(-size // ALIGNMENT) * ALIGNMENT
    return Fields(tuple(starts), size)


class Sizes(NamedTuple):
    """Sizes of a network, and where the parts of a state start."""

    controller: int  # LSTM, GRU or FEED_FORWARD
    layers: int  # L
    hidden: int  # H
    gates: int  # G
    columns: int  # K of the layer with the most
    own: int  # columns for the bias and state of the layer itself: 1 + H, 0 if stateless
    inputs: int  # features per step
    outputs: int  # O
    read_heads: int  # R
    reads: int  # R * W
    seen: int  # inputs of the interface: H + 1, or H + 1 + inputs
    features: int  # F
    interface: int  # I
    bulky: int  # numbers at the beginning of a state that a trace of the heads leaves out
    # Offsets into a state, whose memory starts at 0, and its size:
    reads_at: int
    hidden_at: int
    cell_at: int
    state: int
    # The memory's own sizes, and the places of its parts:
    memory: Any
    state_at: tuple[int, ...]
    interface_at: tuple[int, ...]
    history_at: tuple[int, ...]
    history: int
    scratch_at: tuple[int, ...]
    scratch: int
    private_at: tuple[int, ...]
    private: int


class Network(NamedTuple):
    """The sizes of a network that do not follow from its memory."""

    controller: int  # LSTM, GRU or FEED_FORWARD
    layers: int
    hidden: int
    inputs: int
    outputs: int
    read_heads: int
    read_width: int
    sees_inputs: bool  # whether the interface depends on the step's inputs


def make_sizes(network: Network, kernel: Any, memory: Any) -> Sizes:
    """Work out all sizes of a network.

    Parameters
    ----------
    network : Network
    kernel : Kernel
    memory : NamedTuple
        The memory's own sizes, as its kernel defines them.
    """
    controller, layers, hidden, inputs, outputs, read_heads, width, sees_inputs = network
    reads, own = read_heads * width, 0 if controller == FEED_FORWARD else 1 + hidden
    columns = own + reads + inputs + 1
    if layers > 1:
        columns = max(columns, own + hidden + 1)
    seen = hidden + 1 + (inputs if sees_inputs else 0)
    state, private, interface, history, scratch = (
        place(kernel.state(memory)),
        place(kernel.private(memory)),
        place(kernel.interface(memory), adjacent=True),
        place(kernel.history(memory)),
        place(kernel.scratch(memory)),
    )
    hidden_at = state.size + reads
    cell_at = hidden_at + layers * hidden
    return Sizes(
        controller=controller,
        layers=layers,
        hidden=hidden,
        gates=hidden if controller == FEED_FORWARD else 4 * hidden,
        columns=columns,
        own=own,
        inputs=inputs,
        outputs=outputs,
        read_heads=read_heads,
        reads=reads,
        seen=seen,
        features=reads + seen,
        interface=interface.size,
        bulky=(*state.starts, state.size)[kernel.bulky],
        reads_at=state.size,
        hidden_at=hidden_at,
        cell_at=cell_at,
        state=cell_at + layers * hidden,
        memory=memory,
        state_at=state.starts,
        interface_at=interface.starts,
        history_at=history.starts,
        history=history.size,
        scratch_at=scratch.starts,
        scratch=scratch.size,
        private_at=private.starts or (0,),  # a tuple in compiled code needs an element
        private=private.size,
    )


def weight_shapes(sizes: Sizes) -> list[tuple[int, ...]]:
    """Return the shapes of the weights of the controller, the interface and the readout."""
    return [
        (sizes.layers, sizes.gates, sizes.columns),
        (sizes.interface, sizes.seen),
        (sizes.outputs, sizes.reads + sizes.hidden + 1),
    ]


class Weights(NamedTuple):
    """Pointers to the weights of the controller, the interface and the readout."""

    controller: Any
    interface: Any
    readout: Any


@helper
def locate_weights(sizes, first):
    """Return pointers to the weights, from one to the first of all."""
    interface = at(first, sizes.layers * sizes.gates * sizes.columns)
    return Weights(first, interface, at(interface, sizes.interface * sizes.seen))


class History(NamedTuple):
    """What the backward pass needs of P steps of sequences, to be replaced by gradients."""

    inputs: Any  # (L, P, K), a layer's inputs in the order of its weights' columns
    gates: Any  # (L, P, G), the gates; later the gradients before activation
    cells: Any  # (L, P, H), c_{t-1}
    features: Any  # (P, F), [reads, h, 1] or [reads, h, 1, x]
    raw: Any  # (P, I), the interface before activation; later the gradient
    interface: Any  # (P, I)
    outputs: Any  # (P, O), the outputs; later the gradients
    memory: Any  # (P, history), the memory's own


def history_size(sizes: Sizes, n: int) -> int:
    """Return how many numbers a history of n steps of sequences holds."""
    of_a_layer = sizes.columns + sizes.gates + sizes.hidden
    others = sizes.features + 2 * sizes.interface + sizes.outputs + sizes.history
    return n * (sizes.layers * of_a_layer + others) + ALIGNMENT


@helper
def locate_history(sizes, n, first):
    """Return pointers to the parts of a history of n steps of sequences."""
    inputs = at(first, n * sizes.history)
    gates = at(inputs, sizes.layers * n * sizes.columns)
    cells = at(gates, sizes.layers * n * sizes.gates)
    features = at(cells, sizes.layers * n * sizes.hidden)
    raw = at(features, n * sizes.features)
    interface = at(raw, n * sizes.interface)
    outputs = at(interface, n * sizes.interface)
    return History(inputs, gates, cells, features, raw, interface, outputs, first)


class Scratch(NamedTuple):
    """Working memory for one step of a block of sequences."""

    memory: Any  # (scratch,), the memory's own
    # Only in the backward pass:
    gradient: Any  # (I,), to the interface
    cell: Any  # (H,)
    features: Any  # (block, F), gradients
    inputs: Any  # (block, K), gradients
    states: Any  # (interval * block, memory's part of a state), before each step


def scratch_size(sizes: Sizes, block: int, interval: int) -> int:
    """Return how many numbers the scratch holds, enough for either pass."""
    of_a_sequence = sizes.features + sizes.columns + interval * sizes.reads_at
    return sizes.scratch + sizes.interface + sizes.hidden + block * of_a_sequence


@helper
def locate_scratch(sizes, block, first):
    """Return pointers to the parts of scratch for ``block`` sequences."""
    gradient = at(first, sizes.scratch)
    cell = at(gradient, sizes.interface)
    features = at(cell, sizes.hidden)
    inputs = at(features, block * sizes.features)
    return Scratch(
        first, gradient, cell, features, inputs, at(inputs, block * sizes.columns)
    )
