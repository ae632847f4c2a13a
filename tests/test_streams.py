"""Streams of fresh sequences instead of X and y."""

import numpy as np
import pytest
import torch
from helpers import SMALL, stepwise_classifier, tiny_copy, weights_of

from sknt import NTMSequenceClassifier, NTMSequenceRegressor
from sknt.callbacks import LengthCurriculum
from sknt.datasets import make_copy


def test_a_stream_equals_partial_fits_on_its_parts():
    rng = np.random.RandomState(0)
    parts = [make_copy(20, n_bits=2, max_length=3, random_state=rng) for _ in range(3)]
    model = stepwise_classifier(schedule="constant").fit(iter(parts))
    by_hand = stepwise_classifier(schedule="constant")
    for X, y in parts:
        by_hand.partial_fit(X, y)
    assert torch.equal(weights_of(model), weights_of(by_hand))
    assert model.n_iter_ == 3
    assert [epoch["n_sequences"] for epoch in model.history_] == [20, 40, 60]


def test_a_function_is_called_at_each_epoch_with_a_fresh_random_state():
    seen = []

    def stream(random_state):
        seen.append(random_state.get_state()[1][:5].tolist())
        return tiny_copy(random_state=random_state)

    model = stepwise_classifier(warm_start=True).fit(stream)
    assert len({tuple(state) for state in seen}) == 3
    again = stepwise_classifier().fit(stream)
    assert torch.equal(weights_of(model), weights_of(again))
    model.fit(stream)  # continues with new ones
    assert len({tuple(state) for state in seen}) == 6


def test_a_stream_that_ends_ends_the_training():
    parts = [tiny_copy(random_state=i) for i in range(2)]
    assert stepwise_classifier(max_epochs=9).fit(iter(parts)).n_iter_ == 2


def test_labels_and_values_are_streamed_as_well():
    def labelled(random_state):
        X = random_state.normal(size=(20, 4, 1))
        return X, np.where(X[:, 0, 0] > 0, "up", "down")

    model = NTMSequenceClassifier(**SMALL).fit(labelled)
    assert set(model.classes_) == {"up", "down"}

    def valued(random_state):
        X = random_state.normal(size=(20, 4, 1))
        return X, X[:, 0, 0]

    assert NTMSequenceRegressor(**SMALL).fit(valued).predict(np.zeros((2, 3, 1))).size == 2


class Broken:
    def __init__(self, good):
        self.parts = iter(good)

    def __iter__(self):
        return self

    def __next__(self):
        for part in self.parts:
            return part
        raise OSError("the disk is gone")


def test_a_stream_that_fails_leaves_the_estimator_as_it_was():
    model = stepwise_classifier(warm_start=True).fit(tiny_copy)
    before, history = weights_of(model).clone(), list(model.history_)
    progress = model.net_.progress_
    with pytest.raises(OSError, match="the disk is gone"):
        model.fit(Broken([tiny_copy(random_state=9)]))
    assert torch.equal(weights_of(model), before)
    assert model.history_ == history
    assert model.net_.progress_ == progress
    fresh = stepwise_classifier()
    with pytest.raises(OSError, match="the disk is gone"):
        fresh.fit(Broken([tiny_copy(random_state=9)]))
    assert not hasattr(fresh, "net_")


@pytest.mark.parametrize(
    ("params", "args", "message"),
    [
        ({}, (iter([]),), "the stream is empty"),
        ({}, (iter([1]),), "gave a int"),
        ({}, (tiny_copy, [1]), "y cannot be used"),
        ({"early_stopping": True}, (tiny_copy,), "early_stopping=True cannot be used"),
        ({"class_weight": "balanced"}, (tiny_copy,), "class_weight='balanced' cannot"),
        (
            {"net_params": {"callbacks": [LengthCurriculum(3)]}},
            (iter([tiny_copy(random_state=0)] * 3),),
            "an iterator does not take",
        ),
    ],
)
def test_options_that_a_stream_cannot_support_are_refused(params, args, message):
    model = stepwise_classifier(**params)
    with pytest.raises(ValueError, match=message):
        model.fit(*args)
    assert not hasattr(model, "net_")
