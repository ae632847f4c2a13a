"""Sessions: steps and chunks give what whole sequences give at once."""

import numpy as np
import pytest
from foreign_memories import ShiftRegister
from helpers import small_regressor
from online_helpers import (
    N_SEQUENCES,
    N_STEPS,
    X,
    assert_equal,
    fitted,
    random_parts,
    sequence_model,
    stepwise_model,
    value_model,
)

from sknt.memories import MEMORIES
from sknt.nn import CONTROLLERS, POOLINGS

BACKENDS = ("fused", "reference")
ANY_BACKEND = pytest.mark.parametrize("backend", BACKENDS)
STEPS = [slice(t, t + 1) for t in range(N_STEPS)]


def assert_same_in_parts(model, method="predict_proba"):
    """Compare outputs for each step in any division with those of whole sequences."""
    whole = getattr(model, method)(X)
    alone = model.start()
    side_by_side = model.start(N_SEQUENCES)
    for parts in (STEPS, *map(random_parts, range(2))):
        outputs = [getattr(side_by_side, method)(X[:, part]) for part in parts]
        assert_equal(model, np.concatenate(outputs, axis=1), whole)
        side_by_side.reset()
    for sequence, expected in zip(X[1:3], whole[1:3], strict=True):
        outputs = [getattr(alone, method)(step) for step in sequence]
        assert_equal(model, outputs, expected)
        alone.reset()


@ANY_BACKEND
@pytest.mark.parametrize("memory", [*MEMORIES, None])
def test_any_division_gives_the_outputs_of_whole_sequences(memory, backend):
    assert_same_in_parts(stepwise_model(memory=memory, backend=backend))


@ANY_BACKEND
@pytest.mark.parametrize("memory", ["ntm", None])
@pytest.mark.parametrize("controller", CONTROLLERS)
def test_any_controller_of_several_layers(controller, memory, backend):
    model = stepwise_model(
        memory=memory, backend=backend, controller=controller, n_layers=2
    )
    assert_same_in_parts(model)


@ANY_BACKEND
def test_a_memory_of_several_hops(backend):
    params = {"memory": "dntm", "memory_params": {"n_hops": 2}}
    assert_same_in_parts(stepwise_model(backend=backend, **params))


def test_a_memory_without_a_kernel(monkeypatch):
    monkeypatch.setitem(MEMORIES, "foreign", ShiftRegister)
    assert_same_in_parts(stepwise_model(memory="foreign"))


def test_more_sequences_than_a_block_of_the_kernels_has():
    model = stepwise_model()
    many = np.random.RandomState(1).normal(size=(40, 6, 3))
    session = model.start(40)
    outputs = [session.predict_proba(many[:, t]) for t in range(6)]
    assert_equal(model, np.stack(outputs, axis=1), model.predict_proba(many))


@ANY_BACKEND
@pytest.mark.parametrize("method", ["predict", "decision_function"])
def test_labels_and_scores(method, backend):
    assert_same_in_parts(stepwise_model(backend=backend), method)


def assert_same_as_of_now(model, method="predict_proba"):
    """Compare outputs after each part with those of the sequences so far."""
    for parts in (STEPS, random_parts(0)):
        session = model.start(N_SEQUENCES)
        for part in parts:
            outputs = getattr(session, method)(X[:, part])
            so_far = X[:, : part.stop]
            has_begun = ~np.isnan(so_far).all(axis=(1, 2))
            assert np.isnan(outputs[~has_begun]).all()
            if has_begun.any():
                expected = getattr(model, method)(so_far[has_begun])
                np.testing.assert_allclose(
                    outputs[has_begun], expected, rtol=1e-9, atol=1e-12
                )


@ANY_BACKEND
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("patch_size", [1, 4])
def test_one_output_per_sequence_is_that_if_it_ended_now(pooling, patch_size, backend):
    model = sequence_model(
        pooling=pooling, patch_size=patch_size, backend=backend, memory="ntm"
    )
    assert_same_as_of_now(model)


@pytest.mark.parametrize("memory", ["dnc", "sam", None])
def test_patches_of_other_memories(memory):
    assert_same_as_of_now(value_model(memory=memory, patch_size=3), "predict")


def test_units_of_inputs_and_targets_are_those_of_fit():
    y = 1e5 + 1e3 * np.random.RandomState(0).normal(size=(N_SEQUENCES, 2))
    X_large = 3e4 + 700 * X
    model = fitted(small_regressor, y, X_large, patch_size=2)
    assert model.input_scale_.min() > 1
    session = model.start(N_SEQUENCES)
    for t in range(1, N_STEPS):
        values = session.predict(X_large[:, t - 1])
    np.testing.assert_allclose(values, model.predict(X_large[:, : N_STEPS - 1]), rtol=1e-12)


@ANY_BACKEND
def test_targets_of_several_outputs_at_each_step(backend):
    y = np.random.RandomState(0).normal(size=(N_SEQUENCES, N_STEPS, 2))
    params = {"return_sequences": True, "missing_target": -1.0, "backend": backend}
    model = fitted(small_regressor, y, **params)
    assert (model.predict(X)[np.isnan(X[..., 0])] == -1).all()
    assert_same_in_parts(model, "predict")


def test_numbers_that_overflow_in_the_kernels_are_computed_in_double_precision():
    y = np.random.RandomState(0).normal(size=(N_SEQUENCES, N_STEPS))
    model = fitted(small_regressor, y, return_sequences=True)
    readout = model.net_.module_.readout
    readout.bias.data.zero_()
    readout.weight.data.fill_(1.0)
    sums = (model.predict(X[:1])[0] - model.target_mean_) / model.target_scale_
    second, largest = np.sort(np.abs(sums))[-2:]
    assert largest > 1
    readout.weight.data.fill_(np.finfo(np.float32).max / max(1, (second + largest) / 2))
    whole = model.predict(X[:1])[0]
    assert np.isfinite(whole).all()
    session = model.start()
    outputs, backends = [], []
    for step in X[0]:
        outputs.append(session.predict(step))
        backends.append(session.backend)
    np.testing.assert_allclose(outputs, whole, rtol=1e-4, atol=1e-5 * np.abs(whole).max())
    assert (backends[0], backends[-1]) == ("fused", "reference")
    session.reset()
    assert session.backend == "fused"
