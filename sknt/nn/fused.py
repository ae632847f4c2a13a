"""A cell with an NTM through the compiled kernels, whole sequences at once."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sknt.memories import NTMInterface, NTMState
from sknt.nn.cell import CellState
from sknt.nn.controllers import (
    FeedForwardController,
    GRUController,
    GRUState,
    LSTMController,
    LSTMState,
    NoState,
)
from sknt.nn.unroll import Trace

KINDS: dict[type, int] = {LSTMController: 0, GRUController: 1, FeedForwardController: 2}


def run_fused(cell: Any, readout: nn.Linear, x: Tensor, lengths: Tensor, state: Any, return_states: bool = False) -> tuple[Any, ...]:
    """Run a cell and a readout over padded sequences."""
    from sknt.kernels.engine import FusedSequences, make_batch
    from sknt.kernels.layout import make_sizes

    memory, controller = cell.memory, cell.controller
    kind = KINDS[type(controller)]
    n_read, width = memory.n_read_heads, memory.word_size
    hidden_size = memory.projection.in_features
    if kind == 2:
        layers = [m for m in controller if isinstance(m, nn.Linear)]
        parameters = [p for layer in layers for p in (layer.weight, layer.bias)]
        n_layers = len(layers)
    else:
        parameters = [p for layer in controller.all_weights for p in layer]
        n_layers = controller.num_layers
    sizes = make_sizes(
        controller=kind,
        layers=n_layers,
        hidden=hidden_size,
        inputs=x.shape[-1],
        outputs=readout.out_features,
        read_heads=n_read,
        write_heads=memory.n_write_heads,
        rows=memory.memory_size,
        width=width,
        shifts=memory._fields[3][1],
        clip=float("inf") if memory.interface_clip is None else float(memory.interface_clip),
    )
    parameters += [*memory.projection.parameters(), *readout.parameters()]
    if state is None:
        state = cell.initial_state(1)
    hidden = cells = x.new_zeros(1, n_layers, hidden_size)
    if kind != 2:
        hidden = state.controller.hidden
    if kind == 0:
        cells = state.controller.cell
    first = [
        state.memory.memory,
        torch.cat([state.memory.read_weights, state.memory.write_weights], 1),
        state.reads,
        hidden,
        cells,
    ]
    tensors = [x, *first, *parameters]
    keeps = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
    outputs, *rest = FusedSequences.apply(
        sizes, make_batch(lengths.numpy()), keeps, return_states, *tensors
    )

    def to_cell_state(m, w, r, h, c):
        controller_state = NoState()
        if kind == 0:
            controller_state = LSTMState(h, c)
        elif kind == 1:
            controller_state = GRUState(h)
        return CellState(
            controller_state, r, NTMState(m, w[..., :n_read, :], w[..., n_read:, :])
        )

    state = to_cell_state(*rest[:5])
    if not return_states:
        return outputs, state
    parts = rest[10].split(memory._field_sizes, dim=-1)
    interface = NTMInterface(*(p.unflatten(-1, f) for p, f in zip(parts, memory._fields, strict=True)))
    return outputs, state, Trace(to_cell_state(*rest[5:10]), interface)

