"""What every memory inherits, including two that share nothing with the NTM.

A memory that is added to the registry is covered here without a test of its own.
"""

import math
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign_memories import FOREIGN, ShiftRegister, Stack
from helpers import leaves
from matplotlib import pyplot
from network_helpers import SMOOTH, WITH_KERNEL
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch.autograd import gradcheck
from torch.func import functional_call
from torch.testing import assert_close

import sknt
from sknt import NTMSequenceClassifier, NTMSequenceRegressor
from sknt.datasets import make_copy
from sknt.inspection import MemoryTraceDisplay
from sknt.memories import MEMORIES, NTMMemory, register_memory
from sknt.nn import SequenceNetwork, gradient_norms
from sknt.nn.unroll import map_state
from sknt.training import progress

ANY_MEMORY = pytest.mark.parametrize("memory", [*MEMORIES, *FOREIGN])
LENGTHS = torch.tensor([4, 6, 1, 5])
SMALL = {
    "memory_size": 5,
    "word_size": 3,
    "hidden_size": 6,
    "max_epochs": 2,
    "random_state": 0,
    "return_sequences": True,
}


@pytest.fixture(autouse=True)
def _foreign(monkeypatch):
    torch.manual_seed(0)
    for name, memory_class in FOREIGN.items():
        monkeypatch.setitem(MEMORIES, name, memory_class)


@pytest.fixture
def _close_figures():
    yield
    pyplot.close("all")


def make_network(memory, **options):
    sizes = {"memory_size": 7, "word_size": 4, "hidden_size": 5}
    network = SequenceNetwork(3, 2, memory=memory, **(sizes | options)).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.5)
    return network


def make_inputs(n_steps=6):
    return torch.randn(len(LENGTHS), n_steps, 3, dtype=torch.float64)


def is_present():
    return torch.arange(6) < LENGTHS[:, None]


# Forward and backward


@ANY_MEMORY
def test_a_sequence_gives_the_same_alone_as_beside_longer_ones(memory):
    network, x = make_network(memory), make_inputs()
    outputs, state = network(x, LENGTHS)
    for i, length in enumerate(LENGTHS):
        alone, alone_state = network(x[i : i + 1, :length])
        assert_close(alone[0], outputs[i, :length], rtol=0, atol=1e-12)
        beside = map_state(lambda s, i=i: s[i : i + 1], state)
        assert_close(leaves(alone_state), leaves(beside), rtol=0, atol=1e-12)


@ANY_MEMORY
def test_a_state_continues_where_it_ended(memory):
    network, x = make_network(memory), make_inputs()
    whole, whole_state = network(x)
    first, state = network(x[:, :2])
    second, state = network(x[:, 2:], state=state)
    assert_close(torch.cat([first, second], 1), whole, rtol=0, atol=1e-12)
    assert_close(leaves(state), leaves(whole_state), rtol=0, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("memory", [*SMOOTH, *FOREIGN])
def test_gradients_equal_finite_differences(memory):
    network = SequenceNetwork(
        2, 1, memory=memory, memory_size=3, word_size=2, hidden_size=2
    ).double()
    names, parameters = zip(*network.named_parameters(), strict=True)
    x = torch.randn(2, 3, 2, dtype=torch.float64, requires_grad=True)

    def results(x, *values):
        values = dict(zip(names, values, strict=True))
        outputs, state = functional_call(network, values, (x, torch.tensor([2, 3])))
        return outputs, *[leaf for leaf in leaves(state) if leaf.is_floating_point()]

    assert gradcheck(results, (x, *parameters))


@ANY_MEMORY
def test_neither_training_nor_evaluation_mode_changes_a_bit(memory):
    network, x = make_network(memory), make_inputs()
    training, evaluating = network.train()(x, LENGTHS), network.eval()(x, LENGTHS)
    assert all(map(torch.equal, leaves(training), leaves(evaluating)))


@pytest.mark.parametrize("memory", FOREIGN)
def test_a_memory_without_kernels_runs_on_the_reference_path(memory):
    network = make_network(memory)
    assert network.backend_for(make_inputs()) == "reference"
    with pytest.raises(ValueError, match="no kernels for the memory S.*use 'auto'"):
        SequenceNetwork(3, 2, memory=memory, backend="fused")


# Traces


@ANY_MEMORY
def test_a_trace_of_the_heads_is_the_full_trace_without_the_bulky_fields(memory):
    network, x = make_network(memory), make_inputs()
    outputs, state, whole = network(x, LENGTHS, return_states=True)
    same_outputs, same_state, heads = network(x, LENGTHS, return_states="heads")
    assert torch.equal(outputs, same_outputs)
    assert all(map(torch.equal, leaves(state), leaves(same_state)))
    assert all(map(torch.equal, leaves(whole.interfaces), leaves(heads.interfaces)))
    bulky = network.cell.memory.bulky
    for name, steps in whole.states.memory._asdict().items():
        kept = getattr(heads.states.memory, name)
        if name in bulky:
            assert kept.shape == (*steps.shape[:2], 0, *steps.shape[3:])
        else:
            assert torch.equal(kept, steps)
    assert_close(network.penalty(heads), network.penalty(whole))


@ANY_MEMORY
def test_a_slim_state_keeps_no_bulky_field_alive(memory):
    cell = make_network(memory).cell
    slim = cell.slim(cell.initial_state(3)).memory
    for name in cell.memory.bulky:
        assert getattr(slim, name).untyped_storage().nbytes() == 0


@ANY_MEMORY
def test_a_penalty_is_one_number_per_sequence_and_absent_steps_add_nothing(memory):
    network, x = make_network(memory), make_inputs()
    _, _, trace = network(x, LENGTHS, return_states="heads")
    penalty = network.penalty(trace)
    assert penalty.shape == (len(x),)
    assert penalty.isfinite().all()
    for i, length in enumerate(LENGTHS):
        _, _, alone = network(x[i : i + 1, :length], return_states="heads")
        assert_close(network.penalty(alone)[0], penalty[i])


def test_without_a_memory_there_is_no_penalty_and_nothing_to_show():
    network = SequenceNetwork(3, 2, memory=None, hidden_size=4)
    _, _, trace = network(torch.zeros(2, 3, 3), return_states="heads")
    assert network.weightings(trace) == {}
    with pytest.raises(ValueError, match="memory=None has no heads"):
        network.penalty(trace)


@ANY_MEMORY
def test_weightings_are_over_rows_at_each_step_and_0_after_the_end(memory):
    network, x = make_network(memory, n_read_heads=2), make_inputs()
    _, _, trace = network(x, LENGTHS, return_states="heads")
    weightings = network.weightings(trace)
    for name, weights in weightings.items():
        assert isinstance(name, str)
        assert weights.shape[:2] == x.shape[:2]
        assert weights.ndim == 3
        assert (weights[~is_present()] == 0).all()
    _, _, whole = network(x, LENGTHS, return_states=True)
    assert_close(network.weightings(whole), weightings)


def test_the_ntm_names_its_write_heads_and_then_its_read_heads():
    network, x = make_network("ntm", n_read_heads=2), make_inputs()
    _, _, trace = network(x, return_states="heads")
    weightings = network.weightings(trace)
    assert list(weightings) == ["write head 0", "read head 0", "read head 1"]
    states = trace.states.memory
    assert torch.equal(weightings["write head 0"], states.write_weights[:, :, 0])
    assert torch.equal(weightings["read head 1"], states.read_weights[:, :, 1])


# Where gradients come from


@ANY_MEMORY
def test_norms_of_the_parts_add_up_to_the_whole(memory):
    network = make_network(memory, n_read_heads=2, n_write_heads=2)
    network(make_inputs())[0].square().sum().backward()
    norms = gradient_norms(network)
    whole = torch.nn.utils.get_total_norm([p.grad for p in network.parameters()])
    assert math.hypot(*norms.values()) == pytest.approx(float(whole))
    assert "readout.weight" in norms


@ANY_MEMORY
def test_parts_are_of_the_memorys_parameters_and_share_no_row(memory):
    made = make_network(memory, n_read_heads=2, n_write_heads=2).cell.memory
    rows = {name: torch.zeros(len(p)) for name, p in made.named_parameters() if p.ndim}
    for part, places in made.parts().items():
        assert isinstance(part, str)
        for name, where in places.items():
            rows[name][where] += 1
    assert all(count.max() <= 1 for count in rows.values())


def test_what_a_memory_does_not_name_goes_by_its_parameters_names(monkeypatch):
    network = make_network("shift register")
    network(make_inputs())[0].sum().backward()
    names = {name for name, _ in network.named_parameters()}
    assert gradient_norms(network).keys() == names

    network = make_network("stack")
    network(make_inputs())[0].sum().backward()
    gradient = network.cell.memory.control.weight.grad
    bias = network.cell.memory.control.bias.grad
    push = torch.cat([gradient[0], bias[:1]]).norm()
    assert gradient_norms(network)["push"] == pytest.approx(float(push))
    monkeypatch.setattr(Stack, "parts", lambda _: {"push": {"control.weight": slice(0, 1)}})
    norms = gradient_norms(network)
    assert norms["push"] == pytest.approx(float(gradient[0].norm()))
    rest = float(gradient[1:].norm())
    assert norms["cell.memory.control.weight"] == pytest.approx(rest)
    assert norms["cell.memory.control.bias"] == pytest.approx(float(bias.norm()))


# Estimators


def fit(memory, **params):
    X, y = make_copy(20, n_bits=2, max_length=3, random_state=0)
    model = NTMSequenceClassifier(memory=memory, **{**SMALL, **params})
    return model.fit(X, y), X, y


@ANY_MEMORY
def test_a_fit_is_consolidated_with_the_memorys_penalty(memory, monkeypatch):
    penalties = []
    memory_class = MEMORIES[memory]
    penalty = memory_class.penalty

    def recorded(self, trace):
        if torch.is_grad_enabled():  # not the trial step of a new network
            penalties.append(penalty(self, trace))
            return penalties[-1]
        return penalty(self, trace)

    monkeypatch.setattr(memory_class, "penalty", recorded)
    monkeypatch.setattr(progress, "LEARNED", math.inf)  # at once
    monkeypatch.setattr(progress, "LOST", math.inf)
    model, X, _ = fit(memory, batch_size=1, consolidation=30, max_epochs=2)
    assert {epoch["phase"] for epoch in model.history_} & {"consolidating", "learned"}
    assert penalties
    assert all(p.requires_grad or not p.any() for p in penalties)
    assert np.isfinite(model.predict_proba(X)[~np.isnan(X).all(axis=2)]).all()


@ANY_MEMORY
def test_a_fit_changes_every_weight_and_records_where_its_gradients_come_from(memory):
    model, _, _ = fit(memory)
    start, _, _ = fit(memory, learning_rate=1e-30)
    weights = dict(model.net_.module_.named_parameters())
    for name, weight in start.net_.module_.named_parameters():
        assert not torch.equal(weights[name], weight), name
    assert model.backend_ == ("fused" if memory in WITH_KERNEL else "reference")
    network = model.net_.module_
    network(torch.randn(2, 3, network.n_inputs))[0].square().sum().backward()
    known = gradient_norms(network).keys()
    assert {epoch["grad_source"] for epoch in model.history_} <= known


@pytest.mark.usefixtures("_close_figures")
@ANY_MEMORY
def test_a_picture_shows_inputs_the_memorys_weightings_and_outputs(memory):
    model, X, _ = fit(memory, n_read_heads=2)
    display = MemoryTraceDisplay.from_estimator(model, X[0])
    network = model.net_.module_
    values = torch.from_numpy(X[:1, : len(display.inputs)]).float()
    expected = network.weightings(network(values, return_states=True)[2])
    assert display.weightings.keys() == expected.keys()
    for name, weights in display.weightings.items():
        np.testing.assert_allclose(weights, expected[name][0].detach(), atol=1e-6)
    display.plot()
    panels = [display.inputs, *display.weightings.values(), display.outputs]
    assert len(display.axes_) == len(panels)
    for ax, panel in zip(display.axes_, panels, strict=True):
        (image,) = ax.images
        np.testing.assert_allclose(image.get_array(), panel.T)


@pytest.mark.usefixtures("_close_figures")
def test_heads_of_any_memory_are_found_by_their_names_and_others_come_after_them():
    model, X, _ = fit("stack")
    display = MemoryTraceDisplay.from_estimator(model, X[0])
    assert display.write_weights is None
    assert display.read_weights.shape == (len(display.inputs), 1, 5)
    assert list(display.other_weights) == ["top of the pile"]
    assert list(display.weightings) == ["read head 0", "top of the pile"]
    display.plot()
    labels = [ax.get_ylabel() for ax in display.axes_]
    rows = "\nmemory row"
    assert labels == ["inputs", f"read head{rows}", f"top of the pile{rows}", "outputs"]
    model, X, _ = fit("shift register")
    display = MemoryTraceDisplay.from_estimator(model, X[0])
    assert display.write_weights is display.read_weights is None
    assert display.weightings == {}


@ANY_MEMORY
def test_an_estimator_with_a_custom_memory_can_be_pickled(memory):
    model, X, y = fit(memory)
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(
        loaded.partial_fit(X, y).predict_proba(X), model.partial_fit(X, y).predict_proba(X)
    )


@pytest.mark.slow
@ANY_MEMORY
def test_a_clone_fits_the_same_and_a_search_compares_the_memory_with_none(memory):
    model, X, y = fit(memory)
    same = clone(model).fit(X, y)
    np.testing.assert_array_equal(same.predict_proba(X), model.predict_proba(X))
    grid = [{"memory": [memory], "memory_size": [3, 5]}, {"memory": [None]}]
    search = GridSearchCV(clone(model), grid, cv=2).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@ANY_MEMORY
def test_a_custom_memory_learns_values_from_the_last_step(memory):
    X, _ = make_copy(20, n_bits=2, max_length=3, random_state=0)
    y = np.nansum(X[..., 0], axis=1)
    model = NTMSequenceRegressor(memory=memory, **{**SMALL, "return_sequences": False})
    assert model.fit(X, y).predict(X).shape == y.shape


def test_options_of_a_custom_memory_can_be_searched():
    model, X, y = fit("shift register", memory_params={"decay": 0.5})
    assert model.net_.module_.cell.memory.decay == 0.5
    grid = {"memory_params__decay": [0.5, 1.0]}
    search = GridSearchCV(model, grid, cv=2).fit(X, y)
    assert search.best_params_["memory_params__decay"] in (0.5, 1.0)
    with pytest.raises(ValueError, match=r"'rate'.*it knows \['decay'\]"):
        fit("shift register", memory_params={"rate": 1})


# The registry


def test_a_memory_is_registered_by_name_and_replaces_one_of_that_name(monkeypatch):
    monkeypatch.setitem(MEMORIES, "mine", Stack)  # undone afterwards
    register_memory("mine", ShiftRegister)
    assert isinstance(SequenceNetwork(3, 2, memory="mine").cell.memory, ShiftRegister)
    assert fit("mine")[0].backend_ == "reference"


@pytest.mark.parametrize(
    ("name", "memory_class", "error", "message"),
    [
        ("ntm", Stack, ValueError, "sknt's own memories; choose another"),
        (3, Stack, TypeError, "name=3 is of type int"),
        ("mine", torch.nn.Linear, TypeError, "not a subclass of sknt.memories.Memory"),
        ("mine", "Stack", TypeError, "not a subclass of sknt.memories.Memory"),
    ],
)
def test_invalid_registrations_are_refused(name, memory_class, error, message):
    before = dict(MEMORIES)
    with pytest.raises(error, match=message):
        register_memory(name, memory_class)
    assert before == MEMORIES


def test_an_estimator_refuses_an_unregistered_memory_and_names_the_registered_ones():
    with pytest.raises(ValueError, match="'memory' parameter.*'shift register'.*'tape'"):
        fit("tape")
    with pytest.raises(ValueError, match=r"memory='tape'.*'stack'.*register_memory"):
        SequenceNetwork(3, 2, memory="tape")


def test_only_its_own_files_and_the_kernels_know_the_ntm():
    package = Path(sknt.__file__).parent
    allowed = {"memories/__init__.py", "memories/ntm.py", "nn/fused.py"}
    own = r"\b(NTMMemory|NTMState|NTMInterface)\b(?!`)"
    for path in package.rglob("*.py"):
        name = path.relative_to(package).as_posix()
        if name not in allowed and not name.startswith("kernels/"):
            code = re.sub(r'"""(?s:.)*?"""', "", path.read_text())
            assert not re.search(own, code), name
    assert NTMMemory.__module__ == "sknt.memories.ntm"
