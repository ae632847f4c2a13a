"""Unusual but valid input is accepted; what cannot be read is refused by name."""

import pickle
from collections import deque
from functools import partial

import numpy as np
import pytest
import torch
from helpers import small_classifier, small_regressor, weights_of
from numpy.testing import assert_array_equal

from sknt import mark_padding, unpad_sequences
from sknt.inspection import MemoryTraceDisplay
from sknt.metrics import bits_per_sequence
from sknt.preprocessing import StepwiseTransformer, ToSequence

X = np.random.RandomState(0).normal(size=(12, 4, 2)).astype(np.float32)
LABELS = np.arange(12) % 2
VALUES = X[:, 0, 0]

tensor = partial(torch.tensor, requires_grad=True)


def list_of_tensors(values):
    return [tensor(value) for value in values]


def list_of_half_tensors(values):
    return [torch.tensor(value).to(torch.bfloat16) for value in values]


def predictions(X, y, Estimator=small_regressor, **params):
    return Estimator(**params).fit(X, y).predict(X)


@pytest.mark.parametrize("convert", [tensor, list_of_tensors, deque])
def test_tensors_with_gradients_and_deques_are_read_like_arrays(convert):
    expected = predictions(X, VALUES)
    assert_array_equal(predictions(convert(X), VALUES), expected)
    assert_array_equal(predictions(convert(X), convert(VALUES)), expected)
    steps = {"return_sequences": True}
    expected = predictions(X, X[..., 0], **steps)
    assert_array_equal(predictions(convert(X), convert(X[..., 0]), **steps), expected)
    table = predictions(X[..., 0], VALUES)
    assert_array_equal(predictions(convert(X[..., 0]), VALUES), table)


def test_ragged_deques_are_lists_of_sequences():
    ragged = [steps[: 2 + i % 3] for i, steps in enumerate(X)]
    expected = predictions(ragged, VALUES)
    assert_array_equal(predictions(deque(ragged), deque(VALUES)), expected)


def test_half_precision_is_read_without_loss():
    rounded = torch.tensor(X).to(torch.bfloat16)
    expected = predictions(rounded.float().numpy(), VALUES)
    assert_array_equal(predictions(rounded, VALUES), expected)
    assert_array_equal(predictions(list_of_half_tensors(X), VALUES), expected)


def test_tensors_with_gradients_are_taken_everywhere():
    model = small_classifier().fit(tensor(X), LABELS, tensor(np.ones(12)))
    assert_array_equal(model.predict(tensor(X)), model.predict(X))
    assert model.score(tensor(X), torch.tensor(LABELS)) == model.score(X, LABELS)
    display = MemoryTraceDisplay.from_estimator(model, tensor(X[0]))
    assert display.inputs.shape == (4, 2)
    for transformer, data in ((StepwiseTransformer(), X), (ToSequence(), X[..., 0])):
        transformed = transformer.fit_transform(data)
        assert_array_equal(transformer.fit_transform(tensor(data)), transformed)
    assert_array_equal(mark_padding(tensor(X), 0), mark_padding(X, 0))
    assert_array_equal(unpad_sequences(tensor(X))[0], unpad_sequences(X)[0])
    y, proba = np.ones((3, 2, 2)), np.full((3, 2, 2), 0.5)
    assert bits_per_sequence(tensor(y), tensor(proba)) == bits_per_sequence(y, proba)


@pytest.mark.parametrize("backend", ["fused", "reference"])
@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_a_fit_is_the_same_in_every_mode_of_torch(backend, mode):
    model = small_classifier(backend=backend, warm_start=True)
    expected = weights_of(model.fit(X, LABELS)).clone()
    with mode():
        model = small_classifier(backend=backend, warm_start=True).fit(X, LABELS)
        assert torch.equal(weights_of(model), expected)
        model = pickle.loads(pickle.dumps(model))
    twin = small_classifier(backend=backend, warm_start=True).fit(X, LABELS)
    assert torch.equal(weights_of(model.fit(X, LABELS)), weights_of(twin.fit(X, LABELS)))


def test_a_function_that_raises_stop_iteration_ends_the_stream():
    pairs = iter([(X, LABELS)] * 2)
    model = small_classifier(max_epochs=9).fit(lambda random_state: next(pairs))
    assert model.n_iter_ == 2


def test_classes_missing_from_a_streams_first_pair_can_be_announced():
    labels = np.arange(12) % 3
    first, rest = labels != 1, labels == 1
    pairs = [(X[first], labels[first]), (X[rest], labels[rest])]
    with pytest.raises(ValueError, match=r"classes \[1\].*classes=\[\.\.\.\]"):
        small_classifier().fit(iter(pairs))
    model = small_classifier().fit(iter(pairs), classes=[2, 0, 1])
    assert_array_equal(model.classes_, [0, 1, 2])
    assert model.predict_proba(X).shape == (12, 3)
    # Of data as well: part of them in cross-validation, for instance.
    model = small_classifier().fit(X[first], labels[first], classes=[0, 1, 2])
    assert_array_equal(model.classes_, [0, 1, 2])


@pytest.mark.parametrize(
    ("Estimator", "y", "message"),
    [
        (small_regressor, [10**400, 1] * 6, "y is not numeric: int too large"),
        (small_classifier, [10**400, 1] * 6, "more than 64 bits"),
        (small_classifier, [{"a": 1}, {"b": 2}] * 6, "label {'a': 1} of type dict"),
        (small_classifier, [("a", 1), ("b", 2)] * 6, "y mixes text with other labels"),
    ],
)
def test_labels_and_values_that_cannot_be_read_are_refused_by_name(Estimator, y, message):
    with pytest.raises(ValueError, match=message):
        Estimator().fit(X, y)


def test_tuples_in_an_array_of_objects_are_not_labels():
    y = np.empty(12, dtype=object)
    y[:] = [("a", 1), ("b", 2)] * 6
    with pytest.raises(ValueError, match=r"label \('a', 1\) of type tuple"):
        small_classifier().fit(X, y)


def test_a_device_that_holds_no_data_is_refused():
    with pytest.raises(ValueError, match="device='meta' is not available"):
        small_classifier(device="meta").fit(X, LABELS)


@pytest.mark.parametrize(
    "unreadable",
    [lambda tensor: tensor.to_sparse(), lambda tensor: tensor.to("meta")],
    ids=["sparse", "meta"],
)
def test_tensors_without_plain_numbers_are_refused(unreadable):
    tensors, values = torch.tensor(X).float(), torch.tensor(VALUES).float()
    for bad in (unreadable(tensors), [unreadable(part) for part in tensors]):
        with pytest.raises(TypeError, match="cannot be read; give a dense one"):
            small_regressor().fit(bad, VALUES)
    with pytest.raises(TypeError, match="cannot be read; give a dense one"):
        small_regressor().fit(X, unreadable(values))
