"""Parts of a state that a memory's kernel keeps to itself, with the NTM as the example."""

import pytest
import torch
from kernel_helpers import assert_same, make_batch, make_kernel_network
from kernel_helpers import results_and_gradients as run

from sknt.kernels import engine
from sknt.memories.ntm import NTMMemory

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("torch_seed")]


class Mindful(NTMMemory):
    kernel = "kernel_with_private_parts"


@pytest.mark.parametrize("limit", [engine.HISTORY_LIMIT, 0])
def test_they_are_prepared_before_each_run_of_steps(monkeypatch, limit):
    monkeypatch.setattr(engine, "HISTORY_LIMIT", limit)
    network = make_kernel_network(n_write_heads=2)
    x, lengths = make_batch(5, 20)
    expected = run(network, "fused", x, lengths, traces=True)
    network.cell.memory.__class__ = Mindful
    assert_same(run(network, "fused", x, lengths, traces=True), expected)


def test_they_are_no_part_of_the_state_that_is_returned():
    network = make_kernel_network()
    network.cell.memory.__class__ = Mindful
    x, _ = make_batch(n_steps=9)
    with torch.no_grad():
        whole, _ = network(x)
        first, state = network(x[:, :4])
        assert state.memory._fields == network.initial_state(1).memory._fields
        rest, _ = network(x[:, 4:], state=state)
    assert torch.equal(torch.cat([first, rest], dim=1), whole)
