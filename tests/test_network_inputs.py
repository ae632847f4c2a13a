"""A network's arguments: sequences, lengths, states and sizes, checked on both paths."""

import numpy as np
import pytest
import torch

from sknt import NTMSequenceClassifier
from sknt.nn import CONTROLLERS, SequenceNetwork, sizes
from sknt.nn.unroll import map_state

BACKENDS = pytest.mark.parametrize("backend", ["reference", "fused"])
SMALL = {"memory_size": 6, "word_size": 4, "hidden_size": 5}


def make_network(backend="auto", **options):
    return SequenceNetwork(3, 2, backend=backend, **(SMALL | options))


# States


@BACKENDS
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"controller": "gru"}, "state.controller is of type GRUState, expected LSTMState"),
        (
            {"controller": "feedforward"},
            "state.controller is of type NoState, expected LSTM",
        ),
        ({"memory": None}, "state is of type LSTMState, expected CellState"),
        (
            {"memory_size": 9},
            r"state.memory.memory has shape \(2, 9, 4\), expected \(2, 6, 4\)",
        ),
        ({"memory_size": 1, "word_size": 1, "memory_params": {"shift_range": 0}}, "shape"),
        ({"word_size": 1}, r"state.reads has shape \(2, 1, 1\), expected \(2, 1, 4\)"),
        ({"n_read_heads": 3}, r"state.reads has shape \(2, 3, 4\), expected \(2, 1, 4\)"),
        ({"n_write_heads": 2}, r"write_weights has shape \(2, 2, 6\)"),
        ({"hidden_size": 7}, r"state.controller.hidden has shape \(2, 1, 7\)"),
        ({"n_layers": 2}, r"state.controller.hidden has shape \(2, 2, 5\)"),
    ],
)
def test_the_state_of_another_network_is_refused(backend, options, message):
    x = torch.zeros(2, 4, 3)
    _, state = make_network(**options)(x)
    with pytest.raises(ValueError, match=f"(?s)state does not fit.*{message}.*or None"):
        make_network(backend)(x, state=state)


@BACKENDS
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: map_state(torch.Tensor.double, s), "is of float64, expected float32"),
        (lambda s: map_state(torch.Tensor.half, s), "is of float16, expected float32"),
        (lambda s: map_state(lambda t: t.to("meta"), s), "is on meta, expected cpu"),
        (
            lambda s: s._replace(reads=s.reads.numpy()),
            "reads is of type ndarray, .* Tensor",
        ),
        (
            lambda s: s._replace(reads=None),
            "state.reads is of type NoneType, expected Tensor",
        ),
        (lambda s: s._replace(reads=s.reads[0, 0, 0]), r"reads has shape \(\)"),
        (lambda s: tuple(s), "state is of type tuple, expected CellState"),
        (lambda s: s.memory, "state is of type NTMState, expected CellState"),
        (lambda s: s._replace(memory=s.controller), "state.memory is of type LSTMState"),
        (lambda s: torch.zeros(2), "state is of type Tensor, expected CellState"),
        (
            lambda s: s._replace(reads=s.reads[:1]),
            "state is of 1 sequences, but x has 2",
        ),
    ],
)
def test_a_state_of_another_kind_is_refused(backend, change, message):
    network, x = make_network(backend), torch.zeros(2, 4, 3)
    with torch.no_grad():
        _, state = network(x)
    with pytest.raises(ValueError, match=message):
        network(x, state=change(state))


@pytest.mark.parametrize("memory", ["ntm", None])
@pytest.mark.parametrize("controller", CONTROLLERS)
def test_a_networks_own_states_are_taken_in_its_precision(memory, controller):
    for dtype in (torch.float32, torch.float64):
        network = make_network(memory=memory, controller=controller).to(dtype)
        x = torch.zeros(2, 4, 3, dtype=dtype)
        _, state, trace = network(x, return_states=True)
        network(x, state=state)
        network(x, state=network.initial_state(2))
        network(x, state=map_state(lambda s: s[:, 1], trace.states))


# Sequences


@BACKENDS
def test_inputs_of_another_kind_are_refused_with_advice(backend):
    network, x = make_network(backend), torch.zeros(2, 4, 3)
    with pytest.raises(ValueError, match=r"x is float64.*x.to\(torch.float32\), or net"):
        network(x.double())
    with pytest.raises(ValueError, match=r"x is int64.*x.to\(torch.float32\)$"):
        network(x.long())
    for wrong in (x.numpy(), x.tolist(), None):
        with pytest.raises(
            TypeError, match=r"x is of type .*torch.as_tensor\(x, dtype=torch.fl"
        ):
            network(wrong)
    with pytest.raises(ValueError, match=r"x is on meta, but the network is on cpu.*'cpu'"):
        network(x.to("meta"))


@BACKENDS
def test_inputs_may_require_a_gradient(backend):
    x = torch.randn(2, 4, 3, requires_grad=True)
    make_network(backend)(x)[0].sum().backward()
    assert (x.grad != 0).any()


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_the_bare_controller_takes_inputs_of_either_precision_under_autocast(controller):
    network = make_network(memory=None, controller=controller)
    x = torch.randn(2, 4, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs, state = network(x.bfloat16())
        network(x.bfloat16(), state=state)
    torch.testing.assert_close(outputs.float(), network(x)[0], rtol=0.1, atol=0.1)


# Lengths


@BACKENDS
@pytest.mark.parametrize(
    "kind",
    [
        list,
        tuple,
        np.array,
        lambda n: np.array(n, np.uint16),
        lambda n: np.array(n, np.uint64),
        lambda n: np.array(n, ">i4"),
        lambda n: torch.tensor(n, dtype=torch.int8),
        lambda n: torch.tensor(n, dtype=torch.uint8),
        lambda n: torch.tensor(n, dtype=torch.uint16),
        lambda n: torch.tensor(n, dtype=torch.uint64),
    ],
)
def test_lengths_are_integers_of_any_kind(backend, kind):
    network, x = make_network(backend), torch.randn(3, 4, 3)
    expected = network(x, torch.tensor([4, 1, 2]))[0]
    assert torch.equal(network(x, kind([4, 1, 2]))[0], expected)


def test_lengths_that_cannot_be_written_to_are_taken_without_a_warning():
    lengths = np.array([4, 1, 2])
    lengths.flags.writeable = False
    make_network()(torch.randn(3, 4, 3), lengths)


@BACKENDS
@pytest.mark.parametrize(
    "lengths",
    [
        [True, True, True],
        torch.tensor([True, True, True]),
        np.array([True, True, True]),
        [4.0, 1.0, 2.0],
        torch.tensor([4, 1, 2], dtype=torch.complex64),
        ["4", "1", "2"],
        [None, 1, 2],
        [[4], [1, 2]],
        4,
        [4, 1],
    ],
)
def test_lengths_of_another_kind_are_refused(backend, lengths):
    with pytest.raises(ValueError, match="one integer for each sequence"):
        make_network(backend)(torch.zeros(3, 4, 3), lengths)


@pytest.mark.parametrize("lengths", [[2**63, 1, 1], [0, 1, 1], [5, 1, 1], [-1, 1, 1]])
def test_lengths_out_of_range_are_refused(lengths):
    kind = np.uint64 if max(lengths) > 2**62 else np.int64
    with pytest.raises(ValueError, match="use 1 to 4"):
        make_network()(torch.zeros(3, 4, 3), np.array(lengths, kind))


# Sizes


@pytest.mark.parametrize(
    ("too_large", "message"),
    [
        ({"memory_size": 10**9}, "most of it for memory_size=1000000000 and word_size=20"),
        ({"memory_size": 10**20}, "most of it for memory_size"),
        ({"word_size": 10**10}, "word_size=10000000000"),
        ({"hidden_size": 10**7}, "most of it for hidden_size=10000000 and n_layers=1"),
        ({"n_read_heads": 10**10}, "n_read_heads=10000000000"),
        ({"n_write_heads": 10**10}, "n_write_heads=10000000000"),
        ({"n_inputs": 10**11}, "n_inputs=100000000000"),
        ({"n_outputs": 10**11}, "n_outputs=100000000000"),
    ],
)
def test_a_network_larger_than_the_machine_is_refused_before_it_is_built(
    monkeypatch, too_large, message
):
    monkeypatch.setattr(sizes, "machine_memory", lambda: 16 * 2**30)
    with pytest.raises(ValueError, match=f"would take .* GiB.*{message}.*has 16.0 GiB"):
        SequenceNetwork(**{"n_inputs": 3, "n_outputs": 2, **too_large})


def test_a_state_larger_than_the_machine_is_refused(monkeypatch):
    monkeypatch.setattr(sizes, "machine_memory", lambda: 16 * 2**30)
    message = (
        r"one sequence with memory_size=100000 would take 37.3 GiB, most of it for its "
        r"links of shape \(1, 100000, 100000\).*16.0 GiB.*memory='sam'"
    )
    with pytest.raises(ValueError, match=message):
        SequenceNetwork(3, 2, memory="dnc", memory_size=100_000)
    SequenceNetwork(3, 2, memory="dnc", memory_size=10_000)


def test_the_size_of_a_network_is_counted_right():
    network = SequenceNetwork(
        3000, 4000, memory_size=9000, word_size=500, hidden_size=1500, n_layers=2
    )
    n_numbers = sum(p.numel() for p in network.parameters())
    n_numbers += sum(b.numel() for b in network.buffers())
    counted = sum(
        sizes._count_numbers(
            sizes.NetworkSizes(3000, 4000, 9000, 500, 1, 1, 1500, 2), has_memory=True
        ).values()
    )
    assert counted < n_numbers < 8 * counted


def test_without_a_memory_its_sizes_do_not_count(monkeypatch):
    monkeypatch.setattr(sizes, "machine_memory", lambda: 2**30)
    SequenceNetwork(3, 2, memory=None, memory_size=10**12, word_size=10**12)


def test_this_machines_memory_is_known_and_limited():
    assert 2**28 < sizes.machine_memory() < 2**60


@pytest.mark.parametrize("sizes", [{"memory_size": 10**12}, {"n_layers": 10**5}])
def test_a_fit_with_sizes_out_of_reach_leaves_the_estimator_as_it_was(sizes):
    name, size = next(iter(sizes.items()))
    model = NTMSequenceClassifier(**sizes)
    with pytest.raises(ValueError, match=f"{name}={size}"):
        model.fit(np.zeros((4, 3, 2)), [0, 1, 0, 1])
    assert not hasattr(model, "net_")


@pytest.mark.parametrize("memory", ["ntm", None])
@pytest.mark.parametrize("controller", CONTROLLERS)
def test_too_many_layers_are_refused_before_they_are_built(memory, controller):
    with pytest.raises(ValueError, match="n_layers=100000 is more than 1000; use fewer"):
        SequenceNetwork(3, 2, memory=memory, controller=controller, n_layers=10**5)
