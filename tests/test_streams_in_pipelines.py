"""Pipelines that end in an estimator fitted on a stream."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import SMALL, small_classifier, stepwise_classifier, tiny_copy, weights_of
from numpy.testing import assert_array_equal
from sklearn.feature_selection import SelectKBest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from stepwise_helpers import FAST, LABELS, columns_apart, sequences

from sknt import NTMSequenceClassifier
from sknt.callbacks import LengthCurriculum
from sknt.preprocessing import NestedToSequence, StepwiseTransformer, ToSequence


def scaled(**params):
    return make_pipeline(
        StepwiseTransformer(StandardScaler()), stepwise_classifier(**params)
    )


def copies(n=3):
    """Pairs whose inputs have another scale in each."""
    pairs = [tiny_copy(random_state=seed) for seed in range(n)]
    return [((scale + 1) * X + scale, y) for scale, (X, y) in enumerate(pairs)]


def test_an_iterators_first_pair_is_learned_from_and_is_trained_on_as_well():
    pairs = copies()
    model = scaled(schedule="constant").fit(iter(pairs))
    scaler = StepwiseTransformer(StandardScaler()).fit(pairs[0][0])
    assert_array_equal(model[0].transformer_.mean_, scaler.transformer_.mean_)
    by_hand = stepwise_classifier(schedule="constant")
    by_hand.fit(iter([(scaler.transform(X), y) for X, y in pairs]))
    assert torch.equal(weights_of(model[-1]), weights_of(by_hand))
    assert model[-1].n_iter_ == 3
    X = pairs[1][0]
    assert_array_equal(model.predict(X), by_hand.predict(scaler.transform(X)))


def test_a_function_keeps_its_arguments_and_its_random_states():
    seen = []

    def stream(random_state, max_length=3):
        seen.append((max_length, random_state.get_state()[1][:4].tolist()))
        return tiny_copy(random_state=random_state, max_length=max_length)

    curriculum = LengthCurriculum(3, start=2, parameter="max_length")
    params = {"net_params": {"callbacks": [curriculum]}}
    model = scaled(**params).fit(stream)
    first, *rest = seen
    seen.clear()
    stepwise_classifier(**params).fit(stream)
    assert rest == seen  # what the estimator asks for is what it asks for by itself
    assert {length for length, _ in rest} == {2}
    assert first[0] == 3
    X, _ = tiny_copy(random_state=np.random.RandomState(0))
    assert_array_equal(
        model[0].transformer_.mean_, StepwiseTransformer().fit(X).transformer_.mean_
    )


def test_fits_on_a_function_repeat():
    models = [scaled().fit(tiny_copy) for _ in range(2)]
    assert torch.equal(*(weights_of(model[-1]) for model in models))
    X, _ = tiny_copy(random_state=5)
    assert_array_equal(*(model.predict(X) for model in models))


def test_pairs_are_asked_for_one_at_a_time():
    asked = []

    def generate():
        for pair in copies(9):
            asked.append(len(asked))
            yield pair

    stream = StepwiseTransformer().fit_transform(generate())
    assert asked == [0]
    next(stream)
    assert asked == [0]  # the first pair again
    next(stream)
    assert asked == [0, 1]
    scaled(max_epochs=2).fit(generate())


def test_transformers_follow_one_another_with_text_and_static_features():
    def pairs():
        for seed in range(3):
            frames = sequences(pd.DataFrame, names=("kind", "a"))
            X = pd.DataFrame({"step": frames, "age": np.arange(12) + seed})
            yield X, LABELS

    columns = columns_apart(handle_unknown="ignore").set_params(
        k__handle_unknown="ignore", remainder="drop"
    )
    columns.transformers = [
        (name, inner, [f"step.{own}" for own in names])
        for name, inner, names in columns.transformers
    ]
    model = make_pipeline(
        NestedToSequence(),
        StepwiseTransformer(columns),
        StepwiseTransformer(),
        small_classifier(max_epochs=2, **FAST),
    ).fit(pairs())
    X, _ = next(pairs())
    assert model.predict(X).shape == (12,)


def test_a_table_is_turned_into_sequences():
    X = np.random.RandomState(0).normal(size=(3, 20, 8))
    y = (X[..., 0] > 0).astype(int)
    model = make_pipeline(ToSequence(n_features=2), NTMSequenceClassifier(**SMALL))
    model.fit(iter([*zip(X, y, strict=True)]))
    by_hand = NTMSequenceClassifier(**SMALL)
    by_hand.fit(iter([*zip(X.reshape(3, 20, 4, 2), y, strict=True)]))
    assert torch.equal(weights_of(model[-1]), weights_of(by_hand))


def test_targets_of_the_first_pair_reach_the_transformer():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(20, 3, 4))
    y = (X[:, 0, 0] > 0).astype(int)
    X[..., 2] += 9 * y[:, np.newaxis]
    stepwise = StepwiseTransformer(SelectKBest(k=1))
    chosen, labels = next(stepwise.fit_transform(iter([(X, y)])))
    assert_array_equal(chosen, X[..., [2]])
    assert_array_equal(labels, y)
    by_fit = StepwiseTransformer(SelectKBest(k=1)).fit(iter([(X, y)]))
    assert_array_equal(by_fit.transform(X), chosen)


@pytest.mark.parametrize("make", [StepwiseTransformer, ToSequence, NestedToSequence])
@pytest.mark.parametrize(
    ("args", "message"),
    [
        (lambda: (iter([]),), "the stream is empty"),
        (lambda: (iter([1]),), "gave a int; it should give a tuple"),
        (lambda: (lambda random_state: None,), "gave a NoneType"),
        (lambda: (tiny_copy, [1]), "y cannot be used when X is a stream"),
        (lambda: (tiny_copy, np.ones(2)), "y cannot be used when X is a stream"),
    ],
    ids=["empty", "no pair", "no pair of a function", "y besides", "an array besides"],
)
def test_streams_that_cannot_be_used_are_refused(make, args, message):
    for call in (make().fit_transform, make().fit):
        with pytest.raises(ValueError, match=message):
            call(*args())


def test_a_later_pair_that_is_none_is_refused_when_it_comes():
    X, y = copies(1)[0]
    stream = StepwiseTransformer().fit_transform(iter([(X, y), X]))
    next(stream)
    with pytest.raises(ValueError, match="gave a ndarray"):
        next(stream)


@pytest.mark.parametrize("stream", [tiny_copy, iter([]), partial(tiny_copy)])
def test_a_stream_at_prediction_is_refused(stream):
    model = scaled(max_epochs=1).fit(*tiny_copy(random_state=0))
    for call in (model.predict, model[0].transform, model[0].partial_fit):
        with pytest.raises(TypeError, match="for fit and fit_transform only"):
            call(stream)
    with pytest.raises(TypeError, match="for fit and fit_transform only"):
        ToSequence().fit(np.ones((2, 3))).transform(stream)
    people = pd.DataFrame({"a": [[1.0], [2.0]]})
    with pytest.raises(TypeError, match="for fit and fit_transform only"):
        NestedToSequence().fit(people).transform(stream)
