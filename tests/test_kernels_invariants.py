"""What must not matter to the kernels: threads, batches, kept history, limits."""

import pytest
import torch
from kernel_helpers import (
    assert_gradients_close,
    assert_same,
    make_batch,
    make_kernel_network,
    results_and_gradients,
)
from torch.testing import assert_close

from sknt.kernels import blocks, engine

pytestmark = pytest.mark.usefixtures("torch_seed")


@pytest.mark.parametrize("controller", ["lstm", "gru", "feedforward"])
def test_a_recomputed_history_gives_the_same_to_the_bit(monkeypatch, controller):
    network = make_kernel_network(controller=controller, n_layers=2, n_write_heads=2)
    x, lengths = make_batch(n_sequences=9, n_steps=23)
    kept = results_and_gradients(network, "fused", x, lengths, traces=True)
    monkeypatch.setattr(engine, "HISTORY_LIMIT", 0)
    again = results_and_gradients(network, "fused", x, lengths, traces=True)
    assert all(map(torch.equal, kept[0], again[0]))
    assert torch.equal(kept[1][0], again[1][0])  # of the inputs
    # Weights' gradients are summed in other portions.
    assert_gradients_close(again[1], kept[1], 1e-6)


@pytest.mark.parametrize("n_sequences", [1, 5, 40])
@pytest.mark.parametrize("limit", [0, engine.HISTORY_LIMIT])
def test_the_number_of_threads_does_not_change_a_bit(monkeypatch, n_sequences, limit):
    monkeypatch.setattr(engine, "HISTORY_LIMIT", limit)
    network = make_kernel_network(memory_size=20, n_read_heads=2)
    x, lengths = make_batch(n_sequences, 12)
    results = []
    for n in (1, 2, 3):
        monkeypatch.setattr(blocks, "n_threads", lambda n=n: n)
        results.append(results_and_gradients(network, "fused", x, lengths, traces=True))
    assert_same(results[0], results[1])
    assert_same(results[0], results[2])


def test_the_rest_of_a_batch_does_not_change_a_bit_of_an_output():
    network = make_kernel_network(hidden_size=21, word_size=5)
    x, lengths = make_batch(n_sequences=37, n_steps=9)
    with torch.no_grad():
        outputs, _ = network(x, lengths)
        for i in range(len(x)):
            alone, _ = network(x[i : i + 1, : lengths[i]])
            assert torch.equal(alone[0], outputs[i, : lengths[i]])


@pytest.mark.parametrize("limit", [0, engine.HISTORY_LIMIT])
def test_passes_that_overlap_do_not_disturb_each_other(monkeypatch, limit):
    monkeypatch.setattr(engine, "HISTORY_LIMIT", limit)
    network = make_kernel_network()
    batches = [make_batch(), make_batch()]
    parameters = list(network.parameters())
    expected = [
        torch.autograd.grad(network(*batch)[0].sum(), parameters, allow_unused=True)
        for batch in batches
    ]
    losses = [network(*batch)[0].sum() for batch in batches]
    for loss, gradients in zip(losses, expected, strict=True):
        assert_close(torch.autograd.grad(loss, parameters, allow_unused=True), gradients)


def test_a_second_backward_pass_gives_the_same_gradients():
    network = make_kernel_network()
    parameters = list(network.parameters())
    loss = network(*make_batch())[0].square().sum()
    first = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    second = torch.autograd.grad(loss, parameters, allow_unused=True)
    assert_close(second, first, rtol=1e-5, atol=1e-6)


def test_parameters_changed_between_the_passes_are_noticed():
    network = make_kernel_network()
    outputs, _ = network(*make_batch())
    with torch.no_grad():
        network.readout.weight.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        outputs.sum().backward()


def test_gradients_of_gradients_are_refused():
    network = make_kernel_network()
    outputs, _ = network(*make_batch())
    gradient = torch.autograd.grad(
        outputs.square().sum(), network.readout.weight, create_graph=True
    )[0]
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("spread", [1e-20, 1.0, 1e3])
def test_neither_large_nor_small_numbers_give_nan(scale, spread):
    network = make_kernel_network(memory_params={"interface_clip": None})
    with torch.no_grad():
        for parameter in network.cell.parameters():
            parameter.mul_(spread)
    x, lengths = make_batch()
    results, gradients = results_and_gradients(network, "fused", x * scale, lengths)
    assert all(result.isfinite().all() for result in results)
    if scale * spread < 1e20:  # beyond this, the weights' gradients overflow anyway
        assert all(not gradient.isnan().any() for gradient in gradients)
