"""Scorers of steps, against scikit-learn's metrics on a flat list."""

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    hamming_loss,
    log_loss,
    mean_absolute_error,
    mean_squared_error,
    r2_score,
    roc_auc_score,
)
from step_estimators import (
    THREE,
    WORDS,
    StepClassifier,
    StepRegressor,
    StepTagger,
    flat,
    labels_for,
    make_sequences_with_gaps,
    scored_places,
    values_for,
)

from sknt.metrics import make_sequence_scorer

nan = np.nan


# Classifiers


@pytest.mark.parametrize("classes", [THREE, WORDS], ids=["numbers", "words"])
@pytest.mark.parametrize(
    ("scorer", "expected"),
    [
        (make_sequence_scorer("accuracy"), accuracy_score),
        (make_sequence_scorer(accuracy_score), accuracy_score),
        (
            make_sequence_scorer("f1_macro"),
            lambda y, labels: f1_score(y, labels, average="macro"),
        ),
        (
            make_sequence_scorer(f1_score, average="macro"),
            lambda y, labels: f1_score(y, labels, average="macro"),
        ),
        (
            make_sequence_scorer(hamming_loss, greater_is_better=False),
            lambda y, labels: -hamming_loss(y, labels),
        ),
    ],
    ids=["accuracy", "accuracy function", "f1_macro", "f1 function", "a loss"],
)
def test_a_metric_of_labels_equals_that_of_the_flat_list_of_steps(
    scorer, expected, classes
):
    X = make_sequences_with_gaps(3)
    y = labels_for(X, classes)
    model = StepClassifier(classes).fit(X)
    places = scored_places(X, y)
    assert 0.3 < accuracy_score(flat(y, places), flat(model.predict(X), places)) < 1
    score = scorer(model, X, y)
    assert score == pytest.approx(expected(flat(y, places), flat(model.predict(X), places)))


@pytest.mark.parametrize("classes", [THREE, WORDS], ids=["numbers", "words"])
@pytest.mark.parametrize(
    "scorer",
    [
        make_sequence_scorer(
            log_loss, response_method="predict_proba", greater_is_better=False
        ),
        make_sequence_scorer("neg_log_loss"),
    ],
    ids=["function", "name"],
)
def test_a_metric_of_probabilities_gets_those_of_the_steps(scorer, classes):
    X = make_sequences_with_gaps(3)
    y = labels_for(X, classes)
    model = StepClassifier(classes).fit(X)
    places = scored_places(X, y)
    column = {label: k for k, label in enumerate(classes)}
    logs = [np.log(model.predict_proba(X)[place][column[y[place]]]) for place in places]
    assert scorer(model, X, y) == pytest.approx(np.mean(logs))


@pytest.mark.parametrize("classes", [(0, 1), ("no", "yes")])
@pytest.mark.parametrize("response", ["decision_function", "predict_proba"])
def test_a_ranking_metric_of_two_classes_gets_the_positive_ones_scores(classes, response):
    X = make_sequences_with_gaps(2)
    y = labels_for(X, classes)
    model = StepClassifier(classes).fit(X)
    places = scored_places(X, y)
    higher = X[..., 1] - X[..., 0]
    positive = [higher[p] for p in places if y[p] == classes[1]]
    negative = [higher[p] for p in places if y[p] == classes[0]]
    expected = np.mean([[p > n for n in negative] for p in positive])
    scorer = make_sequence_scorer(roc_auc_score, response_method=response)
    assert scorer(model, X, y) == pytest.approx(expected)
    assert make_sequence_scorer("roc_auc")(model, X, y) == pytest.approx(expected)


@pytest.mark.parametrize("n_outputs", [2, 3])
@pytest.mark.parametrize(
    ("scorer", "expected"),
    [
        (make_sequence_scorer("accuracy"), lambda y, p: np.mean((y == p).all(axis=1))),
        (
            make_sequence_scorer(hamming_loss),
            lambda y, p: np.mean(y != p),
        ),
        (
            make_sequence_scorer("f1_macro"),
            lambda y, p: f1_score(y, p, average="macro"),
        ),
    ],
    ids=["all right", "each", "f1_macro"],
)
def test_indicators_of_a_step_stay_one_row(scorer, expected, n_outputs):
    X = make_sequences_with_gaps(n_outputs)
    y = np.where(np.isnan(values_for(X)), nan, values_for(X) > 0)
    model = StepTagger().fit(X)
    places = scored_places(X, y)
    score = scorer(model, X, y)
    assert score == pytest.approx(expected(flat(y, places), flat(model.predict(X), places)))
    assert 0 < score < 1


@pytest.mark.parametrize("n_outputs", [2, 3])
def test_probabilities_of_indicators_keep_all_their_columns(n_outputs):
    X = make_sequences_with_gaps(n_outputs)
    y = np.where(np.isnan(values_for(X)), nan, values_for(X) > 0)
    model = StepTagger().fit(X)
    places = scored_places(X, y)
    targets, chances = flat(y, places), flat(model.predict_proba(X), places)
    expected = np.mean(
        [roc_auc_score(targets[:, k], chances[:, k]) for k in range(n_outputs)]
    )
    scorer = make_sequence_scorer(roc_auc_score, response_method="predict_proba")
    assert scorer(model, X, y) == pytest.approx(expected)


# Regressors


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("r2", r2_score),
        (r2_score, r2_score),
        ("neg_mean_squared_error", lambda y, p: -mean_squared_error(y, p)),
        ("neg_mean_absolute_error", lambda y, p: -mean_absolute_error(y, p)),
    ],
)
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_a_metric_of_values_equals_that_of_the_flat_list_of_steps(
    metric, expected, n_outputs
):
    X = make_sequences_with_gaps(n_outputs)
    y = values_for(X)[..., 0] if n_outputs == 1 else values_for(X)
    model = StepRegressor().fit(X)
    places = scored_places(X, y)
    assert make_sequence_scorer(metric)(model, X, y) == pytest.approx(
        expected(flat(y, places), flat(model.predict(X), places))
    )


# Errors


@pytest.mark.parametrize("missing", [nan, -1])
def test_targets_that_are_all_missing_or_absent_leave_nothing_to_score(missing):
    X = make_sequences_with_gaps(3)
    model = StepClassifier(THREE, missing).fit(X)
    scorer = make_sequence_scorer("accuracy", missing_target=missing)
    y = np.full(X.shape[:2], missing)
    with pytest.raises(ValueError, match="nothing to score"):
        scorer(model, X, y)
    y[0, 4] = 1  # an absent step
    with pytest.raises(ValueError, match="nothing to score"):
        scorer(model, X, y)


def test_a_step_with_only_some_of_its_outputs_is_refused_with_its_place():
    X = make_sequences_with_gaps(2)
    y = values_for(X)
    y[6, 3, 1] = nan
    model = StepRegressor().fit(X)
    with pytest.raises(ValueError, match="sample 6, step 3"):
        make_sequence_scorer("r2")(model, X, y)


def test_partial_outputs_at_an_absent_step_are_not_refused():
    X = make_sequences_with_gaps(2)
    y = values_for(X)
    model = StepRegressor().fit(X)
    before = make_sequence_scorer("r2")(model, X, y)
    y[0, 4] = [1.0, nan]
    assert make_sequence_scorer("r2")(model, X, y) == before


def test_targets_for_sequences_are_refused():
    X = make_sequences_with_gaps(3)
    model = StepClassifier().fit(X)
    with pytest.raises(ValueError, match="a target for each step"):
        make_sequence_scorer("accuracy")(model, X, np.zeros(len(X)))


def test_a_name_takes_no_arguments_because_its_scorer_has_them_already():
    with pytest.raises(ValueError, match=r"'f1_macro'.*average"):
        make_sequence_scorer("f1_macro", average="micro")


def test_a_name_that_scikit_learn_does_not_know_is_refused_at_once():
    with pytest.raises(ValueError, match="acuracy"):
        make_sequence_scorer("acuracy")
