"""Networks, inputs and comparisons that the tests of the network share."""

import itertools

import pytest
import torch
from helpers import leaves
from torch.testing import assert_close

from sknt.memories import MEMORIES
from sknt.nn import CONTROLLERS, SequenceNetwork

N_INPUTS, N_OUTPUTS, N_ROWS, WORD, HIDDEN = 3, 2, 7, 4, 5
LENGTHS = torch.tensor([4, 6, 1, 5])  # neither equal nor sorted
N_STEPS = int(LENGTHS.max())
# What must hold for new memories and controllers as well as for the present ones.
ANY_NETWORK = pytest.mark.parametrize(
    ("memory", "controller"), [*itertools.product([*MEMORIES, None], CONTROLLERS)]
)
ANY_MEMORY = pytest.mark.parametrize("memory", MEMORIES)
SMOOTH = [memory for memory in MEMORIES if memory != "dntm"]
"""Memories whose gradient is that of what they compute: a D-NTM's usage has none."""
WITH_KERNEL = [name for name, memory in MEMORIES.items() if "kernel" in vars(memory)]


def randomize(module):
    """Weights far from their initial values, so that heads address sharply.

    If they were any larger, each step would multiply float32's rounding by its large γ.
    """
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.normal_(std=2.0 if "memory." in name else 0.4)
    return module


def backend_of(memory):
    """The path that the fixture ``backend`` asks for, where the memory has a choice."""
    return make_network.backend if memory in WITH_KERNEL else "auto"


def make_network(memory="ntm", **options):
    sizes = {"memory_size": N_ROWS, "word_size": WORD, "hidden_size": HIDDEN}
    sizes["backend"] = backend_of(memory)
    network = SequenceNetwork(N_INPUTS, N_OUTPUTS, memory=memory, **(sizes | options))
    return randomize(network).double()


def make_inputs(n_steps=N_STEPS):
    return torch.randn(len(LENGTHS), n_steps, N_INPUTS, dtype=torch.float64)


def is_present(lengths=LENGTHS, n_steps=N_STEPS):
    return torch.arange(n_steps) < lengths[:, None]


def assert_states_close(actual, expected, **tolerances):
    assert type(actual) is type(expected)
    for one, other in zip(leaves(actual), leaves(expected), strict=True):
        assert_close(one, other, **tolerances)


def some_loss(outputs):
    """A loss to which every output contributes differently."""
    weights = torch.linspace(-1, 2, outputs.numel(), dtype=outputs.dtype)
    return (outputs.flatten() * weights).sum()


def gradients(network, loss):
    names, parameters = zip(*network.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, parameters), strict=True))


def hidden_outputs(n_sequences=3):
    return torch.tanh(torch.randn(n_sequences, HIDDEN, dtype=torch.float64))
