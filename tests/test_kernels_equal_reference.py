"""The fused path gives the results and gradients of the reference."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from helpers import leaves
from kernel_helpers import (
    EACH_MEMORY,
    EACH_PAIR,
    assert_gradients_close,
    assert_same,
    make_batch,
    make_kernel_network,
    results_and_gradients,
)
from torch.testing import assert_close

from sknt.nn import SequenceNetwork

pytestmark = pytest.mark.usefixtures("torch_seed")


def random_configuration(seed):
    rng = np.random.RandomState(seed)
    rows = int(rng.randint(1, 70))
    return {
        "controller": rng.choice(["lstm", "gru", "feedforward"]).item(),
        "n_layers": int(rng.randint(1, 4)),
        "hidden_size": int(rng.randint(1, 40)),
        "memory_size": rows,
        "word_size": int(rng.randint(1, 30)),
        "n_read_heads": int(rng.randint(1, 5)),
        "n_write_heads": int(rng.randint(1, 4)),
        "memory_params": {
            "shift_range": int(rng.randint(0, min(4, (rows - 1) // 2 + 1))),
            "memory_init": rng.choice(["random", "constant", "learned"]).item(),
            "interface_clip": [20.0, 1.5, None][rng.randint(3)],
            "key_activation": ["tanh", "linear"][rng.randint(2)],
            "add_activation": ["tanh", "linear"][rng.randint(2)],
        },
    }


@pytest.mark.parametrize("seed", range(40))
def test_any_configuration_gives_the_references_results_and_gradients(seed):
    torch.manual_seed(seed)
    network = SequenceNetwork(3, 2, **random_configuration(seed))
    x, lengths = make_batch(*np.random.RandomState(seed).randint(1, 25, size=2).tolist())
    expected, expected_gradients = results_and_gradients(
        network, "reference", x, lengths, traces=True
    )
    actual, gradients = results_and_gradients(network, "fused", x, lengths, traces=True)
    for one, other in zip(actual, expected, strict=True):
        assert_close(one, other, rtol=1e-5, atol=1e-5)
    # Where rounding moves the reference itself by more: at most twice its error.
    double = deepcopy(network).double()
    _, exact = results_and_gradients(double, "reference", x.double(), lengths, traces=True)
    exact = [part.float() for part in exact]
    rounding = max(
        float((one - other).abs().max() / other.abs().max().clamp(min=1e-7))
        for one, other in zip(expected_gradients, exact, strict=True)
    )
    assert_gradients_close(gradients, exact, max(1e-4, 2 * rounding))


@pytest.mark.parametrize("controller", ["lstm", "gru", "feedforward"])
@pytest.mark.parametrize("n_layers", [1, 2, 3])
@pytest.mark.parametrize("n_sequences", [1, 5])
def test_a_controller_alone_has_the_references_gradients(controller, n_layers, n_sequences):
    network = make_kernel_network(
        memory=None, controller=controller, n_layers=n_layers, hidden_size=6
    )
    x, lengths = make_batch(n_sequences)
    assert network.backend_for(x) == "fused"
    expected, gradients = results_and_gradients(network, "reference", x, lengths)
    actual, fused_gradients = results_and_gradients(network, "fused", x, lengths)
    assert_close(actual, expected, rtol=1e-5, atol=1e-5)
    assert_gradients_close(fused_gradients, gradients)


@EACH_PAIR
def test_in_double_precision_the_paths_differ_only_by_rounding(memory, controller):
    network = make_kernel_network(
        memory=memory, controller=controller, n_layers=2, n_write_heads=2
    ).double()
    x, lengths = make_batch()
    expected = results_and_gradients(network, "reference", x.double(), lengths, traces=True)
    assert_close(
        results_and_gradients(network, "fused", x.double(), lengths, traces=True), expected
    )


@EACH_MEMORY
def test_in_single_precision_the_paths_differ_only_by_rounding(memory):
    network = make_kernel_network(memory=memory, n_read_heads=2)
    x, lengths = make_batch()
    expected = results_and_gradients(network, "reference", x, lengths, traces=True)
    actual = results_and_gradients(network, "fused", x, lengths, traces=True)
    assert_close(actual[0], expected[0], rtol=1e-4, atol=1e-5)
    assert_gradients_close(actual[1], expected[1], 1e-3)


def test_lengths_of_any_integer_type_and_strided_inputs_are_taken():
    network = make_kernel_network()
    x, lengths = make_batch()
    expected = results_and_gradients(network, "fused", x, lengths)
    strided = x.transpose(0, 1).contiguous().transpose(0, 1)
    assert_same(
        results_and_gradients(network, "fused", strided, lengths.to(torch.int32)), expected
    )


@EACH_MEMORY
def test_a_penalty_trains_the_same_weights_as_on_the_reference_path(memory):
    network = make_kernel_network(memory=memory, n_read_heads=2)
    x, lengths = make_batch()

    def gradients(backend):
        network.backend = backend
        _, _, trace = network(x, lengths, return_states="heads")
        loss = network.penalty(trace).sum()
        return torch.autograd.grad(loss, list(network.cell.parameters()))

    assert_gradients_close(gradients("fused"), gradients("reference"))


@EACH_MEMORY
def test_a_state_from_one_path_is_accepted_by_the_other(memory):
    network = make_kernel_network(memory=memory, controller="gru", n_layers=2)
    x, _ = make_batch(n_steps=6)
    network.backend = "reference"
    whole, _ = network(x)
    _, state = network(x[:, :3])
    network.backend = "fused"
    rest, final = network(x[:, 3:], state=state)
    assert_close(rest, whole[:, 3:], rtol=1e-4, atol=1e-5)
    assert type(final) is type(state)
    for one, other in zip(leaves(final), leaves(state), strict=True):
        assert one.shape == other.shape
