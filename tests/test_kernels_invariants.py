"""What must not matter to the kernels: threads, batches, kept history, limits."""

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

from sknt.kernels import blocks, engine

pytestmark = pytest.mark.usefixtures("torch_seed")


@EACH_PAIR
def test_a_recomputed_history_gives_the_same_to_the_bit(monkeypatch, memory, controller):
    network = make_kernel_network(
        memory=memory, controller=controller, n_layers=2, n_write_heads=2
    )
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
@EACH_MEMORY
def test_the_number_of_threads_does_not_change_a_bit(
    monkeypatch, memory, n_sequences, limit
):
    monkeypatch.setattr(engine, "HISTORY_LIMIT", limit)
    network = make_kernel_network(memory=memory, memory_size=20, n_read_heads=2)
    x, lengths = make_batch(n_sequences, 12)
    results = []
    for n in (1, 2, 3):
        monkeypatch.setattr(blocks, "n_threads", lambda n=n: n)
        results.append(results_and_gradients(network, "fused", x, lengths, traces=True))
    assert_same(results[0], results[1])
    assert_same(results[0], results[2])


@EACH_MEMORY
def test_the_rest_of_a_batch_does_not_change_a_bit_of_an_output(memory):
    network = make_kernel_network(memory=memory, hidden_size=21, word_size=5)
    x, lengths = make_batch(n_sequences=37, n_steps=9)
    with torch.no_grad():
        outputs, _ = network(x, lengths)
        for i in range(len(x)):
            alone, _ = network(x[i : i + 1, : lengths[i]])
            assert torch.equal(alone[0], outputs[i, : lengths[i]])


@pytest.mark.parametrize("limit", [0, engine.HISTORY_LIMIT])
@EACH_MEMORY
def test_passes_that_overlap_do_not_disturb_each_other(monkeypatch, memory, limit):
    monkeypatch.setattr(engine, "HISTORY_LIMIT", limit)
    network = make_kernel_network(memory=memory)
    batches = [make_batch(), make_batch()]
    parameters = list(network.parameters())
    expected = [
        torch.autograd.grad(network(*batch)[0].sum(), parameters, allow_unused=True)
        for batch in batches
    ]
    losses = [network(*batch)[0].sum() for batch in batches]
    for loss, gradients in zip(losses, expected, strict=True):
        assert_close(torch.autograd.grad(loss, parameters, allow_unused=True), gradients)


@EACH_MEMORY
def test_a_second_backward_pass_gives_the_same_gradients(memory):
    network = make_kernel_network(memory=memory)
    parameters = list(network.parameters())
    loss = network(*make_batch())[0].square().sum()
    first = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    second = torch.autograd.grad(loss, parameters, allow_unused=True)
    assert_close(second, first, rtol=1e-5, atol=1e-6)


@EACH_MEMORY
def test_two_halves_give_what_the_whole_gives(memory):
    network = make_kernel_network(memory=memory, n_read_heads=2, n_write_heads=2).double()
    x = torch.randn(4, 10, 3, dtype=torch.float64)
    parameters = list(network.parameters())
    whole, final = network(x)
    first, state = network(x[:, :6])
    second, last = network(x[:, 6:], state=state)
    assert_close(torch.cat([first, second], dim=1), whole)
    for one, other in zip(leaves(last), leaves(final), strict=True):
        assert_close(one, other)
    expected = torch.autograd.grad(whole.square().sum(), parameters)
    halves = first.square().sum() + second.square().sum()
    assert_close(torch.autograd.grad(halves, parameters), expected)


@pytest.mark.parametrize("limit", [0, engine.HISTORY_LIMIT])
@EACH_MEMORY
def test_nan_stays_in_its_sequence_from_its_step_on(monkeypatch, memory, limit):
    monkeypatch.setattr(engine, "HISTORY_LIMIT", limit)
    network = make_kernel_network(memory=memory, n_write_heads=2)
    x, lengths = make_batch(n_steps=6)
    lengths[:] = 6
    clean, _ = network(x, lengths)
    x[1, 3, 0] = float("nan")
    outputs, _ = network(x, lengths)
    affected = torch.zeros(outputs.shape, dtype=torch.bool)
    affected[1, 3:] = True
    assert torch.equal(outputs[~affected], clean[~affected])
    assert outputs[affected].isnan().all()
    outputs.sum().backward()
    assert all(p.grad.isnan().any() for p in network.cell.controller.parameters())


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
    with pytest.raises(RuntimeError, match="use a network with backend='reference'"):
        gradient.sum().backward()


@EACH_MEMORY
def test_gradients_of_gradients_are_refused_though_the_outputs_gradient_has_none(memory):
    network, (x, lengths) = make_kernel_network(memory=memory), make_batch()
    x.requires_grad_()
    outputs, _ = network(x, lengths)
    gradient = torch.autograd.grad(outputs.sum(), x, create_graph=True)[0]
    assert gradient.requires_grad
    with pytest.raises(RuntimeError, match="use a network with backend='reference'"):
        gradient.norm().backward()
    with pytest.raises(RuntimeError, match="use a network with backend='reference'"):
        torch.autograd.functional.hessian(lambda x: network(x, lengths)[0].sum(), x)


def test_a_graph_of_gradients_that_nobody_differentiates_changes_nothing():
    network = make_kernel_network()
    x, lengths = make_batch()
    plain, with_graph = (
        torch.autograd.grad(
            network(x, lengths)[0].sum(),
            [*network.parameters()],
            create_graph=creates,
            allow_unused=True,
        )
        for creates in (False, True)
    )
    for one, other in zip(with_graph, plain, strict=True):
        assert one is other is None or torch.equal(one, other)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("spread", [1e-20, 1.0, 1e3])
@EACH_MEMORY
def test_neither_large_nor_small_numbers_give_nan(memory, scale, spread):
    network = make_kernel_network(memory=memory, memory_params={"interface_clip": None})
    with torch.no_grad():
        for parameter in network.cell.parameters():
            parameter.mul_(spread)
    x, lengths = make_batch()
    results, gradients = results_and_gradients(network, "fused", x * scale, lengths)
    assert all(result.isfinite().all() for result in results)
    if scale * spread < 1e20:  # beyond this, the weights' gradients overflow anyway
        assert all(not gradient.isnan().any() for gradient in gradients)
