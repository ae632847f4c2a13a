"""Both paths agree on what is not finite, so that a guard against it fires on either."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from kernel_helpers import compiled

from sknt.kernels import functions
from sknt.nn import SequenceNetwork
from sknt.nn.unroll import map_state

CONTROLLERS = ["lstm", "gru", "feedforward"]
NOT_FINITE = [math.nan, math.inf, -math.inf]
LENGTHS = torch.tensor([6, 2, 5, 1])


def make_network(controller, *, clip=20.0, dtype=torch.float32, **memory_params):
    torch.manual_seed(0)
    network = SequenceNetwork(
        *(3, 2),
        controller=controller,
        n_layers=2,
        hidden_size=10,
        memory_size=9,
        word_size=5,
        n_read_heads=2,
        memory_params={"memory_init": "learned", "interface_clip": clip, **memory_params},
    )
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.5)
    return network.to(dtype)


def make_inputs(dtype=torch.float32):
    return torch.randn(len(LENGTHS), 6, 3, dtype=dtype)


def leaves(state):
    if isinstance(state, torch.Tensor):
        return [state]
    return [leaf for field in state for leaf in leaves(field)]


def run(network, backend, x, state):
    """Return outputs, final state and trace, and the gradients of a sum of them."""
    network.backend = backend
    x = x.clone().requires_grad_()
    inputs = [x, *network.parameters()]
    if state is not None:
        state = map_state(lambda part: part.clone().requires_grad_(), state)
        inputs += leaves(state)
    results = leaves(network(x, LENGTHS, state, return_states=True))
    generator = torch.Generator().manual_seed(1)
    loss = sum((r * torch.randn(r.shape, generator=generator).to(r)).sum() for r in results)
    gradients = torch.autograd.grad(loss, inputs, allow_unused=True)
    return [part for part in (*results, *gradients) if part is not None]


def finite_parts(network, x, state=None):
    """Return which numbers of all results and gradients are finite, on both paths."""
    expected, actual = (run(network, path, x, state) for path in ("reference", "fused"))
    for one, other in zip(expected, actual, strict=True):
        assert torch.equal(one.isfinite(), other.isfinite())
    return [part.isfinite() for part in actual]


def some_places(numbers):
    return sorted({0, numbers.numel() // 2, numbers.numel() - 1})


PARAMETERS = [
    (controller, name)
    for controller in CONTROLLERS
    for name, _ in make_network(controller).named_parameters()
]


@pytest.mark.slow
@pytest.mark.parametrize(("controller", "name"), PARAMETERS)
@pytest.mark.parametrize("clip", [20.0, None])
@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_number_of_any_parameter_spoils_the_same_on_both_paths(
    controller, name, clip, value, dtype
):
    network = make_network(controller, clip=clip, dtype=dtype)
    parameter, x = network.get_parameter(name), make_inputs(dtype)
    for place in some_places(parameter):
        with torch.no_grad():
            numbers = parameter.view(-1)
            before = numbers[place].item()
            numbers[place] = value
        finite = finite_parts(network, x)
        if math.isnan(value):
            assert not finite[0].all()
        with torch.no_grad():
            numbers[place] = before


@pytest.mark.parametrize("controller", CONTROLLERS)
@pytest.mark.parametrize("value", NOT_FINITE)
def test_one_number_of_the_inputs_spoils_the_same_on_both_paths(controller, value):
    network = make_network(controller)
    for place in ((0, 0, 0), (0, 3, 1), (0, 5, 2), (2, 4, 0), (3, 0, 1)):
        x = make_inputs()
        x[place] = value
        outputs = finite_parts(network, x)[0]
        others = torch.arange(len(x)) != place[0]
        assert outputs[others].all()
        if math.isnan(value):
            assert not outputs[place[0], place[1] : LENGTHS[place[0]]].any()


@pytest.mark.slow
@pytest.mark.parametrize("controller", CONTROLLERS)
@pytest.mark.parametrize("value", [*NOT_FINITE, -1.0])
def test_one_number_of_the_first_state_spoils_the_same_on_both_paths(controller, value):
    network, x = make_network(controller), make_inputs()
    state = map_state(lambda part: part.detach().clone(), network.initial_state(len(x)))
    for numbers in (leaf.view(-1) for leaf in leaves(state)):
        for place in some_places(numbers):
            before = numbers[place].item()
            numbers[place] = value
            finite_parts(network, x, state)
            numbers[place] = before


@pytest.mark.parametrize("shift_range", [0, 2])
@pytest.mark.parametrize("value", NOT_FINITE)
def test_any_number_of_shifts_lets_through_what_is_not_finite(shift_range, value):
    network, x = make_network("lstm", shift_range=shift_range), make_inputs()
    for parameter in (network.cell.memory.projection.bias, network.cell.initial_reads):
        with torch.no_grad():
            parameter.view(-1)[-1] = value
        finite_parts(network, x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_elementary_functions_of_what_is_not_finite_are_the_mathematical_ones(dtype):
    x = np.array([np.nan, np.inf, -np.inf], dtype)
    expected = {
        "exp": [np.nan, np.inf, 0.0],
        "log": [np.nan, np.inf, np.nan],
        "tanh": [np.nan, 1.0, -1.0],
        "sigmoid": [np.nan, 1.0, 0.0],
        "softplus": [np.nan, np.inf, 0.0],
    }
    if dtype is np.float32:  # clipped to ±60, and not finite in another way
        expected["exp"][1:] = np.exp([60.0, -60.0])
        expected["log"][1] = np.nan
    for name, results in expected.items():
        function = getattr(functions, name)
        apply = compiled(lambda x, function=function: function(x))
        np.testing.assert_allclose([apply(v) for v in x], results, rtol=1e-6, atol=1e-20)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 7, 64, 65])
def test_the_largest_of_numbers_is_nan_wherever_nan_is(dtype, n):
    larger = functions.larger

    @partial(compiled, fastmath={"reassoc", "contract", "nsz"})
    def largest(values):
        result = values[0]
        for value in values:
            result = larger(value, result)
        return result

    values = np.random.RandomState(0).normal(size=n).astype(dtype)
    assert largest(values) == values.max()
    for i in range(n):
        spoilt = values.copy()
        spoilt[i] = np.nan
        assert np.isnan(largest(spoilt))
