"""The kernels' parts: elementary functions, products, and places of parameters."""

import itertools

import numpy as np
import pytest
from kernel_helpers import compiled, make_kernel_network

from sknt.kernels import functions
from sknt.kernels.layout import weight_shapes
from sknt.kernels.parameters import places
from sknt.kernels.pointers import plain, start
from sknt.kernels.products import multiply, multiply_transposed
from sknt.nn.structure import structure_of

pytestmark = pytest.mark.usefixtures("torch_seed")


def for_each(function):
    @compiled
    def each(x, y):
        for i in range(len(x)):
            y[i] = function(x[i])

    return each


@pytest.mark.parametrize(
    ("name", "expected", "limits"),
    [
        ("exp", np.exp, (-59, 59)),
        ("log", np.log, (1e-30, 1e30)),
        ("tanh", np.tanh, (-20, 20)),
        ("sigmoid", lambda x: 1 / (1 + np.exp(-x)), (-59, 59)),
        ("softplus", lambda x: np.logaddexp(0, x), (-59, 100)),
    ],
)
def test_elementary_functions_are_exact_to_rounding(name, expected, limits):
    apply = for_each(getattr(functions, name))
    rng = np.random.RandomState(0)
    x = rng.uniform(*limits, size=2000)
    tiny = 10.0 ** rng.uniform(-30, 0, size=2000)
    x = np.concatenate([x, tiny] if name == "log" else [x, tiny, -tiny])
    for dtype, tolerance in ((np.float32, 4e-7), (np.float64, 3e-9)):
        given = x.astype(dtype)
        result = np.empty_like(given)
        apply(given, result)
        np.testing.assert_allclose(result, expected(given.astype(float)), rtol=tolerance)


@compiled
def product(m, n, k, a, a_row, a_column, b, c, adds):
    multiply(m, n, k, start(a), a_row, a_column, start(b), n, start(c), n, adds)


@compiled
def product_transposed(m, n, k, a, b, c):
    multiply_transposed(m, n, k, start(a), k, start(b), k, start(c), n, plain(False))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_equal_numpys_in_all_sizes(dtype):
    rng = np.random.RandomState(0)
    sizes = itertools.product([1, 2, 3, 6, 11], [1, 7, 8, 17, 70], [1, 5, 33])
    for (m, n, k), adds in itertools.product(sizes, [False, True]):
        a, b = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
        c = rng.normal(size=(m, n)).astype(dtype)
        expected = a @ b + c * adds
        tolerance = {"rtol": 1e-4, "atol": 1e-5}
        for left, strides in ((a, (k, 1)), (np.ascontiguousarray(a.T), (1, m))):
            result = c.copy()
            product(m, n, k, left, *strides, b, result, adds)
            np.testing.assert_allclose(result, expected, **tolerance)
        product_transposed(m, n, k, a, np.ascontiguousarray(b.T), result)
        np.testing.assert_allclose(result, a @ b, **tolerance)


@pytest.mark.parametrize("controller", ["lstm", "gru", "feedforward"])
def test_every_parameter_has_its_own_place(controller):
    network = make_kernel_network(controller=controller, n_layers=2)
    plan, parameters = structure_of(network.cell, network.readout).describe()
    sizes = plan.sizes
    weights = [np.zeros(shape) for shape in weight_shapes(sizes).values()]
    n_placed = 0
    for source, target in places(sizes, [p.detach().numpy() for p in parameters], weights):
        assert not target.any()
        target[...] = 1
        n_placed += source.size
    assert n_placed == sum(parameter.numel() for parameter in parameters)
