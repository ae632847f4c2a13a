"""Sparse access memories of many sizes, and runs of them."""

import numpy as np
import pytest
import torch

from sknt.memories import make_memory

HIDDEN = 5
# memory_size, word_size, n_read_heads, n_write_heads, n_nearest
SIZES = [
    (1, 1, 1, 1, 1),
    (4, 3, 1, 1, 4),
    (5, 4, 2, 2, 1),
    (9, 4, 1, 1, 4),
    (9, 3, 3, 1, 2),
    (9, 3, 1, 3, 4),
    (12, 5, 2, 3, 4),
    (40, 6, 3, 2, 5),
]
ANY_SIZES = pytest.mark.parametrize("sizes", SIZES, ids=str)


def make_sam(sizes, std=1.0, **options):
    *sizes, n_nearest = sizes
    options = {"n_nearest": n_nearest, **options}
    memory = make_memory("sam", HIDDEN, *sizes, memory_params=options)
    with torch.no_grad():
        for parameter in memory.parameters():
            parameter.normal_(std=std)
    return memory.double()


def hidden_outputs(n_steps, n_sequences=3):
    return torch.tanh(torch.randn(n_steps, n_sequences, HIDDEN, dtype=torch.float64))


def run(memory, hiddens, state=None):
    """Return the reads and the states of all steps."""
    state = memory.initial_state(hiddens.shape[1]) if state is None else state
    reads, states = [], []
    for hidden in hiddens:
        read, state = memory.step(memory.interface(hidden), state)
        reads.append(read)
        states.append(state)
    return torch.stack(reads), states


def dense(rows, weights, n_rows):
    """Weightings over all rows of one sequence, by loops."""
    weighting = np.zeros((len(rows), n_rows))
    for head, (some_rows, some_weights) in enumerate(zip(rows, weights, strict=True)):
        for row, weight in zip(some_rows, some_weights, strict=True):
            weighting[head, int(row)] += weight
    return weighting


def numpy(tensor):
    return tensor.detach().double().numpy()
