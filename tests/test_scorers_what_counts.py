"""Which steps and weights count in a score."""

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    f1_score,
)
from step_estimators import (
    THREE,
    WORDS,
    StepClassifier,
    StepRegressor,
    StepTagger,
    absent_steps,
    flat,
    labels_for,
    make_sequences_with_gaps,
    scored_places,
    values_for,
)

from sknt.metrics import make_sequence_scorer

nan = np.nan


@pytest.mark.parametrize("missing", [-1, nan])
def test_the_marker_of_missing_targets_is_not_a_class(missing):
    X = make_sequences_with_gaps(3)
    y = labels_for(X, THREE, missing)
    model = StepClassifier(THREE, missing).fit(X)
    places = scored_places(X, y, missing)
    scorer = make_sequence_scorer("f1_macro", missing_target=missing)
    assert scorer(model, X, y) == pytest.approx(
        f1_score(flat(y, places), flat(model.predict(X), places), average="macro")
    )


def test_none_can_mark_missing_targets_among_words():
    X = make_sequences_with_gaps(3)
    y = labels_for(X, WORDS, missing=None)
    model = StepClassifier(WORDS).fit(X)
    places = scored_places(X, y, None)
    scorer = make_sequence_scorer("accuracy", missing_target=None)
    assert scorer(model, X, y) == pytest.approx(
        accuracy_score(flat(y, places), flat(model.predict(X), places))
    )


@pytest.mark.parametrize("at_absent_steps", [0, 2, -7, 1e9, np.inf])
def test_labels_at_absent_steps_never_count(at_absent_steps):
    X = make_sequences_with_gaps(3)
    y = labels_for(X)
    model = StepClassifier().fit(X)
    changed = np.where(absent_steps(X), at_absent_steps, y)
    assert not np.array_equal(changed, y, equal_nan=True)
    for metric in ["accuracy", "f1_macro", "neg_log_loss"]:
        scorer = make_sequence_scorer(metric)
        assert scorer(model, X, changed) == scorer(model, X, y)


def test_values_at_absent_steps_never_count():
    X = make_sequences_with_gaps(2)
    y = values_for(X)
    model = StepRegressor().fit(X)
    scorer = make_sequence_scorer("r2")
    for value in [0.0, 1e9, np.inf]:
        changed = np.where(np.isnan(X), value, y)
        assert scorer(model, X, changed) == scorer(model, X, y)


def test_predictions_without_a_target_never_count():
    X = make_sequences_with_gaps(3)
    y = labels_for(X)
    counted = np.zeros(y.shape, dtype=bool)
    for place in scored_places(X, y):
        counted[place] = True
    scorer = make_sequence_scorer("accuracy")
    X_changed = np.where((counted | absent_steps(X))[..., np.newaxis], X, -5 * X)
    model = StepClassifier().fit(X)
    assert not np.array_equal(model.predict(X_changed), model.predict(X), equal_nan=True)
    assert scorer(model, X_changed, y) == scorer(model, X, y)


def test_a_changed_target_that_counts_changes_the_score():
    X = make_sequences_with_gaps(3)
    y = labels_for(X)
    model = StepClassifier().fit(X)
    places = scored_places(X, y)
    scorer = make_sequence_scorer("accuracy")
    before = scorer(model, X, y)
    right = next(p for p in places if y[p] == model.predict(X)[p])
    y[right] = (y[right] + 1) % 3
    assert scorer(model, X, y) == pytest.approx(before - 1 / len(places))


def test_adding_absent_steps_changes_no_score():
    X = make_sequences_with_gaps(3)
    y = labels_for(X)
    model = StepClassifier().fit(X)
    longer = np.insert(X, [0, 2, 5], nan, axis=1)
    targets = np.insert(y, [0, 2, 5], nan, axis=1)
    scorer = make_sequence_scorer("neg_log_loss")
    assert scorer(model, longer, targets) == pytest.approx(scorer(model, X, y))


@pytest.mark.parametrize("as_weights", [np.array, list])
def test_a_samples_weight_is_that_of_each_of_its_steps(as_weights):
    X = make_sequences_with_gaps(3)
    y = labels_for(X)
    weights = [0.5, 2, 0, 1, 3, 1, 1, 4, 0.25]
    model = StepClassifier().fit(X)
    places = scored_places(X, y)
    expected = accuracy_score(
        flat(y, places),
        flat(model.predict(X), places),
        sample_weight=[weights[i] for i, _ in places],
    )
    scorer = make_sequence_scorer("accuracy")
    score = scorer(model, X, y, sample_weight=as_weights(weights))
    assert score == pytest.approx(expected)
    assert score != pytest.approx(scorer(model, X, y))


def test_a_samples_weight_works_for_metrics_of_probabilities_and_of_indicators():
    weights = np.arange(9.0)
    X = make_sequences_with_gaps(3)
    y = labels_for(X)
    model = StepClassifier().fit(X)
    places = scored_places(X, y)
    w = [weights[i] for i, _ in places]
    logs = [np.log(model.predict_proba(X)[i, t, int(y[i, t])]) for i, t in places]
    score = make_sequence_scorer("neg_log_loss")(model, X, y, sample_weight=weights)
    assert score == pytest.approx(np.average(logs, weights=w))

    y = np.where(np.isnan(values_for(X)), nan, values_for(X) > 0)
    tagger = StepTagger().fit(X)
    places = scored_places(X, y)
    w = [weights[i] for i, _ in places]
    right = (flat(y, places) == flat(tagger.predict(X), places)).all(axis=1)
    score = make_sequence_scorer("accuracy")(tagger, X, y, sample_weight=weights)
    assert score == pytest.approx(np.average(right, weights=w))


@pytest.mark.parametrize("n_weights", [1, 3, 10])
def test_another_number_of_weights_is_refused_as_scikit_learn_does(n_weights):
    X = make_sequences_with_gaps(3)
    y = labels_for(X)
    model = StepClassifier().fit(X)
    with pytest.raises(ValueError, match=r"sample_weight|inconsistent numbers"):
        make_sequence_scorer("accuracy")(model, X, y, sample_weight=np.ones(n_weights))
