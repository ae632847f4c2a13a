"""The DNC's kernel: all its options against the reference, and its order of rows."""

import math

import numpy as np
import pytest
import torch
from kernel_helpers import (
    assert_gradients_close,
    compiled,
    make_batch,
    results_and_gradients,
)
from torch.testing import assert_close

from sknt import ops
from sknt.kernels.ops.allocation import allocate, sort
from sknt.kernels.pointers import start
from sknt.nn import SequenceNetwork

pytestmark = pytest.mark.usefixtures("torch_seed")


def random_configuration(seed):
    rng = np.random.RandomState(seed)
    return {
        "memory": "dnc",
        "controller": rng.choice(["lstm", "gru", "feedforward"]).item(),
        "n_layers": int(rng.randint(1, 3)),
        "hidden_size": int(rng.randint(1, 30)),
        "memory_size": int(rng.randint(1, 50)),
        "word_size": int(rng.randint(1, 20)),
        "n_read_heads": int(rng.randint(1, 5)),
        "n_write_heads": int(rng.randint(1, 4)),
        "memory_params": {
            "masked_content": bool(rng.randint(2)),
            "deallocate": bool(rng.randint(2)),
            "sharpen_links": bool(rng.randint(2)),
            "memory_init": ["random", "learned"][rng.randint(2)],
            "interface_clip": [20.0, 1.5, None][rng.randint(3)],
        },
    }


@pytest.mark.parametrize("seed", range(25))
def test_any_configuration_gives_the_references_results_and_gradients(seed):
    # In double precision: in single, rounding changes the order of rows used almost alike.
    torch.manual_seed(seed)
    network = SequenceNetwork(3, 2, **random_configuration(seed)).double()
    if seed % 2:  # far from the initial weights
        with torch.no_grad():
            for parameter in network.cell.memory.parameters():
                parameter.normal_(std=[0.5, 2.0][seed % 4 // 2])
    x, lengths = make_batch(*np.random.RandomState(seed).randint(1, 20, size=2).tolist())
    expected = results_and_gradients(network, "reference", x.double(), lengths, traces=True)
    actual = results_and_gradients(network, "fused", x.double(), lengths, traces=True)
    assert_close(actual[0], expected[0], rtol=1e-8, atol=1e-9)
    assert_gradients_close(actual[1], expected[1], 1e-7)


@compiled
def sorted_and_allocated(usage):
    n = len(usage)
    order, allocation = np.empty_like(usage), np.empty_like(usage)
    room = np.empty((3, n), usage.dtype)
    rows = [start(room[i]) for i in range(3)]
    sort(n, start(usage), start(order), rows[0], rows[1], rows[2])
    allocate(n, start(usage), start(order), start(allocation))
    return order, allocation


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 2, 5, 31, 64, 257])
def test_rows_used_alike_stay_in_their_order(dtype, n):
    rng = np.random.RandomState(n)
    for levels in (1, 2, 7, 10_000):
        usage = (rng.randint(levels, size=n) / levels).astype(dtype)
        order, allocation = sorted_and_allocated(usage)
        np.testing.assert_array_equal(order, np.argsort(usage, kind="stable"))
        assert_close(torch.tensor(allocation), ops.allocate(torch.tensor(usage)))


@pytest.mark.parametrize("n_nan", [1, 3, 8])
def test_usage_that_is_not_a_number_comes_last_and_stays(n_nan):
    usage = np.linspace(0.9, 0.1, 8, dtype=np.float32)
    usage[:n_nan] = math.nan
    order, allocation = sorted_and_allocated(usage)
    assert sorted(order) == list(range(8))
    assert set(order[8 - n_nan :]) == set(range(n_nan))
    assert np.isnan(allocation[:n_nan]).all()
    assert not np.isnan(allocation[n_nan:]).any()


@pytest.mark.parametrize("backend", ["reference", "fused"])
def test_links_follow_the_order_of_writes_to_free_rows(backend):

    network = SequenceNetwork(
        1, 1, memory="dnc", memory_size=6, word_size=2, hidden_size=3, backend=backend
    )
    memory, sizes = network.cell.memory, network.cell.memory.split_interface
    with torch.no_grad():
        memory.projection.weight.zero_()
        biases = sizes(memory.projection.bias.zero_())
        for gate in (biases.allocation_gate, biases.write_gate):
            gate.fill_(20)
        biases.free_gate.fill_(-20)
        biases.modes[..., 1] = 20
        outputs = network(torch.randn(2, 5, 1), return_states=True)
    states = outputs[2].states.memory
    written = states.write_weights[0, :, 0]
    assert_close(written, torch.eye(6)[:5], atol=1e-5, rtol=0)
    links = states.links[0, -1, 0]
    assert_close(
        links,
        torch.diag(torch.ones(6), -1)[:6, :6] * (torch.arange(6) < 4),
        atol=1e-4,
        rtol=0,
    )
