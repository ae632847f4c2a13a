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
