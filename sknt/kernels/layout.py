"""The memory layout of what the kernels work on.

Letters: B sequences, T steps, L layers, H controller units, G gate units (4H for an LSTM
and a GRU, H for feed-forward layers), K inputs of a layer, R read heads, V write heads, N
memory rows, W row width, I numbers of an interface, O outputs, F = R * W + H + 1 features.

A memory matrix is stored transposed, (W, N), so that every loop runs over adjacent numbers.
Each sequence's state is one row: the memory (W, N), the weightings (R + V, N) with the read
heads first, the reads (R, W), the hidden state (L, H) and the cell state (L, H).

The biases are columns of the weights, with 1 as their input:

- controller (L, G, K); columns [1, h of this layer], unless it is feed-forward, and then
  [reads, x, 1] in the first layer or [h of the layer below, 1];
- interface (I, H + 1), columns [h, 1];
- readout (O, F), columns [reads, h, 1].
"""

from functools import lru_cache
from typing import Any, NamedTuple

from sknt.kernels._compile import helper
from sknt.kernels.pointers import at

LSTM, GRU, FEED_FORWARD = 0, 1, 2

PORTION = 32
"""Numbers that a vectorised loop processes at once; it takes the remainder one by one."""


class Sizes(NamedTuple):
    """Sizes of a network, and where the parts of a state and an interface start."""

    controller: int  # LSTM, GRU or FEED_FORWARD
    layers: int  # L
    hidden: int  # H
    gates: int  # G
    columns: int  # K of the layer with the most
    own: int  # columns for the bias and state of the layer itself: 1 + H, 0 if stateless
    inputs: int  # features per step
    outputs: int  # O
    read_heads: int  # R
    write_heads: int  # V
    heads: int  # R + V
    rows: int  # N
    width: int  # W
    memory: int  # W * N
    reads: int  # R * W
    features: int  # F
    shifts: int  # 2 * shift_range + 1
    # Offsets into an interface, whose keys start at 0, and its size:
    strength: int
    gate: int
    shift: int
    gamma: int
    erase: int
    add: int
    interface: int  # I
    # Offsets into a state, whose memory starts at 0, and its size:
    weights_at: int
    reads_at: int
    hidden_at: int
    cell_at: int
    state: int
    clip: float  # inf for none
    squashes_keys: int  # 1: keys go through tanh, 0: they are linear
    squashes_adds: int  # likewise for add vectors


@lru_cache(maxsize=64)
def make_sizes(
    *,
    controller: int,
    layers: int,
    hidden: int,
    inputs: int,
    outputs: int,
    read_heads: int,
    write_heads: int,
    rows: int,
    width: int,
    shifts: int,
    clip: float,
    squashes_keys: int,
    squashes_adds: int,
) -> Sizes:
    """Work out all sizes, once for all networks of one structure."""
    heads, reads, own = read_heads + write_heads, read_heads * width, 0
    if controller != FEED_FORWARD:
        own = 1 + hidden
    columns = own + reads + inputs + 1
    if layers > 1:
        columns = max(columns, own + hidden + 1)
    strength = heads * width
    gate = strength + heads
    shift = gate + heads
    gamma = shift + heads * shifts
    erase = gamma + heads
    add = erase + write_heads * width
    weights_at = width * rows
    reads_at = weights_at + heads * rows
    hidden_at = reads_at + reads
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
        write_heads=write_heads,
        heads=heads,
        rows=rows,
        width=width,
        memory=width * rows,
        reads=reads,
        features=reads + hidden + 1,
        shifts=shifts,
        strength=strength,
        gate=gate,
        shift=shift,
        gamma=gamma,
        erase=erase,
        add=add,
        interface=add + write_heads * width,
        weights_at=weights_at,
        reads_at=reads_at,
        hidden_at=hidden_at,
        cell_at=cell_at,
        state=cell_at + layers * hidden,
        clip=clip,
        squashes_keys=squashes_keys,
        squashes_adds=squashes_adds,
    )


def weight_shapes(sizes: Sizes) -> list[tuple[int, ...]]:
    """Return the shapes of the weights of the controller, the interface and the readout."""
    return [
        (sizes.layers, sizes.gates, sizes.columns),
        (sizes.interface, sizes.hidden + 1),
        (sizes.outputs, sizes.features),
    ]


class History(NamedTuple):
    """What the backward pass needs of P steps of sequences, to be replaced by gradients."""

    inputs: Any  # (L, P, K), a layer's inputs in the order of its weights' columns
    gates: Any  # (L, P, G), the gates; later the gradients before activation
    cells: Any  # (L, P, H), c_{t-1}
    features: Any  # (P, F), [reads, h, 1]
    raw: Any  # (P, I), the interface before activation; later the gradient
    interface: Any  # (P, I)
    content: Any  # (P, R + V, N), content weightings
    weights: Any  # (P, R + V, N), weightings
    outputs: Any  # (P, O), the outputs; later the gradients


def history_size(sizes: Sizes, n: int) -> int:
    """Return how many numbers a history of n steps of sequences holds."""
    of_a_layer = sizes.columns + sizes.gates + sizes.hidden
    others = sizes.features + 2 * sizes.interface + 2 * sizes.heads * sizes.rows
    return n * (sizes.layers * of_a_layer + others + sizes.outputs)


@helper
def locate_history(sizes, n, first):
    """Return pointers to the parts of a history of n steps of sequences."""
    gates = at(first, sizes.layers * n * sizes.columns)
    cells = at(gates, sizes.layers * n * sizes.gates)
    features = at(cells, sizes.layers * n * sizes.hidden)
    raw = at(features, n * sizes.features)
    interface = at(raw, n * sizes.interface)
    content = at(interface, n * sizes.interface)
    weights = at(content, n * sizes.heads * sizes.rows)
    outputs = at(weights, n * sizes.heads * sizes.rows)
    return History(first, gates, cells, features, raw, interface, content, weights, outputs)


class Scratch(NamedTuple):
    """Working memory for one step of a block of sequences."""

    cosines: Any  # (R + V, N), of every key with every row
    row_norms: Any  # (N,)
    key_norms: Any  # (R + V,)
    circular: Any  # (N + 2 * shift_range,), a weighting with its ends repeated
    shifted: Any  # (N,)
    columns: Any  # (2, I in whole portions), of the interface
    # Only in the backward pass:
    circular_gradient: Any  # (N + 2 * shift_range,), to the shifted weighting
    gradient: Any  # (I,), to the interface
    cell: Any  # (H,)
    factors: Any  # (2 R + V, W), the keys, then the gradients of the reads
    row_gradients: Any  # (2 R + V, N), to the keys' products; then the read weightings
    stages: Any  # (V, W, N), the memory before each write head, except the first, writes
    features: Any  # (block, F), gradients
    inputs: Any  # (block, K), gradients
    memories: Any  # (interval * block, W, N), before each step


def scratch_size(sizes: Sizes, block: int, interval: int) -> int:
    """Return how many numbers the scratch holds, enough for either pass."""
    circular = sizes.rows + sizes.shifts - 1
    more = sizes.heads + sizes.read_heads
    return sum(
        [
            2 * (-(-sizes.interface // PORTION) * PORTION),
            (sizes.heads + 2) * sizes.rows + sizes.heads + 2 * circular,
            sizes.interface + sizes.hidden + more * (sizes.width + sizes.rows),
            (sizes.write_heads + interval * block) * sizes.memory,
            block * (sizes.features + sizes.columns),
        ]
    )


@helper
def locate_scratch(sizes, block, first):
    """Return pointers to the parts of scratch for ``block`` sequences."""
    n, more = sizes.rows, sizes.heads + sizes.read_heads
    n_circular = n + sizes.shifts - 1
    row_norms = at(first, sizes.heads * n)
    key_norms = at(row_norms, n)
    circular = at(key_norms, sizes.heads)
    shifted = at(circular, n_circular)
    columns = at(shifted, n)
    n_columns = 2 * (-(-sizes.interface // PORTION) * PORTION)
    circular_gradient = at(columns, n_columns)
    gradient = at(circular_gradient, n_circular)
    cell = at(gradient, sizes.interface)
    factors = at(cell, sizes.hidden)
    row_gradients = at(factors, more * sizes.width)
    stages = at(row_gradients, more * n)
    features = at(stages, sizes.write_heads * sizes.memory)
    inputs = at(features, block * sizes.features)
    memories = at(inputs, block * sizes.columns)
    return Scratch(
        first,
        row_norms,
        key_norms,
        circular,
        shifted,
        columns,
        circular_gradient,
        gradient,
        cell,
        factors,
        row_gradients,
        stages,
        features,
        inputs,
        memories,
    )
