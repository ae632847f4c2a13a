"""The fused path: equal to the reference, whatever the sizes, threads and limits."""

import itertools
import os
import shutil
import subprocess
import sys
import textwrap
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from numba import njit
from torch.testing import assert_close

import sknt
from sknt import NTMSequenceClassifier, NTMSequenceRegressor
from sknt.kernels import blocks, buffers, engine, functions
from sknt.kernels.layout import weight_shapes
from sknt.kernels.parameters import places
from sknt.kernels.pointers import plain, start
from sknt.kernels.products import multiply, multiply_transposed
from sknt.nn import SequenceNetwork, fused
from sknt.nn.unroll import map_state


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def leaves(state):
    if isinstance(state, torch.Tensor):
        return [state]
    return [leaf for field in state for leaf in leaves(field)]


def make_network(**options):
    network = SequenceNetwork(3, 2, **{"memory_size": 9, "word_size": 4, **options})
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.5)
    return network


def make_batch(n_sequences=5, n_steps=7):
    lengths = torch.randint(1, n_steps + 1, (n_sequences,))
    return torch.randn(n_sequences, n_steps, 3), lengths


def run(network, backend, x, lengths, *, traces=False):
    """Return all results, and the gradients of a loss in which each of them counts."""
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


# Equality with the reference


def random_configuration(seed):
    rng = np.random.RandomState(seed)
    rows = int(rng.randint(1, 70))
    return {
        "controller": rng.choice(["lstm", "gru", "feedforward"]).item(),
        "n_layers": int(rng.randint(1, 4)),
        "hidden_size": int(rng.randint(1, 40)),
        "memory_size": rows,
        "word_size": int(rng.randint(1, 30)),
        "n_read_heads": int(rng.randint(1, 5)),
        "n_write_heads": int(rng.randint(1, 4)),
        "memory_params": {
            "shift_range": int(rng.randint(0, min(4, (rows - 1) // 2 + 1))),
            "memory_init": rng.choice(["random", "constant", "learned"]).item(),
            "interface_clip": [20.0, 1.5, None][rng.randint(3)],
        },
    }


@pytest.mark.parametrize("seed", range(40))
def test_any_configuration_gives_the_references_results_and_gradients(seed):
    torch.manual_seed(seed)
    network = SequenceNetwork(3, 2, **random_configuration(seed))
    x, lengths = make_batch(*np.random.RandomState(seed).randint(1, 25, size=2).tolist())
    expected, expected_gradients = run(network, "reference", x, lengths, traces=True)
    actual, gradients = run(network, "fused", x, lengths, traces=True)
    for one, other in zip(actual, expected, strict=True):
        assert_close(one, other, rtol=1e-5, atol=1e-5)
    # Where rounding itself moves the reference by more, at most twice as far from exact.
    double = deepcopy(network).double()
    _, exact = run(double, "reference", x.double(), lengths, traces=True)
    exact = [part.float() for part in exact]
    rounding = max(
        float((one - other).abs().max() / other.abs().max().clamp(min=1e-7))
        for one, other in zip(expected_gradients, exact, strict=True)
    )
    assert_gradients_close(gradients, exact, max(1e-4, 2 * rounding))


@pytest.mark.parametrize("controller", ["lstm", "gru", "feedforward"])
def test_in_double_precision_nothing_but_rounding_is_different(controller):
    network = make_network(controller=controller, n_layers=2, n_write_heads=2).double()
    x, lengths = make_batch()
    expected = run(network, "reference", x.double(), lengths, traces=True)
    assert_close(run(network, "fused", x.double(), lengths, traces=True), expected)


def test_lengths_of_any_integer_type_and_strided_inputs_are_taken():
    network = make_network()
    x, lengths = make_batch()
    expected = run(network, "fused", x, lengths)
    strided = x.transpose(0, 1).contiguous().transpose(0, 1)
    assert_same(run(network, "fused", strided, lengths.to(torch.int32)), expected)


def test_a_penalty_on_heads_trains_what_it_trains_on_the_reference_path():
    network = make_network(n_read_heads=2)
    x, lengths = make_batch()

    def gradients(backend):
        network.backend = backend
        _, _, trace = network(x, lengths, return_states=True)
        blur = (1 - trace.states.memory.read_weights.square().sum(-1)).sum()
        told = trace.interfaces
        loss = blur + 0.03 * (told.erase.square().sum() + told.add.square().sum())
        return torch.autograd.grad(loss, list(network.cell.parameters()))

    assert_gradients_close(gradients("fused"), gradients("reference"))


# What must not matter


def assert_same(one, other):
    assert all(map(torch.equal, one[0], other[0]))
    assert all(map(torch.equal, one[1], other[1]))


@pytest.mark.parametrize("controller", ["lstm", "gru", "feedforward"])
def test_history_that_is_made_again_gives_the_same_to_the_bit(monkeypatch, controller):
    network = make_network(controller=controller, n_layers=2, n_write_heads=2)
    x, lengths = make_batch(n_sequences=9, n_steps=23)
    kept = run(network, "fused", x, lengths, traces=True)
    monkeypatch.setattr(engine, "HISTORY_LIMIT", 0)
    again = run(network, "fused", x, lengths, traces=True)
    assert all(map(torch.equal, kept[0], again[0]))
    assert torch.equal(kept[1][0], again[1][0])  # of the inputs
    # Weights' gradients are summed in other portions.
    assert_gradients_close(again[1], kept[1], 1e-6)


@pytest.mark.parametrize("n_sequences", [1, 5, 40])
@pytest.mark.parametrize("limit", [0, engine.HISTORY_LIMIT])
def test_the_number_of_threads_changes_no_bit(monkeypatch, n_sequences, limit):
    monkeypatch.setattr(engine, "HISTORY_LIMIT", limit)
    network = make_network(memory_size=20, n_read_heads=2)
    x, lengths = make_batch(n_sequences, 12)
    results = []
    for n in (1, 2, 3):
        monkeypatch.setattr(blocks, "n_threads", lambda n=n: n)
        results.append(run(network, "fused", x, lengths, traces=True))
    assert_same(results[0], results[1])
    assert_same(results[0], results[2])


def test_the_rest_of_a_batch_changes_no_bit_of_an_output():
    network = make_network(hidden_size=21, word_size=5)
    x, lengths = make_batch(n_sequences=37, n_steps=9)
    with torch.no_grad():
        outputs, _ = network(x, lengths)
        for i in range(len(x)):
            alone, _ = network(x[i : i + 1, : lengths[i]])
            assert torch.equal(alone[0], outputs[i, : lengths[i]])


@pytest.mark.parametrize("limit", [0, engine.HISTORY_LIMIT])
def test_passes_that_overlap_do_not_disturb_each_other(monkeypatch, limit):
    monkeypatch.setattr(engine, "HISTORY_LIMIT", limit)
    network = make_network()
    batches = [make_batch(), make_batch()]
    parameters = list(network.parameters())
    expected = [
        torch.autograd.grad(network(*batch)[0].sum(), parameters, allow_unused=True)
        for batch in batches
    ]
    losses = [network(*batch)[0].sum() for batch in batches]
    for loss, gradients in zip(losses, expected, strict=True):
        assert_close(torch.autograd.grad(loss, parameters, allow_unused=True), gradients)


def test_a_second_backward_pass_gives_the_same_gradients():
    network = make_network()
    parameters = list(network.parameters())
    loss = network(*make_batch())[0].square().sum()
    first = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    second = torch.autograd.grad(loss, parameters, allow_unused=True)
    assert_close(second, first, rtol=1e-5, atol=1e-6)


def test_parameters_changed_between_the_passes_are_noticed():
    network = make_network()
    outputs, _ = network(*make_batch())
    with torch.no_grad():
        network.readout.weight.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        outputs.sum().backward()


def test_gradients_of_gradients_are_refused():
    network = make_network()
    outputs, _ = network(*make_batch())
    gradient = torch.autograd.grad(
        outputs.square().sum(), network.readout.weight, create_graph=True
    )[0]
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("spread", [1e-20, 1.0, 1e3])
def test_neither_large_nor_small_numbers_give_nan(scale, spread):
    network = make_network(memory_params={"interface_clip": None})
    with torch.no_grad():
        for parameter in network.cell.parameters():
            parameter.mul_(spread)
    x, lengths = make_batch()
    results, gradients = run(network, "fused", x * scale, lengths)
    assert all(result.isfinite().all() for result in results)
    if scale * spread < 1e20:  # beyond, gradients of the weights overflow in themselves
        assert all(not gradient.isnan().any() for gradient in gradients)


# Memory


class Ledger:
    """The bytes that are leased at the same time."""

    def __init__(self, monkeypatch):
        self.now = self.most = 0
        take = buffers.take

        def counting(size, dtype):
            lease = take(size, dtype)
            n_bytes = lease.array.nbytes
            self.now += n_bytes
            self.most = max(self.most, self.now)
            give_back = type("Held", (), {"__del__": lambda _: self.leave(n_bytes)})
            lease.held = give_back()
            return lease

        monkeypatch.setattr(buffers, "take", counting)

    def leave(self, n_bytes):
        self.now -= n_bytes


def test_a_long_training_step_takes_what_its_checkpoints_take(monkeypatch):
    ledger = Ledger(monkeypatch)
    network = SequenceNetwork(9, 8)
    x = torch.randn(8, 2000, 9)
    outputs, state = network(x)
    n_state = sum(leaf[0].numel() for leaf in leaves(state))
    checkpoints = 45 * len(x) * n_state  # √2000 steps apart
    allowed = 3 * 4 * (x.numel() + outputs.numel() + checkpoints)
    del state
    outputs.sum().backward()
    # The gradient of the outputs and what is returned come on top.
    assert ledger.most + 4 * outputs.numel() < allowed


def test_prediction_takes_the_same_for_any_number_of_steps(monkeypatch):
    ledger = Ledger(monkeypatch)
    network = make_network()
    most = []
    for n_steps in (10, 1000):
        ledger.most = ledger.now
        with torch.no_grad():
            network(torch.randn(4, n_steps, 3))
        most.append(ledger.most)
    assert most[0] == most[1]


def test_buffers_are_used_again_once_nothing_refers_to_them():
    first = buffers.take(12_345, np.float32)
    second = buffers.take(12_345, np.float32)
    assert not np.shares_memory(first.array, second.array)
    address = first.array.ctypes.data
    del first
    assert buffers.take(12_300, np.float32).array.ctypes.data == address


# The parts


def compiled(function):
    @njit
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
    apply = compiled(getattr(functions, name))
    rng = np.random.RandomState(0)
    x = rng.uniform(*limits, size=2000)
    tiny = 10.0 ** rng.uniform(-30, 0, size=2000)
    x = np.concatenate([x, tiny] if name == "log" else [x, tiny, -tiny])
    for dtype, tolerance in ((np.float32, 4e-7), (np.float64, 3e-9)):
        given = x.astype(dtype)
        result = np.empty_like(given)
        apply(given, result)
        np.testing.assert_allclose(result, expected(given.astype(float)), rtol=tolerance)


@njit
def product(m, n, k, a, a_row, a_column, b, c, adds):
    multiply(m, n, k, start(a), a_row, a_column, start(b), n, start(c), n, adds)


@njit
def product_transposed(m, n, k, a, b, c):
    multiply_transposed(m, n, k, start(a), k, start(b), k, start(c), n, plain(False))


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
def test_every_parameter_has_a_place_of_its_own(controller):
    network = make_network(controller=controller, n_layers=2)
    sizes, parameters = fused._describe(network.cell, network.readout)
    weights = [np.zeros(shape) for shape in weight_shapes(sizes)]
    n_placed = 0
    for source, target in places(sizes, [p.detach().numpy() for p in parameters], weights):
        assert not target.any()
        target[...] = 1
        n_placed += source.size
    assert n_placed == sum(parameter.numel() for parameter in parameters)


# The choice of the path


def test_backends_that_cannot_serve_are_refused_with_the_reason():
    with pytest.raises(ValueError, match=r"the controller alone needs no kernels.*'auto'"):
        SequenceNetwork(3, 2, memory=None, backend="fused")
    with pytest.raises(ValueError, match=r"backend='cuda' is not known.*'reference'"):
        SequenceNetwork(3, 2, backend="cuda")
    network = SequenceNetwork(3, 2, backend="fused").to(torch.bfloat16)
    with pytest.raises(ValueError, match="not in bfloat16"):
        network(torch.zeros(1, 2, 3, dtype=torch.bfloat16))
    with pytest.raises(ValueError, match="not in float32 and float64"):
        network.double()(torch.zeros(1, 2, 3))


def test_auto_falls_back_where_there_are_no_kernels():
    for network in (
        SequenceNetwork(3, 2, memory=None),
        SequenceNetwork(3, 2).to(torch.bfloat16),
        SequenceNetwork(3, 2, backend="reference"),
    ):
        x = torch.zeros(1, 2, 3, dtype=next(network.parameters()).dtype)
        assert network.backend_for(x) == "reference"
        assert network(x)[0].shape == (1, 2, 2)


def test_hooks_and_parametrizations_of_layers_are_not_passed_by():
    network = make_network()
    x, lengths = make_batch()
    assert network.backend_for(x) == "fused"
    seen = []
    handle = network.readout.register_forward_hook(lambda *args: seen.append(args))
    network(x, lengths)
    assert seen
    handle.remove()
    torch.nn.utils.parametrizations.weight_norm(network.cell.memory.projection)
    assert network.backend_for(x) == "reference"


def in_subprocess(code, cwd=None, **env):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
        env={**os.environ, **env},
    )


def test_importing_the_package_does_not_load_the_compiler():
    in_subprocess(
        """
        import sys, sknt
        sknt.NTMSequenceClassifier()
        assert not any(name.split(".")[0] == "numba" for name in sys.modules)
        """
    )


@pytest.mark.parametrize(
    "breakage",
    ["sys.modules['numba'] = None", "sys.modules['numba'] = type(sys)('numba')"],
    ids=["missing", "broken"],
)
def test_without_numba_auto_works_and_warns_once(breakage):
    in_subprocess(
        f"""
        import sys, warnings
        {breakage}
        import pytest, torch
        from sknt.nn import SequenceNetwork
        network = SequenceNetwork(3, 2)
        with pytest.warns(RuntimeWarning, match="numba cannot be loaded.*Install numba"):
            outputs, _ = network(torch.zeros(1, 2, 3))
        assert outputs.shape == (1, 2, 2)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            network(torch.zeros(1, 2, 3))
        with pytest.raises(ImportError, match="numba cannot be loaded.*use 'auto'"):
            SequenceNetwork(3, 2, backend="fused")
        """
    )


def test_kernels_are_kept_where_the_package_cannot_be_written_to(tmp_path):
    package = tmp_path / "site" / "sknt"
    shutil.copytree(
        Path(sknt.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__")
    )
    (package / "kernels" / "__pycache__").write_text("in the way")
    home = tmp_path / "home"
    env = {"PYTHONPATH": str(package.parent), "HOME": str(home), "NUMBA_CACHE_DIR": ""}
    env["XDG_CACHE_HOME"] = str(home / ".cache")
    code = """
        import sknt, torch
        from sknt.nn import SequenceNetwork
        with torch.no_grad():
            SequenceNetwork(3, 2)(torch.zeros(1, 2, 3))
        from sknt.kernels import sequences
        print(sknt.__file__, sum(sequences.forward.stats.cache_hits.values()))
    """
    first, second = (in_subprocess(code, cwd=tmp_path, **env) for _ in range(2))
    assert first.stdout.split() == [str(package / "__init__.py"), "0"]
    assert second.stdout.split()[1] == "1"
    assert first.stderr.count("compiling the fused kernels") == 1
    assert str(home) in first.stderr
    assert "compiling" not in second.stderr


def test_damaged_files_of_kernels_are_written_anew(tmp_path):
    env = {"NUMBA_CACHE_DIR": str(tmp_path)}
    code = """
        from sknt.kernels import sequences
        sequences.weight_gradients._cache._cache_file.save("key", "data")
        path = sequences.weight_gradients._cache._cache_file._index_path
        open(path, "wb").write(b"damaged")
        assert sequences.weight_gradients._cache.load_overload((), None) is None
    """
    assert "compiling" in in_subprocess(code, **env).stderr


# The estimators


def test_estimators_say_what_ran_and_predict_the_same(sequences):
    X, y = sequences
    shared = {"memory_size": 8, "max_epochs": 3, "random_state": 0}
    models = {
        backend: NTMSequenceClassifier(backend=backend, **shared).fit(X, y)
        for backend in ("auto", "reference")
    }
    assert models["auto"].backend_ == "fused"
    assert models["reference"].backend_ == "reference"
    np.testing.assert_allclose(
        models["auto"].predict_proba(X), models["reference"].predict_proba(X), atol=1e-4
    )
    bare = NTMSequenceClassifier(memory=None, **shared).fit(X, y)
    assert bare.backend_ == "reference"
    with pytest.raises(ValueError, match="the controller alone needs no kernels"):
        NTMSequenceClassifier(memory=None, backend="fused", **shared).fit(X, y)


def test_a_prediction_that_overflows_single_precision_is_made_in_double():
    X = np.array([[1.0, 2.0], [2.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    model = NTMSequenceRegressor(memory_size=4, max_epochs=1, random_state=0)
    model.fit(X, X[:, 0])
    with torch.no_grad():
        model.net_.module_.readout.weight.mul_(3e38)
    assert np.isfinite(model.predict(X)).all()


def test_a_state_from_one_path_is_taken_by_the_other():
    network = make_network(controller="gru", n_layers=2)
    x, _ = make_batch(n_steps=6)
    network.backend = "reference"
    whole, _ = network(x)
    _, state = network(x[:, :3])
    network.backend = "fused"
    rest, final = network(x[:, 3:], state=state)
    assert_close(rest, whole[:, 3:], rtol=1e-4, atol=1e-5)
    assert type(final) is type(state)
    assert map_state(lambda s: s, final).memory.memory.shape == state.memory.memory.shape
