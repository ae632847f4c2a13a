"""Linear keys and add vectors, with which the weights of other NTMs can be run."""

import itertools

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch.autograd import gradcheck
from torch.func import functional_call
from torch.testing import assert_close

from sknt import NTMSequenceClassifier
from sknt.memories import NTMMemory
from sknt.nn import CONTROLLERS, SequenceNetwork
from sknt.nn.unroll import map_state

BACKENDS = pytest.mark.parametrize("backend", ["reference", "fused"])
ACTIVATIONS = pytest.mark.parametrize(
    ("key", "add"), [*itertools.product(["tanh", "linear"], repeat=2)]
)
N_INPUTS, N_OUTPUTS, N_ROWS, WORD, HIDDEN, N_READ = 3, 2, 5, 4, 6, 2


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


# Another NTM: its own layout of weights, and its own equations


class PublicNTM:
    """An NTM as it is often published, in NumPy, one sequence at a time.

    Each head has its own layer. Keys and add vectors are linear, a shift distribution runs
    from +1 to -1, weightings are sharpened with plain powers, and the heads' first
    weightings are 0. The only write head writes after the reads.
    """

    def __init__(self, rng):
        def draw(*shape):
            return rng.normal(scale=0.7, size=shape)

        n_inputs = N_INPUTS + N_READ * WORD
        self.lstm = [draw(4 * HIDDEN, n_inputs), draw(4 * HIDDEN, HIDDEN)]
        self.lstm += [draw(4 * HIDDEN), draw(4 * HIDDEN)]
        widths = [WORD, 1, 1, 3, 1]
        self.heads = [[(draw(n, HIDDEN), draw(n)) for n in widths] for _ in range(N_READ)]
        widths += [WORD, WORD]
        self.heads.append([(draw(n, HIDDEN), draw(n)) for n in widths])
        self.out = draw(N_OUTPUTS, HIDDEN + N_READ * WORD), draw(N_OUTPUTS)
        self.memory = draw(N_ROWS, WORD)
        self.hidden, self.cell, self.reads = draw(HIDDEN), draw(HIDDEN), draw(N_READ, WORD)

    def run(self, sequence):
        sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
        softplus = lambda x: np.log1p(np.exp(x))  # noqa: E731
        hidden, cell, reads, memory = self.hidden, self.cell, self.reads, self.memory
        weightings, outputs = np.zeros((N_READ + 1, N_ROWS)), []
        for x in sequence:
            w_x, w_h, b_x, b_h = self.lstm
            gates = w_x @ np.concatenate([x, *reads]) + b_x + w_h @ hidden + b_h
            i, f, g, o = np.split(gates, 4)
            cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
            hidden = sigmoid(o) * np.tanh(cell)
            new = []
            for head, last in zip(self.heads, weightings, strict=True):
                k, b, g, s, y, *_ = (matrix @ hidden + bias for matrix, bias in head)
                m, k = memory + 1e-16, k + 1e-16
                cosine = m @ k / (np.linalg.norm(m, axis=1) * np.linalg.norm(k))
                powers = np.exp(softplus(b) * cosine)
                w = sigmoid(g) * powers / powers.sum() + (1 - sigmoid(g)) * last
                s = np.exp(s) / np.exp(s).sum()
                w = s[0] * np.roll(w, 1) + s[1] * w + s[2] * np.roll(w, -1)
                w = w ** (1 + softplus(y))
                new.append(w / (w.sum() + 1e-16))
            weightings = np.array(new)
            reads = weightings[:N_READ] @ memory
            erase, add = (matrix @ hidden + bias for matrix, bias in self.heads[-1][5:])
            memory = memory * (1 - np.outer(weightings[-1], sigmoid(erase)))
            memory = memory + np.outer(weightings[-1], add)
            matrix, bias = self.out
            outputs.append(matrix @ np.concatenate([hidden, *reads]) + bias)
        return np.array(outputs)

    def copied_into(self, network):
        """Lay the weights out like ours: field by field, the shifts from -1 to +1."""
        fields = []
        for field in range(7):
            heads = self.heads if field < 5 else self.heads[-1:]
            order = slice(None, None, -1) if field == 3 else slice(None)
            fields += [[part[order] for part in head[field]] for head in heads]
        arrays = {
            "readout.weight": self.out[0],
            "readout.bias": self.out[1],
            "cell.initial_reads": self.reads,
            "cell.memory.initial_memory": self.memory,
            "cell.memory.projection.weight": np.concatenate([f[0] for f in fields]),
            "cell.memory.projection.bias": np.concatenate([f[1] for f in fields]),
            "cell.controller.initial_hidden": self.hidden[np.newaxis],
            "cell.controller.initial_cell": self.cell[np.newaxis],
        }
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        for name, array in zip(names, self.lstm, strict=True):
            arrays[f"cell.controller.{name}"] = array
        tensors = {name: torch.tensor(array) for name, array in arrays.items()}
        found = network.load_state_dict(tensors, strict=False)
        assert found.missing_keys == ["cell.memory.initial_logits"]
        return network


@BACKENDS
@pytest.mark.parametrize("seed", range(5))
def test_weights_of_another_ntm_give_its_outputs_if_both_are_linear(backend, seed):
    rng = np.random.RandomState(seed)
    public = PublicNTM(rng)
    sequences = rng.normal(size=(3, 12, N_INPUTS))
    expected = np.array([public.run(sequence) for sequence in sequences])
    for key, add in itertools.product(["linear", "tanh"], repeat=2):
        options = {"key_activation": key, "add_activation": add, "interface_clip": None}
        network = SequenceNetwork(
            N_INPUTS,
            N_OUTPUTS,
            memory_size=N_ROWS,
            word_size=WORD,
            hidden_size=HIDDEN,
            n_read_heads=N_READ,
            memory_params=options,
            backend=backend,
        ).double()
        public.copied_into(network)
        state = network.initial_state(len(sequences))
        zeros = map_state(torch.zeros_like, state.memory)  # its first weightings
        state = state._replace(memory=zeros._replace(memory=state.memory.memory))
        single = map_state(torch.Tensor.float, state)
        x = torch.from_numpy(sequences)
        with torch.no_grad():
            outputs, _ = network(x, state=state)
            in_single, _ = network.float()(x.float(), state=single)
        difference = np.abs(outputs.numpy() - expected).max()
        if key == add == "linear":
            assert difference < 1e-6  # by the constants that keep quotients finite
            assert_allclose(in_single, expected, rtol=0, atol=1e-5)
        else:
            assert difference > 1e-3


# The kernels


def make_network(key, add, **options):
    memory_params = {"key_activation": key, "add_activation": add, "interface_clip": 1.5}
    sizes = {"memory_size": 4, "word_size": 3, "hidden_size": 5, "n_write_heads": 2}
    sizes["memory_params"] = memory_params
    network = SequenceNetwork(3, 2, **(sizes | options)).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.7)
    return network


@ACTIVATIONS
@pytest.mark.parametrize("controller", CONTROLLERS)
def test_both_paths_agree_forward_and_backward(key, add, controller):
    network = make_network(key, add, controller=controller, n_read_heads=2)
    x, lengths = torch.randn(4, 6, 3, dtype=torch.float64), torch.tensor([6, 2, 1, 5])
    results = {}
    for backend in ("reference", "fused"):
        network.backend = backend
        outputs, _, trace = network(x, lengths, return_states=True)
        told, read = trace.interfaces, trace.states.memory.read_weights
        loss = outputs.square().sum() + told.key.sum() + 3 * told.add.sum() + read.norm()
        gradients = torch.autograd.grad(loss, list(network.parameters()))
        results[backend] = outputs, told.key, told.add, *gradients
    assert_close(results["fused"], results["reference"], rtol=1e-7, atol=1e-9)
    assert bool((told.key.abs() > 1).any()) == (key == "linear")
    assert bool((told.add.abs() > 1).any()) == (add == "linear")


@pytest.mark.slow
@BACKENDS
@ACTIVATIONS
def test_gradients_equal_finite_differences(backend, key, add):
    network = make_network(key, add, backend=backend, hidden_size=2, memory_size=3)
    names, parameters = zip(*network.named_parameters(), strict=True)
    x = torch.randn(2, 3, 3, dtype=torch.float64, requires_grad=True)

    def outputs(x, *values):
        return functional_call(network, dict(zip(names, values, strict=True)), x)[0]

    assert gradcheck(outputs, (x, *parameters))


# The rest of the memory, and the estimators


@BACKENDS
def test_an_unknown_activation_is_refused_with_the_known_ones(backend):
    for option in ("key_activation", "add_activation"):
        for value in ("relu", None, torch.tanh):
            with pytest.raises(ValueError, match=rf"^{option}=.*\['linear', 'tanh'\]"):
                SequenceNetwork(3, 2, backend=backend, memory_params={option: value})


@ACTIVATIONS
def test_the_same_seed_gives_the_same_weights_whatever_the_activation(key, add):
    torch.manual_seed(0)
    expected = NTMMemory(5, 7, 4, 1, 1).state_dict()
    torch.manual_seed(0)
    options = {"key_activation": key, "add_activation": add}
    actual = NTMMemory(5, 7, 4, 1, 1, **options).state_dict()
    assert_close(actual, expected, rtol=0, atol=0)


@ACTIVATIONS
def test_a_read_head_begins_by_finding_what_the_write_head_adds(key, add):
    options = {"key_activation": key, "add_activation": add}
    memory = NTMMemory(30, 7, 20, 1, 1, **options)
    interface = memory.interface(torch.tanh(torch.randn(100, 30)))
    cosine = torch.cosine_similarity(interface.key[:, 0], interface.add[:, 0])
    assert cosine.mean() > 0.9


@pytest.mark.slow
@ACTIVATIONS
def test_a_fit_with_a_penalty_stays_finite_and_a_search_reaches_the_options(key, add):
    X = np.random.RandomState(0).normal(size=(20, 5, 2))
    y = (X[..., 0] > 0).astype(int)
    model = NTMSequenceClassifier(
        memory_size=6,
        word_size=4,
        hidden_size=8,
        max_epochs=4,
        random_state=0,
        return_sequences=True,
        memory_params={"key_activation": key, "add_activation": add},
    ).fit(X, y)
    assert model.backend_ == "fused"
    assert np.isfinite(model.predict_proba(X)).all()
    network = model.net_.module_
    _, _, trace = network(torch.from_numpy(X).float(), return_states="heads")
    penalty = network.penalty(trace)
    assert penalty.isfinite().all()
    assert (penalty > 0).all()
    grid = {"memory_params__key_activation": ["linear", "tanh"]}
    search = GridSearchCV(clone(model), grid, cv=2).fit(X, y)
    found = search.best_estimator_.net_.module_.cell.memory
    assert found.key_activation == search.best_params_["memory_params__key_activation"]
    assert found.add_activation == add
