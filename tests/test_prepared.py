"""A network prepared for many batches: the same results, nothing done twice or stale."""

import copy
import itertools

import pytest
import torch
from helpers import leaves
from network_helpers import WITH_KERNEL

from sknt.kernels import engine
from sknt.kernels.engine import make_plan
from sknt.nn import CONTROLLERS, SequenceNetwork

NETWORKS = pytest.mark.parametrize(
    ("memory", "backend"),
    [
        *itertools.product(WITH_KERNEL, ["fused", "reference"]),
        (None, "reference"),
    ],
)
LENGTHS = torch.tensor([3, 5, 1, 4])


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def make_network(memory="ntm", backend="auto", **options):
    sizes = {"memory_size": 6, "word_size": 4, "hidden_size": 5}
    return SequenceNetwork(3, 2, memory=memory, backend=backend, **(sizes | options))


def assert_same(actual, expected):
    assert all(map(torch.equal, leaves(actual), leaves(expected)))
    assert len(leaves(actual)) == len(leaves(expected))


@pytest.mark.parametrize("controller", CONTROLLERS)
@pytest.mark.parametrize("n_layers", [1, 2])
def test_a_controller_alone_goes_through_the_kernels(controller, n_layers):
    network = make_network(None, "auto", controller=controller, n_layers=n_layers)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.5)
    assert network.prepare().backend == "fused"
    for dtype in (torch.float32, torch.float64):
        network.to(dtype)
        prepared = network.prepare()
        x = torch.randn(4, 5, 3, dtype=dtype)
        with torch.no_grad():
            network.backend = "reference"
            expected = network(x, LENGTHS)
            goes_on = network(x, state=expected[1])
            network.backend = "auto"
        actual = prepared(x, LENGTHS)
        torch.testing.assert_close(actual, expected)
        torch.testing.assert_close(prepared(x, state=expected[1]), goes_on)
        for i, n_steps in enumerate(LENGTHS):
            alone, _ = prepared(x[i : i + 1, :n_steps])
            assert torch.equal(alone[0], actual[0][i, :n_steps])


def test_a_controller_alone_can_be_kept_off_the_kernels():
    network = make_network(None, "reference")
    assert network.prepare().backend == "reference"


@pytest.mark.parametrize("traces", [False, "heads", True])
@pytest.mark.parametrize("controller", CONTROLLERS)
@NETWORKS
def test_a_batch_gives_the_same_to_the_bit(memory, backend, controller, traces):
    network = make_network(memory, backend, controller=controller, n_layers=2)
    prepared = network.prepare()
    for _ in range(2):
        x = torch.randn(4, 5, 3)
        with torch.no_grad():
            expected = network(x, LENGTHS, return_states=traces)
            goes_on = network(x, state=expected[1])
        assert_same(prepared(x, LENGTHS, return_states=traces), expected)
        assert_same(prepared(x, state=expected[1]), goes_on)


@NETWORKS
def test_there_are_no_gradients(memory, backend):
    prepared = make_network(memory, backend).prepare()
    x = torch.randn(4, 5, 3, requires_grad=True)
    assert not any(leaf.requires_grad for leaf in leaves(prepared(x, return_states=True)))


@NETWORKS
def test_path_and_weights_are_determined_once_for_many_batches(
    monkeypatch, memory, backend
):
    calls = []

    def counting(name, function):
        def counted(*args, **kwargs):
            calls.append(name)
            return function(*args, **kwargs)

        return counted

    network = make_network(memory, backend)
    choose = counting("path", SequenceNetwork.backend_for)
    monkeypatch.setattr(SequenceNetwork, "backend_for", choose)
    monkeypatch.setattr(engine, "Weights", counting("weights", engine.Weights))
    prepared = network.prepare()
    for _ in range(3):
        prepared(torch.randn(4, 5, 3))
    assert calls == (["path", "weights"] if backend == "fused" else ["path"])


def test_sizes_are_worked_out_once_for_networks_of_one_structure():
    make_network()(torch.zeros(1, 2, 3))
    before = make_plan.cache_info().misses
    make_network()(torch.zeros(4, 5, 3))
    assert make_plan.cache_info().misses == before
    make_network(memory_params={"add_activation": "linear"})(torch.zeros(1, 2, 3))
    assert make_plan.cache_info().misses == before + 1


CHANGES = {
    "in place": lambda p: p.mul_(1.5),
    "by data": lambda p: p.data.mul_(1.5),
    "of data": lambda p: setattr(p, "data", 1.5 * p.data),
    "through numpy": lambda p: p.numpy().__imul__(1.5),
}


@pytest.mark.parametrize("change", CHANGES)
@torch.no_grad()
@NETWORKS
def test_no_change_of_a_weight_is_overlooked(memory, backend, change):
    network, x = make_network(memory, backend), torch.randn(4, 5, 3)
    before, _ = network(x)
    network.prepare()(x)
    for parameter in network.parameters():
        CHANGES[change](parameter)
    after, _ = network(x)
    assert not torch.allclose(after, before)
    fresh = make_network(memory, backend)
    fresh.load_state_dict(copy.deepcopy(network.state_dict()))
    assert torch.equal(fresh(x)[0], after)
    assert torch.equal(network.prepare()(x)[0], after)
    network.backend = "auto"  # through the kernels, whatever it is
    close = {"rtol": 1e-4, "atol": 1e-4}  # rounding, which large strengths amplify
    assert not torch.allclose(after, before, **close)
    torch.testing.assert_close(network.prepare()(x)[0], after, **close)


def test_subclasses_and_hooks_are_not_bypassed():
    class Doubled(SequenceNetwork):
        def forward(self, *args, **kwargs):
            outputs, *rest = super().forward(*args, **kwargs)
            return 2 * outputs, *rest

    x = torch.randn(4, 5, 3)
    doubled = Doubled(3, 2, memory_size=6)
    assert torch.equal(doubled.prepare()(x)[0], doubled(x)[0])
    hooked = make_network()
    hooked.register_forward_hook(lambda module, args, results: (-results[0], results[1]))
    assert torch.equal(hooked.prepare()(x)[0], hooked(x)[0])


def test_batches_are_checked_as_the_networks_own():
    prepared = make_network().prepare()
    with pytest.raises(ValueError, match=r"x is float64.*x.to\(torch.float32\)"):
        prepared(torch.zeros(2, 4, 3, dtype=torch.float64))
    with pytest.raises(ValueError, match="lengths range from 1 to 9"):
        prepared(torch.zeros(2, 4, 3), [1, 9])


@pytest.mark.parametrize("lengths", [[5], [5, 5, 5], [5, 3, 3], [3, 5, 1]])
@NETWORKS
def test_the_order_of_a_batch_changes_nothing(memory, backend, lengths):
    network = make_network(memory, backend).double()
    x = torch.randn(len(lengths), 5, 3, dtype=torch.float64)
    results = network(x, lengths, return_states=True)
    others = network(x.flip(0), lengths[::-1], return_states=True)
    for one, other in zip(leaves(results), leaves(others), strict=True):
        torch.testing.assert_close(other.flip(0), one, rtol=0, atol=1e-12)
