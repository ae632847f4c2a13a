"""What is special to the D-NTM's kernel: choices, addresses, hops and usage.

The reference in torch is itself compared with an independent loop, in
:mod:`test_dntm_equations`.
"""

import numpy as np
import pytest
import torch
from dntm_helpers import make_dntm, with_keys
from helpers import leaves
from kernel_helpers import compiled
from torch.testing import assert_close

from sknt.kernels import engine
from sknt.kernels.memories import _dntm_choice as choice
from sknt.nn.unroll import map_state
from sknt.ops.draws import LIMIT, choose, make_keys, uniforms

pytestmark = pytest.mark.usefixtures("torch_seed")

N_SEQUENCES, N_STEPS = 4, 6
KEYS = {"soft": [-1] * N_SEQUENCES, "argmax": [0] * N_SEQUENCES}
HARD = {"addressing": "hard", "backend": "fused"}


def random_options(rng):
    word_size, shift_range = int(rng.randint(2, 12)), int(rng.randint(3))
    return {
        "memory_size": int(rng.randint(2 * shift_range + 2, 40)),
        "word_size": word_size,
        "address_size": int(rng.randint(1, word_size)),
        "hidden_size": int(rng.randint(1, 20)),
        "n_read_heads": int(rng.randint(1, 4)),
        "n_write_heads": int(rng.randint(1, 4)),
        "controller": str(rng.choice(["lstm", "gru", "feedforward"])),
        "n_layers": int(rng.randint(1, 3)),
        "n_hops": int(rng.randint(1, 4)),
        "nop": bool(rng.randint(2)),
        "shift_range": shift_range,
        "interface_clip": [None, 20.0, 0.7][rng.randint(3)],
    }


def make_inputs(n_steps=N_STEPS):
    return torch.randn(N_SEQUENCES, n_steps, 3, dtype=torch.float64)


def first_state(network, kind, seed=0):
    """Return a state to start from: soft, most probable rows, or drawn ones."""
    keys = make_keys(N_SEQUENCES, seed) if kind == "drawn" else KEYS[kind]
    return with_keys(network, keys)


def run(network, backend, x, lengths, kind, seed=0):
    """Return all results, and the gradients of a loss to which each of them contributes."""
    network.backend = backend
    x = x.clone().requires_grad_()
    state = first_state(network, kind, seed)
    results = leaves(network(x, lengths, state=state, return_states=True))
    generator = torch.Generator().manual_seed(seed)
    weights = [torch.randn(r.shape, generator=generator, dtype=r.dtype) for r in results]
    loss = sum((r * w).sum() for r, w in zip(results, weights, strict=True))
    gradients = torch.autograd.grad(
        loss, [x, *network.parameters()], materialize_grads=True
    )
    return [r.detach() for r in results], gradients


def assert_equal_paths(network, kind, seed):
    x, lengths = make_inputs(), torch.tensor([4, 6, 1, 5])
    results, gradients = run(network, "fused", x, lengths, kind, seed)
    expected, expected_gradients = run(network, "reference", x, lengths, kind, seed)
    assert_close(results, expected, rtol=1e-9, atol=1e-10)
    for one, other in zip(gradients, expected_gradients, strict=True):
        limit = 1e-10 * max(1.0, float(other.abs().max()))
        assert_close(one, other, rtol=1e-8, atol=limit)


@pytest.mark.parametrize("seed", range(15))
def test_soft_weightings_give_the_references_results_and_gradients(seed):
    network = make_dntm(**random_options(np.random.RandomState(seed)), std=0.5)
    assert_equal_paths(network, "soft", seed)


@pytest.mark.parametrize("kind", ["soft", "argmax", "drawn"])
@pytest.mark.parametrize("seed", range(8))
def test_chosen_rows_give_the_references_results_and_gradients(seed, kind):
    options = random_options(np.random.RandomState(100 + seed))
    assert_equal_paths(make_dntm(**options, addressing="hard", std=0.5), kind, seed)


def test_single_precision_draws_the_same_rows():
    network = make_dntm(addressing="hard", memory_size=50, std=0.5).float()
    keys = make_keys(500, 1)
    state = map_state(torch.Tensor.float, with_keys(network, keys))
    x = torch.randn(500, 3, 3)
    traces = {}
    for network.backend in ("fused", "reference"):
        _, _, traces[network.backend] = network(x, state=state, return_states=True)
    actual, expected = (traces[b].states.memory for b in ("fused", "reference"))
    assert torch.equal(actual.read_weights, expected.read_weights)
    assert torch.equal(actual.draw, expected.draw)
    assert_close(actual.log_probability, expected.log_probability, rtol=1e-5, atol=1e-5)
    assert_close(actual.entropy, expected.entropy, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_that_are_equally_near_are_chosen_alike(dtype):
    # Without contents, all addresses of one number and sign have the same cosine to a key.
    for seed in range(5):
        torch.manual_seed(seed)
        network = make_dntm(addressing="hard", memory_size=16, address_size=1).to(dtype)
        x, weightings = torch.randn(8, 6, 3, dtype=dtype), {}
        for network.backend in ("fused", "reference"):
            _, _, trace = network(x, return_states=True)
            weightings[network.backend] = trace.states.memory.write_weights
        assert torch.equal(weightings["fused"], weightings["reference"])


# Choices


@compiled
def draw_one_by_one(probabilities, keys, counts, head):
    rows = np.empty(len(keys), np.int64)
    for i in range(len(keys)):
        rows[i] = choice.draw(probabilities.size, probabilities, keys[i], counts[i], head)
    return rows


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_draw_uses_the_references_number_to_the_bit(dtype):
    n_rows = 2**12
    probabilities = np.full(n_rows, 1 / n_rows, dtype)  # whose sums are exact
    keys = make_keys(5000, 3)
    counts = torch.cat([torch.arange(2500), LIMIT - 1 - torch.arange(2500)])
    numbers = uniforms(torch.stack([keys, counts], -1).double(), 3)
    for head in range(3):
        rows = draw_one_by_one(
            probabilities, keys.numpy().astype(dtype), counts.numpy().astype(dtype), head
        )
        expected = choose(
            torch.as_tensor(probabilities).expand(5000, 1, -1).double(),
            numbers[:, head : head + 1],
        )
        np.testing.assert_array_equal(rows, expected[:, 0])


def test_of_equally_probable_rows_the_first_is_taken():
    network = make_dntm(**HARD)
    with torch.no_grad():
        network.cell.memory.addresses.fill_(1.0)
    for network.backend in ("fused", "reference"):
        _, state = network(make_inputs(1))
        assert (state.memory.read_weights.argmax(-1) == 0).all()
        assert (state.memory.write_weights.argmax(-1) == 0).all()


def test_the_count_of_draws_begins_anew_before_it_is_inexact():
    network = make_dntm(**HARD)
    state = first_state(network, "drawn")
    state.memory.draw[:, 1] = LIMIT - 2
    _, state = network(make_inputs(3), state=state)
    assert (state.memory.draw[:, 1] == 1).all()


@pytest.mark.parametrize("kind", ["soft", "argmax", "drawn"])
def test_a_recomputed_history_gives_the_same_to_the_bit(monkeypatch, kind):
    network = make_dntm(addressing="hard", n_write_heads=2, shift_range=1, n_hops=2)
    x, lengths = make_inputs(11), torch.tensor([11, 3, 7, 9])
    kept, kept_gradients = run(network, "fused", x, lengths, kind)
    monkeypatch.setattr(engine, "HISTORY_LIMIT", 0)
    again, gradients = run(network, "fused", x, lengths, kind)
    assert all(map(torch.equal, kept, again))
    assert_close(gradients, kept_gradients, rtol=1e-10, atol=1e-10)


# States


@pytest.mark.parametrize("kind", ["soft", "argmax", "drawn"])
def test_a_split_sequence_is_the_whole_one(kind):
    network = make_dntm(**HARD, n_hops=2, shift_range=1)
    x = make_inputs()
    outputs, state = network(x, state=first_state(network, kind))
    first, between = network(x[:, :2], state=first_state(network, kind))
    network.backend = "reference"  # which takes over the kernel's state
    second, after = network(x[:, 2:], state=between)
    assert_close(torch.cat([first, second], dim=1), outputs)
    for one, other in zip(leaves(after), leaves(state), strict=True):
        assert_close(one, other)


@pytest.mark.parametrize("kind", ["soft", "drawn"])
def test_the_first_states_gradients_are_the_references(kind):
    network = make_dntm(addressing="hard", shift_range=1, n_write_heads=2)
    x = make_inputs()
    gradients = {}
    for network.backend in ("fused", "reference"):
        state = first_state(network, kind)
        _, state = network(x[:, :2], state=state)
        state = map_state(lambda part: part.detach().requires_grad_(), state)
        outputs, after = network(x, state=state)
        loss = sum(part.square().sum() for part in [outputs, *leaves(after)])
        gradients[network.backend] = torch.autograd.grad(
            loss, leaves(state), materialize_grads=True
        )
    assert_close(gradients["fused"], gradients["reference"], rtol=1e-8, atol=1e-9)


def test_usage_has_no_gradient():
    network = make_dntm(**HARD)
    for network.backend in ("fused", "reference"):
        state = map_state(lambda p: p.detach().requires_grad_(), network.initial_state(4))
        outputs, after = network(make_inputs(), state=state)
        loss = outputs.sum() + after.memory.memory.sum()
        usage = torch.autograd.grad(loss, state.memory.usage, allow_unused=True)[0]
        assert usage is None or not usage.any()


# What the memory adds to the loss


@pytest.mark.parametrize("n_hops", [1, 2])
def test_the_auxiliary_loss_trains_the_same_weights_as_on_the_reference_path(n_hops):
    network = make_dntm(addressing="hard", n_hops=n_hops, std=0.5)
    x, lengths = make_inputs(), torch.tensor([4, 6, 1, 5])
    gradients = {}
    for network.backend in ("fused", "reference"):
        network.cell.memory.rewards.n_batches.zero_()
        _, _, trace = network(
            x, lengths, first_state(network, "drawn"), return_states="heads"
        )
        loss = network.auxiliary_loss(trace, torch.arange(4.0).double())
        gradients[network.backend] = torch.autograd.grad(
            loss.sum() + network.penalty(trace).sum(),
            [*network.cell.parameters()],
            materialize_grads=True,
        )
    assert_close(gradients["fused"], gradients["reference"], rtol=1e-8, atol=1e-10)
    assert gradients["fused"][0].any()


# Values that are not finite


@pytest.mark.parametrize("kind", ["soft", "argmax", "drawn"])
def test_nan_reaches_the_outputs_of_its_own_sequence_and_all_gradients(kind):
    network = make_dntm(**HARD, shift_range=1, n_hops=2)
    x = make_inputs()
    x[1, 2] = torch.nan
    outputs, state = network(x, state=first_state(network, kind))
    assert outputs[1, 2:].isnan().all()
    assert outputs[[0, 2, 3]].isfinite().all()
    assert outputs[1, :2].isfinite().all()
    gradients = torch.autograd.grad(outputs[1].sum(), [*network.cell.parameters()])
    assert any(gradient.isnan().any() for gradient in gradients)
    assert all(part[0].isfinite().all() for part in leaves(state))
