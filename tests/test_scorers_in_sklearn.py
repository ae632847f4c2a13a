"""Scorers where scikit-learn takes them, and on trained networks."""

import pickle

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.impute import SimpleImputer
from sklearn.metrics import (
    accuracy_score,
    f1_score,
)
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from step_estimators import (
    THREE,
    WORDS,
    StepClassifier,
    absent_steps,
    flat,
    labels_for,
    make_sequences_with_gaps,
    scored_places,
)

from sknt import NTMSequenceClassifier, unpad_sequences
from sknt.metrics import make_sequence_scorer
from sknt.preprocessing import StepwiseTransformer, ToSequence

nan = np.nan


@pytest.mark.parametrize("missing", [nan, -1])
@pytest.mark.parametrize(
    ("metric", "kwargs"),
    [("f1_macro", {}), (f1_score, {"average": "macro"})],
    ids=["name", "function"],
)
def test_a_scorer_survives_pickling(metric, kwargs, missing):
    X = make_sequences_with_gaps(3)
    y = labels_for(X, THREE, missing)
    model = StepClassifier(THREE, missing).fit(X)
    scorer = make_sequence_scorer(metric, missing_target=missing, **kwargs)
    again = pickle.loads(pickle.dumps(scorer))
    assert again(model, X, y) == scorer(model, X, y)


@pytest.mark.parametrize("classes", [THREE, WORDS], ids=["numbers", "words"])
def test_cross_validation_scores_each_fold_by_its_own_steps(classes):
    X = make_sequences_with_gaps(3)
    y = labels_for(X, classes)
    model = StepClassifier(classes)
    folds = KFold(3)
    scores = cross_val_score(
        model, X, y, cv=folds, scoring=make_sequence_scorer("accuracy")
    )
    for score, (_, test) in zip(scores, folds.split(X), strict=True):
        predicted = model.fit(X).predict(X[test])
        places = scored_places(X[test], y[test])
        assert score == pytest.approx(
            accuracy_score(flat(y[test], places), flat(predicted, places))
        )


def test_several_scorers_serve_one_cross_validation():
    X = make_sequences_with_gaps(3)
    y = labels_for(X)
    scorers = {
        "accuracy": make_sequence_scorer("accuracy"),
        "f1": make_sequence_scorer(f1_score, average="macro"),
        "loss": make_sequence_scorer("neg_log_loss"),
    }
    folds = KFold(2)
    result = cross_validate(
        StepClassifier(), X, y, cv=folds, scoring=scorers, error_score="raise"
    )
    model = StepClassifier().fit(X)
    for fold, (_, test) in enumerate(folds.split(X)):
        for name, scorer in scorers.items():
            assert result[f"test_{name}"][fold] == scorer(model, X[test], y[test])


def test_a_search_chooses_by_the_score_of_the_steps():
    X = make_sequences_with_gaps(3)
    y = labels_for(X)
    search = GridSearchCV(
        StepClassifier(),
        {"temperature": [0.01, 1.0, 100.0]},
        cv=KFold(2),
        scoring=make_sequence_scorer("neg_log_loss"),
        error_score="raise",
    ).fit(X, y)
    places = scored_places(X, y)
    losses = []
    for temperature in [0.01, 1.0, 100.0]:
        chances = softmax(X / temperature, axis=-1)
        losses.append(-np.mean([np.log(chances[i, t, int(y[i, t])]) for i, t in places]))
    assert np.argmin(losses) == 1
    assert search.best_params_ == {"temperature": 1.0}


@pytest.fixture(scope="module")
def trained():
    X = make_sequences_with_gaps(3)
    y = labels_for(X, WORDS)
    model = NTMSequenceClassifier(
        memory_size=4,
        word_size=3,
        hidden_size=6,
        max_epochs=1,
        return_sequences=True,
        random_state=0,
    )
    return model.fit(X, y), X, y


def test_a_network_is_scored_as_by_its_own_score(trained):
    model, X, y = trained
    weights = np.arange(1.0, 10.0)
    scorer = make_sequence_scorer("accuracy")
    assert scorer(model, X, y) == pytest.approx(model.score(X, y))
    assert scorer(model, X, y, sample_weight=weights) == pytest.approx(
        model.score(X, y, sample_weight=weights)
    )


def test_a_network_is_scored_by_the_probabilities_of_its_steps(trained):
    model, X, y = trained
    chances = model.predict_proba(X)
    places = scored_places(X, y)
    logs = [np.log(chances[place][WORDS.index(y[place])]) for place in places]
    score = make_sequence_scorer("neg_log_loss")(model, X, y)
    assert score == pytest.approx(np.mean(logs))


def test_lists_of_sequences_and_targets_are_scored_like_arrays(trained):
    model, X, y = trained
    targets = [
        y[i][[not step for step in absent]] for i, absent in enumerate(absent_steps(X))
    ]
    scorer = make_sequence_scorer("accuracy")
    in_list = scorer(model, unpad_sequences(X), targets)
    assert in_list == pytest.approx(scorer(model, X, y))


def test_a_pipeline_that_fills_gaps_itself_is_scored_on_data_with_gaps(trained):
    _, X, y = trained
    X = X.copy()
    X[7, 2, 1] = nan
    model = make_pipeline(
        StepwiseTransformer(SimpleImputer()),
        NTMSequenceClassifier(
            memory_size=4,
            word_size=3,
            hidden_size=6,
            max_epochs=1,
            return_sequences=True,
            random_state=0,
        ),
    ).fit(X, y)
    score = make_sequence_scorer("accuracy")(model, X, y)
    assert score == pytest.approx(model.score(X, y))


def test_of_a_pipeline_that_changes_the_shape_the_steps_are_those_at_its_end():
    rng = np.random.RandomState(0)
    table, y = rng.normal(size=(8, 6)), rng.randint(2, size=(8, 3))
    model = NTMSequenceClassifier(
        memory_size=8, hidden_size=8, max_epochs=1, return_sequences=True, random_state=0
    )
    pipeline = make_pipeline(ToSequence(n_features=2), model).fit(table, y)
    score = make_sequence_scorer("accuracy")(pipeline, table, y)
    assert score == accuracy_score(y.ravel(), pipeline.predict(table).ravel())
