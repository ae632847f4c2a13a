"""Scores on the steps that have a target, against scikit-learn's on a flat list."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.impute import SimpleImputer
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
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline

from sknt import NTMSequenceClassifier, unpad_sequences
from sknt.metrics import make_sequence_scorer, masked_accuracy, masked_r2
from sknt.preprocessing import StepwiseTransformer

nan = np.nan


# Estimators that need no training: a step's outputs are a function of its features.


def absent_steps(X):
    return np.isnan(X).all(axis=2)


class StepClassifier(ClassifierMixin, BaseEstimator):
    """Takes a step's features for the logits of its classes."""

    def __init__(self, classes=(0, 1, 2), missing_target=nan, temperature=1.0):
        self.classes = classes
        self.missing_target = missing_target
        self.temperature = temperature

    def fit(self, X, y=None):
        self.classes_ = np.array(self.classes)
        return self

    def predict_proba(self, X):
        return softmax(X / self.temperature, axis=-1)

    def decision_function(self, X):
        return X[..., 1] - X[..., 0] if len(self.classes_) == 2 else X

    def predict(self, X):
        labels = self.classes_[np.nan_to_num(X).argmax(axis=-1)]
        if labels.dtype.kind == "U":
            labels = labels.astype(object)
        elif np.isnan(self.missing_target):
            labels = labels.astype(float)
        labels[absent_steps(X)] = self.missing_target
        return labels


class StepTagger(ClassifierMixin, BaseEstimator):
    """Takes a step's features for the logits of as many 0/1 outputs."""

    def fit(self, X, y=None):
        self.classes_ = np.arange(X.shape[2])
        return self

    def predict_proba(self, X):
        return expit(X)

    def predict(self, X):
        return np.where(np.isnan(X), nan, X > 0)


class StepRegressor(RegressorMixin, BaseEstimator):
    """Takes a step's features for its values; of one feature without an axis."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def predict(self, X):
        return X[..., 0] if X.shape[2] == 1 else X


def sequences_with_gaps(n_features):
    X = np.random.RandomState(0).normal(size=(9, 5, n_features))
    X[0, 3:] = X[1, :2] = X[2, [1, 3]] = X[3, [0, 2, 4]] = X[8, 4] = nan
    return X


def labels_for(X, classes=(0, 1, 2), missing=nan):
    """Give a label to each step but absent ones and some that are present."""
    rng = np.random.RandomState(1)
    y = rng.choice(np.array(classes, dtype=object), size=X.shape[:2])
    guessed = rng.uniform(size=y.shape) < 0.5
    best = np.array(classes, dtype=object)[np.nan_to_num(X).argmax(axis=-1)]
    y = np.where(guessed, y, best)
    y[absent_steps(X)] = missing
    y[4, 1] = y[5] = y[0, 0] = missing
    return y if isinstance(classes[0], str) else y.astype(type(missing))


def values_for(X):
    rng = np.random.RandomState(1)
    y = X + 0.4 * rng.normal(size=X.shape)
    y[4, 1] = y[5] = y[0, 0] = nan
    return y


def scored_places(X, y, missing=nan):
    """List (sample, step) of what counts, one at a time."""
    places = []
    for i in range(len(X)):
        for t in range(X.shape[1]):
            if all(np.isnan(value) for value in X[i, t]):
                continue
            target = y[i, t] if np.ndim(y[i, t]) == 0 else y[i, t, 0]
            if target == missing or (missing != missing and target != target):
                continue
            places.append((i, t))
    assert 0 < len(places) < X.shape[0] * X.shape[1]
    return places


def flat(array, places):
    return np.array([array[place] for place in places])


THREE = (0, 1, 2)
WORDS = ("no", "perhaps", "yes")


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
def test_a_metric_of_labels_is_that_of_the_flat_list_of_steps(scorer, expected, classes):
    X = sequences_with_gaps(3)
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
    X = sequences_with_gaps(3)
    y = labels_for(X, classes)
    model = StepClassifier(classes).fit(X)
    places = scored_places(X, y)
    column = {label: k for k, label in enumerate(classes)}
    logs = [np.log(model.predict_proba(X)[place][column[y[place]]]) for place in places]
    assert scorer(model, X, y) == pytest.approx(np.mean(logs))


@pytest.mark.parametrize("classes", [(0, 1), ("no", "yes")])
@pytest.mark.parametrize("response", ["decision_function", "predict_proba"])
def test_a_ranking_metric_of_two_classes_gets_the_positive_ones_scores(classes, response):
    X = sequences_with_gaps(2)
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
    X = sequences_with_gaps(n_outputs)
    y = np.where(np.isnan(values_for(X)), nan, values_for(X) > 0)
    model = StepTagger().fit(X)
    places = scored_places(X, y)
    score = scorer(model, X, y)
    assert score == pytest.approx(expected(flat(y, places), flat(model.predict(X), places)))
    assert 0 < score < 1


@pytest.mark.parametrize("n_outputs", [2, 3])
def test_probabilities_of_indicators_keep_all_their_columns(n_outputs):
    X = sequences_with_gaps(n_outputs)
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
def test_a_metric_of_values_is_that_of_the_flat_list_of_steps(metric, expected, n_outputs):
    X = sequences_with_gaps(n_outputs)
    y = values_for(X)[..., 0] if n_outputs == 1 else values_for(X)
    model = StepRegressor().fit(X)
    places = scored_places(X, y)
    assert make_sequence_scorer(metric)(model, X, y) == pytest.approx(
        expected(flat(y, places), flat(model.predict(X), places))
    )


# What counts


@pytest.mark.parametrize("missing", [-1, nan])
def test_the_marker_of_missing_targets_is_not_a_class(missing):
    X = sequences_with_gaps(3)
    y = labels_for(X, THREE, missing)
    model = StepClassifier(THREE, missing).fit(X)
    places = scored_places(X, y, missing)
    scorer = make_sequence_scorer("f1_macro", missing_target=missing)
    assert scorer(model, X, y) == pytest.approx(
        f1_score(flat(y, places), flat(model.predict(X), places), average="macro")
    )


def test_none_marks_missing_targets_among_words():
    X = sequences_with_gaps(3)
    y = labels_for(X, WORDS, missing=None)
    model = StepClassifier(WORDS).fit(X)
    places = scored_places(X, y, None)
    scorer = make_sequence_scorer("accuracy", missing_target=None)
    assert scorer(model, X, y) == pytest.approx(
        accuracy_score(flat(y, places), flat(model.predict(X), places))
    )


@pytest.mark.parametrize("at_absent_steps", [0, 2, -7, 1e9, np.inf])
def test_what_y_holds_at_absent_steps_never_counts(at_absent_steps):
    X = sequences_with_gaps(3)
    y = labels_for(X)
    model = StepClassifier().fit(X)
    changed = np.where(absent_steps(X), at_absent_steps, y)
    assert not np.array_equal(changed, y, equal_nan=True)
    for metric in ["accuracy", "f1_macro", "neg_log_loss"]:
        scorer = make_sequence_scorer(metric)
        assert scorer(model, X, changed) == scorer(model, X, y)


def test_what_values_y_holds_at_absent_steps_never_counts():
    X = sequences_with_gaps(2)
    y = values_for(X)
    model = StepRegressor().fit(X)
    scorer = make_sequence_scorer("r2")
    for value in [0.0, 1e9, np.inf]:
        changed = np.where(np.isnan(X), value, y)
        assert scorer(model, X, changed) == scorer(model, X, y)


def test_what_is_predicted_where_no_target_is_never_counts():
    X = sequences_with_gaps(3)
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
    X = sequences_with_gaps(3)
    y = labels_for(X)
    model = StepClassifier().fit(X)
    places = scored_places(X, y)
    scorer = make_sequence_scorer("accuracy")
    before = scorer(model, X, y)
    right = next(p for p in places if y[p] == model.predict(X)[p])
    y[right] = (y[right] + 1) % 3
    assert scorer(model, X, y) == pytest.approx(before - 1 / len(places))


def test_absent_steps_that_are_added_change_no_score():
    X = sequences_with_gaps(3)
    y = labels_for(X)
    model = StepClassifier().fit(X)
    longer = np.insert(X, [0, 2, 5], nan, axis=1)
    targets = np.insert(y, [0, 2, 5], nan, axis=1)
    scorer = make_sequence_scorer("neg_log_loss")
    assert scorer(model, longer, targets) == pytest.approx(scorer(model, X, y))


@pytest.mark.parametrize("as_weights", [np.array, list])
def test_a_samples_weight_is_that_of_each_of_its_steps(as_weights):
    X = sequences_with_gaps(3)
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


def test_a_samples_weight_serves_metrics_of_probabilities_and_of_indicators():
    weights = np.arange(9.0)
    X = sequences_with_gaps(3)
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
    X = sequences_with_gaps(3)
    y = labels_for(X)
    model = StepClassifier().fit(X)
    with pytest.raises(ValueError, match=r"sample_weight|inconsistent numbers"):
        make_sequence_scorer("accuracy")(model, X, y, sample_weight=np.ones(n_weights))


# Where scikit-learn takes scorers


@pytest.mark.parametrize("missing", [nan, -1])
@pytest.mark.parametrize(
    ("metric", "kwargs"),
    [("f1_macro", {}), (f1_score, {"average": "macro"})],
    ids=["name", "function"],
)
def test_a_scorer_survives_pickling(metric, kwargs, missing):
    X = sequences_with_gaps(3)
    y = labels_for(X, THREE, missing)
    model = StepClassifier(THREE, missing).fit(X)
    scorer = make_sequence_scorer(metric, missing_target=missing, **kwargs)
    again = pickle.loads(pickle.dumps(scorer))
    assert again(model, X, y) == scorer(model, X, y)


@pytest.mark.parametrize("classes", [THREE, WORDS], ids=["numbers", "words"])
def test_cross_validation_scores_each_fold_by_its_own_steps(classes):
    X = sequences_with_gaps(3)
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
    X = sequences_with_gaps(3)
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
    X = sequences_with_gaps(3)
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
    X = sequences_with_gaps(3)
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


def test_a_network_is_scored_as_its_own_score_does(trained):
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


# Errors


@pytest.mark.parametrize("missing", [nan, -1])
def test_targets_that_are_all_missing_or_absent_leave_nothing_to_score(missing):
    X = sequences_with_gaps(3)
    model = StepClassifier(THREE, missing).fit(X)
    scorer = make_sequence_scorer("accuracy", missing_target=missing)
    y = np.full(X.shape[:2], missing)
    with pytest.raises(ValueError, match="nothing to score"):
        scorer(model, X, y)
    y[0, 4] = 1  # an absent step
    with pytest.raises(ValueError, match="nothing to score"):
        scorer(model, X, y)


def test_a_step_with_a_part_of_its_outputs_is_refused_with_its_place():
    X = sequences_with_gaps(2)
    y = values_for(X)
    y[6, 3, 1] = nan
    model = StepRegressor().fit(X)
    with pytest.raises(ValueError, match="sample 6, step 3"):
        make_sequence_scorer("r2")(model, X, y)


def test_a_part_of_the_outputs_at_an_absent_step_is_no_reason_to_refuse():
    X = sequences_with_gaps(2)
    y = values_for(X)
    model = StepRegressor().fit(X)
    before = make_sequence_scorer("r2")(model, X, y)
    y[0, 4] = [1.0, nan]
    assert make_sequence_scorer("r2")(model, X, y) == before


def test_targets_for_sequences_are_refused():
    X = sequences_with_gaps(3)
    model = StepClassifier().fit(X)
    with pytest.raises(ValueError, match="a target for each step"):
        make_sequence_scorer("accuracy")(model, X, np.zeros(len(X)))


def test_a_name_takes_no_arguments_because_its_scorer_has_them_already():
    with pytest.raises(ValueError, match=r"'f1_macro'.*average"):
        make_sequence_scorer("f1_macro", average="micro")


def test_a_name_that_scikit_learn_does_not_know_is_refused_at_once():
    with pytest.raises(ValueError, match="acuracy"):
        make_sequence_scorer("acuracy")


# masked_accuracy and masked_r2


def _entries(*shape):
    rng = np.random.RandomState(0)
    y_true, y_pred = rng.randint(0, 2, size=(2, *shape))
    valid = rng.uniform(size=shape) < 0.6
    weights = rng.uniform(0.5, 3, size=shape[0])
    return y_true, y_pred, valid, weights


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(20,), (10, 6)])
def test_accuracy_is_the_part_of_the_valid_entries_that_is_right(shape, weighted):
    y_true, y_pred, valid, weights = _entries(*shape)
    right = total = 0.0
    for index in np.ndindex(shape):
        if valid[index]:
            weight = weights[index[0]] if weighted else 1.0
            total += weight
            right += weight * (y_true[index] == y_pred[index])
    assert 0 < right < total
    result = masked_accuracy(
        y_true, y_pred, valid, sample_weight=weights if weighted else None
    )
    assert isinstance(result, float)
    assert result == pytest.approx(right / total)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(30, 3), (10, 6, 3)])
def test_accuracy_of_indicators_wants_all_valid_outputs_right(shape, weighted):
    y_true, y_pred, valid, weights = _entries(*shape)
    valid[0] = False  # nothing there: does not count
    right = total = 0.0
    for index in np.ndindex(shape[:-1]):
        outputs = [k for k in range(shape[-1]) if valid[(*index, k)]]
        if outputs:
            weight = weights[index[0]] if weighted else 1.0
            total += weight
            right += weight * all(
                y_true[(*index, k)] == y_pred[(*index, k)] for k in outputs
            )
    assert 0 < right < total
    result = masked_accuracy(
        y_true,
        y_pred,
        valid,
        multilabel=True,
        sample_weight=weights if weighted else None,
    )
    assert result == pytest.approx(right / total)


def test_accuracy_compares_words_with_nan_among_them():
    y_true = np.array([["a", "b", nan], ["b", nan, nan]], dtype=object)
    y_pred = np.array([["a", "a", nan], ["b", "b", nan]], dtype=object)
    valid = np.array([[True, True, False], [True, False, False]])
    assert masked_accuracy(y_true, y_pred, valid) == pytest.approx(2 / 3)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(30, 2), (10, 6, 3)])
def test_r2_is_averaged_over_outputs_each_on_its_own_valid_entries(shape, weighted):
    rng = np.random.RandomState(0)
    y_true = rng.normal(size=shape) * np.arange(1, shape[-1] + 1)
    y_pred = y_true + rng.normal(size=shape)
    valid = rng.uniform(size=shape) < 0.6
    weights = rng.uniform(0.5, 3, size=shape[0])
    scores = []
    for output in range(shape[-1]):
        triples = [
            (
                weights[index[0]] if weighted else 1.0,
                y_true[(*index, output)],
                y_pred[(*index, output)],
            )
            for index in np.ndindex(shape[:-1])
            if valid[(*index, output)]
        ]
        mean = sum(w * y for w, y, _ in triples) / sum(w for w, _, _ in triples)
        residual = sum(w * (y - p) ** 2 for w, y, p in triples)
        total = sum(w * (y - mean) ** 2 for w, y, _ in triples)
        scores.append(1 - residual / total)
    result = masked_r2(y_true, y_pred, valid, sample_weight=weights if weighted else None)
    assert_allclose(result, np.mean(scores))


def test_r2_leaves_out_an_output_without_targets_and_what_stands_in_invalid_entries():
    rng = np.random.RandomState(0)
    y_true, y_pred = rng.normal(size=(2, 20, 2))
    valid = np.zeros((20, 2), dtype=bool)
    valid[:12, 0] = True
    y_true[12:] = nan
    y_true[:, 1] = nan
    expected = r2_score(y_true[:12, 0], y_pred[:12, 0])
    assert masked_r2(y_true, y_pred, valid) == pytest.approx(expected)
