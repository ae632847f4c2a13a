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
from functools import lru_cache
from typing import Any, NamedTuple

from sknt.kernels.guards import GUARD
from sknt.kernels.pointers import structure

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
            size = -(-size // ALIGNMENT) * ALIGNMENT + GUARD
    return Fields(tuple(starts), size)


def gaps(shapes: Shapes) -> dict[str, slice]:
    """Return where there is nothing after each part, as :func:`place` places them."""
    starts, size = place(shapes)
    ends = zip(shapes.items(), starts, (*starts[1:], size), strict=True)
    return {
        name: slice(start + math.prod(shape), end) for (name, shape), start, end in ends
    }


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
    weights_at: tuple[int, ...]
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
    sizes = Sizes(
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
        weights_at=(),
        state_at=state.starts,
        interface_at=interface.starts,
        history_at=history.starts,
        history=history.size,
        scratch_at=scratch.starts,
        scratch=scratch.size,
        private_at=private.starts or (0,),  # a tuple in compiled code needs an element
        private=private.size,
    )
    return sizes._replace(weights_at=place(weight_shapes(sizes)).starts)


def weight_shapes(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the weights of the controller, the interface and the readout."""
    return {
        "controller": (sizes.layers, sizes.gates, sizes.columns),
        "interface": (sizes.interface, sizes.seen),
        "readout": (sizes.outputs, sizes.reads + sizes.hidden + 1),
    }


def history_shapes(sizes: Sizes, n: int) -> dict[str, tuple[int, ...]]:
    """Return what the backward pass needs of n steps of sequences.

    Gradients take the place of some of it.
    """
    return {
        # A layer's inputs, in the order of its weights' columns:
        "inputs": (sizes.layers, n, sizes.columns),
        # The gates; later the gradients before activation:
        "gates": (sizes.layers, n, sizes.gates),
        "cells": (sizes.layers, n, sizes.hidden),  # c_{t-1}
        "features": (n, sizes.features),  # [reads, h, 1] or [reads, h, 1, x]
        # The interface before activation; later the gradient:
        "raw": (n, sizes.interface),
        "interface": (n, sizes.interface),
        "outputs": (n, sizes.outputs),  # later the gradients
        "memory": (n, sizes.history),  # the memory's own
    }


def scratch_shapes(sizes: Sizes, block: int, interval: int) -> dict[str, tuple[int, ...]]:
    """Return the working memory for a step of a block of sequences.

    For a forward pass, ``block`` is 0. ``interval`` is the number of steps whose states are
    computed again.
    """
    return {
        "memory": (sizes.scratch,),  # the memory's own
        # Only in the backward pass:
        "gradient": (sizes.interface,),  # to the interface
        "cell": (sizes.hidden,),
        "features": (block, sizes.features),  # gradients
        "inputs": (block, sizes.columns),  # gradients
        # The memory's part of the states before each step:
        "states": (interval * block, sizes.reads_at),
    }


_NO_SIZES: Any = Sizes(*[0] * len(Sizes._fields))  # type: ignore[arg-type]


@lru_cache(maxsize=256)
def place_history(sizes: Sizes, n: int) -> Fields:
    """Return where the parts of a history of n steps of sequences start."""
    return place(history_shapes(sizes, n))


@lru_cache(maxsize=256)
def place_scratch(sizes: Sizes, block: int, interval: int) -> Fields:
    """Return where the parts of a scratch start."""
    return place(scratch_shapes(sizes, block, interval))


weight_parts = structure("Weights", weight_shapes(_NO_SIZES))
kept_parts = structure("Kept", history_shapes(_NO_SIZES, 0))
room_parts = structure("Room", scratch_shapes(_NO_SIZES, 0, 0))
