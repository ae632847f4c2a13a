"""How the heads of a memory begin."""

import math

import pytest
import torch

from sknt.nn import SequenceNetwork


def test_heads_begin_as_a_tape():
    network = SequenceNetwork(3, 2, memory_size=9, n_read_heads=2, n_write_heads=1)
    memory = network.cell.memory
    weights = memory.split_interface(memory.projection.weight.detach().T)
    biases = memory.split_interface(memory.projection.bias.detach())
    assert torch.equal(weights.key[:, 0], weights.add[:, 0])
    assert torch.equal(biases.key[0], biases.add[0])
    assert not torch.equal(weights.key[:, 1], weights.add[:, 0])
    expected = [("gate", 2, 2, -2), ("strength", 3, 3, 0)]
    for name, *values in expected:
        found = getattr(biases, name).flatten()
        torch.testing.assert_close(found, torch.tensor(values).float(), rtol=0, atol=0.06)
    torch.testing.assert_close(
        biases.shift[2], torch.tensor([0.0, 0.0, 2.0]), rtol=0, atol=0.06
    )
    network(torch.zeros(1, 2, 3))
    SequenceNetwork(3, 2, memory_size=1, memory_params={"shift_range": 0})


@pytest.mark.parametrize("n_rows", [16, 128, 1024])
def test_heads_focus_as_sharply_among_more_rows(n_rows):
    """The only row similar to the key gets about e^3 / (e^3 + 127) of the weighting."""
    torch.manual_seed(0)
    memory = SequenceNetwork(3, 2, memory_size=n_rows, n_read_heads=8).cell.memory
    biases = memory.split_interface(memory.projection.bias.detach())
    likeness = math.exp(biases.strength[:8].mean())
    part = likeness / (likeness + max(n_rows, 128) - 1)
    assert part == pytest.approx(math.exp(3) / (math.exp(3) + 127), rel=0.03)
    first = memory.initial_state(1).read_weights[0, 0, 0].item()
    assert 1 - first == pytest.approx((min(n_rows, 128) - 1) * math.exp(-10), rel=0.02)
