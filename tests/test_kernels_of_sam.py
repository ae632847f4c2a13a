"""The kernel of the sparse access memory gives the reference's results and gradients."""

import math

import numpy as np
import pytest
import torch
from helpers import leaves
from torch.testing import assert_close

from sknt.kernels import engine
from sknt.nn import SequenceNetwork
from sknt.nn.unroll import map_state

pytestmark = pytest.mark.usefixtures("torch_seed")


def make_sam_network(seed=0, **options):
    """Weights of which the heads make much use, in double precision."""
    options = {"hidden_size": 6, "word_size": 4, "memory_size": 9, **options}
    torch.manual_seed(seed)
    network = SequenceNetwork(3, 2, memory="sam", **options).double()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.normal_(std=1.0 if "memory." in name else 0.4)
    return network


def make_batch(n_sequences=4, n_steps=12):
    lengths = torch.randint(1, n_steps + 1, (n_sequences,))
    lengths[0] = n_steps
    return torch.randn(n_sequences, n_steps, 3, dtype=torch.float64), lengths


def random_configuration(seed):
    rng = np.random.RandomState(seed)
    rows = int(rng.choice([3, 4, 7, 20, 65, 130, 300]))
    return {
        "controller": rng.choice(["lstm", "gru", "feedforward"]).item(),
        "memory_size": rows,
        "word_size": int(rng.randint(1, 25)),
        "n_read_heads": int(rng.randint(1, 5)),
        "n_write_heads": int(rng.randint(1, min(rows, 4) + 1)),
        "memory_params": {
            "n_nearest": int(rng.randint(1, min(rows, 9) + 1)),
            "interface_clip": [20.0, 1.5, None][rng.randint(3)],
        },
    }


def floating(state):
    """A state of which all parts have gradients, as far as they are not numbers of rows."""
    names = ("read_rows", "write_rows")
    rows = [getattr(state.memory, name) for name in names]
    state = map_state(lambda part: part.detach().requires_grad_(), state)
    return state._replace(
        memory=state.memory._replace(**dict(zip(names, rows, strict=True)))
    )


def run(network, backend, x, lengths, state=None, traces=True):
    """Return all results, and the gradients of a loss to which each of them contributes."""
    network.backend = backend
    state = None if state is None else floating(state)
    x = x.clone().requires_grad_()
    results = leaves(network(x, lengths, state, return_states=traces))
    generator = torch.Generator().manual_seed(1)
    factors = [torch.randn(r.shape, generator=generator, dtype=r.dtype) for r in results]
    loss = sum(
        (result * factor).sum()
        for result, factor in zip(results, factors, strict=True)
        if result.requires_grad
    )
    wanted = [x, *network.parameters()]
    if state is not None:
        wanted += [part for part in leaves(state) if part.requires_grad]
    gradients = torch.autograd.grad(
        loss, wanted, allow_unused=True, materialize_grads=True, retain_graph=True
    )
    again = torch.autograd.grad(loss, wanted, allow_unused=True, materialize_grads=True)
    return [result.detach() for result in results], gradients, again


def assert_paths_agree(network, x, lengths, state=None):
    expected, gradients, _ = run(network, "reference", x, lengths, state)
    actual, fused, again = run(network, "fused", x, lengths, state)
    assert_close(actual, expected, rtol=1e-9, atol=1e-9)
    for one, other in zip(fused, gradients, strict=True):
        assert_close(one, other, rtol=1e-8, atol=1e-9 * (1 + float(other.abs().max())))
    assert all(map(torch.equal, fused, again))


@pytest.mark.parametrize("seed", range(30))
def test_any_configuration_gives_the_references_results_and_gradients(seed):
    network = make_sam_network(seed, **random_configuration(seed))
    x, lengths = make_batch()
    assert_paths_agree(network, x, lengths)
    with torch.no_grad():
        _, state = network(x)
    assert_paths_agree(network, torch.randn_like(x), lengths, state)


@pytest.mark.parametrize("n_write_heads", [1, 3])
def test_all_rows_can_have_been_accessed(n_write_heads):
    network = make_sam_network(memory_size=5, n_write_heads=n_write_heads)
    x, lengths = make_batch(n_steps=60)
    with torch.no_grad():
        _, state = network(x)
    assert (state.memory.last_access > 0).all()
    assert_paths_agree(network, x, lengths, state)


def test_a_history_of_any_size_is_kept(monkeypatch):
    network = make_sam_network()
    x, lengths = make_batch()
    whole, gradients, _ = run(network, "fused", x, lengths)
    monkeypatch.setattr(engine, "HISTORY_LIMIT", 0)
    results, others, again = run(network, "fused", x, lengths)
    assert all(map(torch.equal, results, whole))
    assert all(map(torch.equal, others, gradients))
    assert all(map(torch.equal, again, gradients))


@pytest.mark.parametrize("seed", range(5))
def test_single_precision_differs_by_rounding(seed):
    network = make_sam_network(seed, **random_configuration(seed)).float()
    x, lengths = make_batch()
    expected, gradients, _ = run(network, "reference", x.float(), lengths)
    actual, fused, _ = run(network, "fused", x.float(), lengths)
    assert_close(actual, expected, rtol=1e-4, atol=1e-4)
    for one, other in zip(fused, gradients, strict=True):
        assert_close(one, other, rtol=1e-3, atol=2e-4 * (1e-3 + float(other.abs().max())))


def test_a_run_can_be_split_anywhere():
    network = make_sam_network(n_read_heads=2, n_write_heads=2)
    x, _ = make_batch(n_steps=30)
    with torch.no_grad():
        whole, final = network(x)
        for cut in (1, 7, 29):
            first, state = network(x[:, :cut])
            rest, other_final = network(x[:, cut:], state=state)
            assert torch.equal(torch.cat([first, rest], dim=1), whole)
            assert all(map(torch.equal, leaves(other_final), leaves(final)))


def test_a_new_state_may_be_given():
    network = make_sam_network()
    x, lengths = make_batch()
    new = network.initial_state(len(x))
    filled = map_state(torch.clone, new)  # no longer one zero at all places
    with torch.no_grad():
        expected = leaves(network(x, lengths))
        for state in (new, filled):
            assert all(map(torch.equal, leaves(network(x, lengths, state)), expected))


def write_the_same_everywhere(network):
    """Let each step write the same vector to a new row, with a weight of exactly 1."""
    memory = network.cell.memory
    with torch.no_grad():
        memory.projection.weight.zero_()
        parts = memory._split(memory.projection.bias)
        parts.add.uniform_(-2, 2)
        parts.key.copy_(parts.add)
        parts.strength.fill_(3.0)
        parts.write_gate.fill_(50.0)
        parts.interpolation_gate.fill_(-800.0)


@pytest.mark.parametrize("word_size", [1, 13, 20])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_of_equal_rows_the_lowest_are_the_nearest(word_size, dtype):
    memory_params = {"interface_clip": None, "n_nearest": 4}
    network = make_sam_network(
        memory_size=150, word_size=word_size, memory_params=memory_params
    )
    write_the_same_everywhere(network)
    network = network.to(dtype)
    x = torch.randn(1, 140, 3, dtype=dtype)
    with torch.no_grad():
        _, state, trace = network(x, return_states=True)
    # The first step reads rows 1 to 3 as well, so they are not written for a long time.
    memory = state.memory.memory[0]
    assert (memory[4:143] == memory[0]).all()
    assert memory[1:4].abs().max() < 1e-20
    rows = trace.states.memory.read_rows[0, 3:, 0]
    assert (rows == torch.tensor([0, 4, 5, 6])).all()


@pytest.mark.parametrize("where", ["key", "add", "strength", "write_gate"])
def test_nan_passes_through_as_in_the_reference(where):
    network = make_sam_network()
    with torch.no_grad():
        getattr(network.cell.memory._split(network.cell.memory.projection.bias), where)[
            ..., 0
        ] = math.nan
    x, lengths = make_batch()
    expected, gradients, _ = run(network, "reference", x, lengths)
    actual, fused, _ = run(network, "fused", x, lengths)
    assert_close(actual, expected, equal_nan=True)
    for one, other in zip(fused, gradients, strict=True):
        assert one.isnan().any() == other.isnan().any()


@pytest.mark.parametrize("value", [math.nan, -1.0, 9.0, 1e30, math.inf])
def test_numbers_that_are_no_rows_are_refused_and_no_steps_harmless(value):
    network = make_sam_network()
    x, lengths = make_batch()
    with torch.no_grad():
        _, state = network(x)
        for name in ("read_rows", "write_rows", "last_access", "step"):
            bad = torch.full_like(getattr(state.memory, name), value)
            given = state._replace(memory=state.memory._replace(**{name: bad}))
            if name.endswith("rows"):
                with pytest.raises(ValueError, match=f"state.memory.{name} holds numbers"):
                    network(x, lengths, given)
            else:
                assert network(x, lengths, given)[0].isfinite().all()


def test_what_is_kept_of_the_steps_does_not_grow_with_the_rows(monkeypatch):
    sizes = []
    take = engine.buffers.take
    monkeypatch.setattr(
        engine.buffers, "take", lambda n, dtype: sizes.append(n) or take(n, dtype)
    )
    taken = []
    for rows in (128, 128 + 10_000):
        network = make_sam_network(memory_size=rows, word_size=20)
        sizes.clear()
        network(make_batch()[0])[0].sum().backward()
        taken.append(sum(sizes))
    # Only the cosines of one step do, in the scratch of the two passes.
    assert taken[1] - taken[0] <= 2 * 10_000 + 64


def test_large_arrays_of_zeros_are_zeros_and_private_to_the_process():
    shape = (engine.buffers.LARGE_BYTES // 16, 3)
    for dtype in (np.float32, np.float64):
        zeros = engine.buffers.zeros(shape, dtype)
        assert zeros.shape == shape
        assert zeros.dtype == dtype
        assert not zeros.any()
        zeros += 1
        assert not engine.buffers.zeros(shape, dtype).any()
