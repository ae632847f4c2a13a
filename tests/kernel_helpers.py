"""Networks and comparisons that the tests of the kernels share."""

import pytest
import torch
from helpers import leaves
from network_helpers import WITH_KERNEL
from numba import njit
from torch.testing import assert_close

from sknt.kernels._libraries import compile_as_whole
from sknt.nn import CONTROLLERS, SequenceNetwork

EACH_MEMORY = pytest.mark.parametrize("memory", WITH_KERNEL)
# All controllers with the first memory: the others change nothing about controllers.
EACH_PAIR = pytest.mark.parametrize(
    ("memory", "controller"),
    [
        *((WITH_KERNEL[0], controller) for controller in CONTROLLERS),
        *((memory, "lstm") for memory in WITH_KERNEL[1:]),
    ],
)


def compiled(function, **options):
    """Compile a function that uses parts of kernels, put together as in an entry."""
    dispatcher = njit(function, **options)
    compile_as_whole(dispatcher)
    return dispatcher


def make_kernel_network(**options):
    network = SequenceNetwork(3, 2, **{"memory_size": 9, "word_size": 4, **options})
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.5)
    return network


def make_batch(n_sequences=5, n_steps=7):
    lengths = torch.randint(1, n_steps + 1, (n_sequences,))
    return torch.randn(n_sequences, n_steps, 3), lengths


def results_and_gradients(network, backend, x, lengths, *, traces=False):
    """Return all results, and the gradients of a loss to which each of them contributes."""
    network.backend = backend
    x = x.clone().requires_grad_()
    results = leaves(network(x, lengths, return_states=traces))
    generator = torch.Generator().manual_seed(1)
    loss = sum((r * torch.randn(r.shape, generator=generator).to(r)).sum() for r in results)
    gradients = torch.autograd.grad(loss / len(x), [x, *network.parameters()])
    return [result.detach() for result in results], gradients


def assert_gradients_close(actual, expected, tolerance=1e-4):
    """A sum of many terms is as exact as the largest of them."""
    for one, other in zip(actual, expected, strict=True):
        limit = tolerance * float(other.abs().max()) + 1e-7
        assert_close(one, other, rtol=tolerance, atol=limit)


def assert_same(one, other):
    assert all(map(torch.equal, one[0], other[0]))
    assert all(map(torch.equal, one[1], other[1]))
