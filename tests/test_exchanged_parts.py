"""Networks whose parts were exchanged, wrapped or listened to compute what torch would."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from sknt.memories import MEMORIES, NTMMemory
from sknt.nn import SequenceNetwork
from sknt.nn.cell import MemoryCell

SIZES = {"memory_size": 8, "word_size": 6, "hidden_size": 7, "n_read_heads": 2}


class Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


class OwnCell(MemoryCell):
    def step(self, inputs, state):
        return super().step(-inputs, state)


class OwnStart(SequenceNetwork):
    def initial_state(self, batch_size):
        state = super().initial_state(batch_size)
        return state._replace(reads=state.reads + 1)


def no_gradient(module, given, gradient):
    return (torch.zeros_like(given[0]),)


def double(module, inputs, outputs):
    return 2 * outputs


def exchange(number, layer):
    return lambda network: network.cell.controller.__setitem__(number, layer())


def exchange_readout(make):
    def change(network):
        network.readout = make(network.readout)

    return change


def give_own_forward(network):
    forward = network.readout.forward
    network.readout.forward = lambda x: 2 * forward(x)


def give_class(kind):
    def change(network):
        (network if kind is OwnStart else network.cell).__class__ = kind

    return change


OF_FEED_FORWARD = {
    "another activation": exchange(1, nn.ReLU),
    "an activation less": lambda n: n.cell.controller.append(nn.Linear(7, 7)),
    "a linear layer of its own": exchange(2, lambda: Doubled(7, 7)),
    "a layer without bias": exchange(2, lambda: nn.Linear(7, 7, bias=False)),
    "a hook": lambda n: n.cell.controller[0].register_forward_hook(double),
    "a hook of an activation": lambda n: n.cell.controller[1].register_forward_hook(double),
    "a weight norm": lambda n: parametrizations.weight_norm(n.cell.controller[0]),
}
OF_LSTM = {
    "a backward hook": lambda n: n.readout.register_full_backward_hook(no_gradient),
    "a backward hook of the projection": lambda n: (
        n.cell.memory.projection.register_full_backward_hook(no_gradient)
    ),
    "a readout without bias": exchange_readout(lambda _: nn.Linear(19, 2, bias=False)),
    "a readout of two layers": exchange_readout(lambda r: nn.Sequential(r, nn.Tanh())),
    "a forward of its own": give_own_forward,
    "a cell of its own": give_class(OwnCell),
    "a start of its own": give_class(OwnStart),
}


def results(network, backend):
    network.backend = backend
    network.zero_grad()
    x = torch.randn(3, 5, 3, generator=torch.Generator().manual_seed(0))
    outputs = network(x, [5, 2, 4])[0]
    outputs.square().sum().backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    return [outputs, *gradients]


@pytest.mark.parametrize(
    ("controller", "change"),
    [
        *(pytest.param("feedforward", f, id=name) for name, f in OF_FEED_FORWARD.items()),
        *(pytest.param("lstm", f, id=name) for name, f in OF_LSTM.items()),
    ],
)
def test_a_changed_network_computes_what_the_reference_path_does(controller, change):
    torch.manual_seed(0)
    network = SequenceNetwork(3, 2, **SIZES, controller=controller, n_layers=2)
    results(network, "auto")  # so that something is known of it
    change(network)
    ours, expected = results(network, "auto"), results(network, "reference")
    for result, wanted in zip(ours, expected, strict=True):
        torch.testing.assert_close(result, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("memory", ["ntm", "dnc", "dntm", "sam", None])
@pytest.mark.parametrize("controller", ["lstm", "gru", "feedforward"])
def test_a_network_as_it_is_built_is_served_by_the_kernels(memory, controller):
    network = SequenceNetwork(3, 2, **SIZES, memory=memory, controller=controller)
    assert network.backend_for(torch.zeros(1, 2, 3)) == "fused"


@pytest.mark.parametrize("controller", ["lstm", "gru"])
def test_weights_that_are_no_parameters_are_read_anew(controller):
    torch.manual_seed(0)
    network = SequenceNetwork(3, 2, **SIZES, controller=controller)
    weight = network.cell.controller.weight_hh_l0.detach()
    del network.cell.controller.weight_hh_l0
    x = torch.randn(2, 5, 3)
    for factor in (1, -2):
        network.cell.controller.weight_hh_l0 = factor * weight
        outputs = []
        for network.backend in ("auto", "reference"):
            outputs.append(network(x)[0])
        torch.testing.assert_close(*outputs, rtol=1e-4, atol=1e-5)


def test_a_parametrized_weight_is_computed_anew():
    torch.manual_seed(0)
    network = SequenceNetwork(3, 2, **SIZES, controller="feedforward")
    parametrizations.weight_norm(network.cell.controller[0])
    x = torch.randn(2, 5, 3)
    with torch.no_grad():
        before = network(x)[0]
        network.cell.controller[0].parametrizations.weight.original0.mul_(3)
        assert not torch.allclose(network(x)[0], before)


def test_a_kernel_that_does_not_fit_another_memory_is_refused(monkeypatch):
    SequenceNetwork(3, 2, **SIZES)(torch.zeros(1, 2, 3))

    class Slim(NTMMemory):
        kernel = NTMMemory.kernel
        bulky = ()

    monkeypatch.setitem(MEMORIES, "slim", Slim)
    network = SequenceNetwork(3, 2, **SIZES, memory="slim")
    with pytest.raises(TypeError, match=r"with 1 bulky.*Slim.bulky is \(\)"):
        network(torch.zeros(1, 2, 3))
