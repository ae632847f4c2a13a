"""Weights of steps: in fit, in score and in the scorers."""

import numpy as np
import pytest
from helpers import SMALL, small_classifier, small_regressor, weights_of
from numpy.testing import assert_array_equal
from sklearn.metrics import accuracy_score, f1_score, r2_score

from sknt import NTMSequenceClassifier, NTMSequenceRegressor, unpad_sequences
from sknt.metrics import make_sequence_scorer, masked_accuracy, masked_r2

nan = np.nan
FAST = SMALL | {"max_epochs": 1, "return_sequences": True}
rng = np.random.RandomState(0)
X = rng.normal(size=(12, 5, 2))
X[::3, 3:] = X[1, 1] = nan
PRESENT = np.isfinite(X[..., 0])
KINDS = {
    "labels": (NTMSequenceClassifier, np.where(np.nan_to_num(X[..., 0]) > 0, "a", "b")),
    "indicators": (NTMSequenceClassifier, (np.nan_to_num(X) > 0).astype(int)),
    "values": (NTMSequenceRegressor, 5 + np.nan_to_num(X[..., 0])),
    "outputs": (NTMSequenceRegressor, 5 + np.nan_to_num(X)),
}
every_kind = pytest.mark.parametrize("kind", KINDS)
WEIGHTS = np.where(PRESENT, rng.uniform(0.5, 2, size=PRESENT.shape), nan)


def fitted(kind, sample_weight=None, *, y=None, rows=slice(None), **params):
    Estimator, targets = KINDS[kind]
    targets = targets if y is None else y
    if sample_weight is not None and not isinstance(sample_weight, list):
        sample_weight = sample_weight[rows]
    model = Estimator(**FAST | params)
    return model.fit(X[rows], targets[rows], sample_weight=sample_weight)


def is_same(one, other):
    return bool((weights_of(one) == weights_of(other)).all())


def without(y, zero):
    """The targets, with a mark for "no target" at some steps."""
    y = y.astype(object) if y.dtype.kind == "U" else y.astype(float)
    y[zero] = nan
    return y


@pytest.mark.parametrize(
    ("kind", "backend"),
    [*((kind, "auto") for kind in KINDS), ("labels", "reference"), ("values", "reference")],
)
def test_a_weight_of_0_is_the_same_as_no_target(kind, backend):
    zero = np.random.RandomState(1).rand(*PRESENT.shape) < 0.4
    zero[4] = True  # all of a sequence's
    y = KINDS[kind][1]
    params = {"backend": backend, "early_stopping": True, "max_epochs": 2}
    weighted = fitted(kind, (~zero).astype(float), **params)
    missing = fitted(kind, y=without(y, zero), **params)
    assert is_same(weighted, missing)
    assert weighted.net_.chance_loss_ == missing.net_.chance_loss_
    assert not is_same(weighted, fitted(kind, **params))
    score = weighted.score(X, y, sample_weight=~zero)
    assert score == missing.score(X, without(y, zero))


@every_kind
def test_other_weights_and_missing_targets_go_together(kind):
    zero = np.random.RandomState(1).rand(*PRESENT.shape) < 0.4
    y = without(KINDS[kind][1], zero)
    at_missing = [np.where(zero, filler, WEIGHTS) for filler in (0, -1)]
    first, *others = [fitted(kind, weights, y=y) for weights in at_missing]
    assert all(is_same(first, other) for other in others)
    assert not is_same(first, fitted(kind, y=y))


@every_kind
@pytest.mark.parametrize("draw", ["rand", "randint"])
def test_weights_that_are_equal_within_sequences_are_those_of_sequences(kind, draw):
    draws = np.random.RandomState(2)
    weights = draws.rand(12) if draw == "rand" else draws.randint(0, 4, size=12)
    of_steps = np.where(PRESENT, weights[:, np.newaxis], nan)
    y = KINDS[kind][1]
    one, other = fitted(kind, weights), fitted(kind, of_steps)
    assert is_same(one, other)
    assert one.net_.chance_loss_ == other.net_.chance_loss_
    expected = one.score(X, y, sample_weight=weights)
    assert one.score(X, y, sample_weight=of_steps) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("kind", ["labels", "outputs"])
def test_weights_close_to_those_of_sequences_give_almost_the_same_loss(kind):
    weights = np.random.RandomState(2).uniform(0.5, 2, size=12)
    of_steps = np.broadcast_to(weights[:, np.newaxis], PRESENT.shape).copy()
    of_steps[3, 2] *= 1 + 1e-6
    one, other = fitted(kind, weights), fitted(kind, of_steps)
    assert not is_same(one, other)
    losses = [[epoch["train_loss"] for epoch in m.history_] for m in (one, other)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


@every_kind
def test_neither_order_nor_layout_nor_unit_of_weights_matters(kind):
    expected = fitted(kind, WEIGHTS)
    order = np.random.RandomState(3).permutation(12)
    assert is_same(expected, fitted(kind, WEIGHTS, rows=order))
    assert is_same(expected, fitted(kind, 2.0**900 * WEIGHTS))
    of_present = [row[np.isfinite(row)] for row in WEIGHTS]
    assert is_same(expected, fitted(kind, of_present))
    masked = np.ma.masked_array(np.nan_to_num(WEIGHTS, nan=9), ~PRESENT)
    assert is_same(expected, fitted(kind, masked))


def test_equal_sequences_of_other_weights_have_one_order():
    twice = np.concatenate([X, X])
    y = np.concatenate([KINDS["values"][1]] * 2)
    weights = np.random.RandomState(4).uniform(0.5, 2, size=y.shape)
    order = np.random.RandomState(5).permutation(24)
    one, other = (
        small_regressor(**FAST).fit(twice[rows], y[rows], sample_weight=weights[rows])
        for rows in (np.arange(24), order)
    )
    assert is_same(one, other)


def test_means_scales_and_shares_are_weighted():
    model = fitted("outputs", WEIGHTS)
    y = KINDS["outputs"][1][PRESENT]
    mean = np.average(y, axis=0, weights=WEIGHTS[PRESENT])
    variance = np.average((y - mean) ** 2, axis=0, weights=WEIGHTS[PRESENT])
    assert model.target_mean_ == pytest.approx(mean)
    assert model.target_scale_ == pytest.approx(np.sqrt(variance))
    model = fitted("labels", WEIGHTS)
    shares = [WEIGHTS[PRESENT & (KINDS["labels"][1] == c)].sum() for c in ("a", "b")]
    shares = np.array(shares) / np.sum(shares)
    assert model.net_.chance_loss_ == pytest.approx(-(shares * np.log(shares)).sum())


def test_balanced_classes_have_equal_total_weight():
    model = small_classifier(**FAST, class_weight="balanced")
    y = KINDS["labels"][1]
    model.fit(X, y, sample_weight=WEIGHTS)
    data, _ = model._training_data(X, y, WEIGHTS, reset=False)
    totals = [data.weights[data.targets == k].sum() for k in (0, 1)]
    assert totals[0] == pytest.approx(totals[1])


def test_the_loss_is_that_of_weighted_targets():
    model = fitted("values", WEIGHTS, max_epochs=1, learning_rate=1e-12, batch_size=12)
    standardised = (KINDS["values"][1] - model.target_mean_) / model.target_scale_
    outputs = (model.predict(X) - model.target_mean_) / model.target_scale_
    errors = np.where(PRESENT, WEIGHTS * (outputs - standardised) ** 2, 0)
    unit = np.nanmean(WEIGHTS, axis=1).mean()
    loss = errors.sum() / unit / 12
    assert model.history_[-1]["train_loss"] == pytest.approx(loss, rel=1e-4)


# Scores


@every_kind
def test_scores_are_those_of_the_flat_list_of_steps(kind):
    y, model = KINDS[kind][1], fitted(kind)
    w = WEIGHTS[PRESENT]
    predicted = model.predict(X)[PRESENT].astype(y.dtype)
    metric = r2_score if kind in ("values", "outputs") else accuracy_score
    expected = metric(y[PRESENT], predicted, sample_weight=w)
    assert model.score(X, y, sample_weight=WEIGHTS) == pytest.approx(expected)
    lists = [row[np.isfinite(row)] for row in WEIGHTS]
    assert model.score(X, y, sample_weight=lists) == pytest.approx(expected)
    scorer = make_sequence_scorer(metric)
    if kind != "indicators":
        assert scorer(model, X, y, sample_weight=WEIGHTS) == pytest.approx(expected)
        assert scorer(model, X, y, sample_weight=lists) == pytest.approx(expected)


def test_a_class_without_weight_does_not_count_in_a_scorer():
    y = np.where(PRESENT, KINDS["labels"][1], "c")
    y[0, :2] = "c"
    model = fitted("labels")
    weights = np.where(y == "c", 0, WEIGHTS)
    counted = PRESENT & (weights > 0)
    expected = f1_score(
        y[counted],
        model.predict(X)[counted].astype(str),
        average="macro",
        sample_weight=weights[counted],
    )
    score = make_sequence_scorer("f1_macro")(model, X, y, sample_weight=weights)
    assert score == pytest.approx(expected)


def test_masked_scores_take_weights_of_steps():
    y = rng.normal(size=(4, 3, 2))
    wrong, valid = y + rng.normal(size=y.shape), np.ones(y.shape, dtype=bool)
    weights = rng.rand(4, 3)
    weights[0, 0] = 0
    expected = r2_score(
        y.reshape(-1, 2), wrong.reshape(-1, 2), sample_weight=weights.ravel()
    )
    assert masked_r2(y, wrong, valid, sample_weight=weights) == pytest.approx(expected)
    labels, others = rng.randint(3, size=(2, 4, 3))
    expected = accuracy_score(labels.ravel(), others.ravel(), sample_weight=weights.ravel())
    score = masked_accuracy(labels, others, valid[..., 0], sample_weight=weights)
    assert score == pytest.approx(expected)


def test_partial_fit_takes_them_too():
    _, y = KINDS["labels"]
    zero = np.random.RandomState(1).rand(*PRESENT.shape) < 0.4
    one, other = small_classifier(**FAST), small_classifier(**FAST)
    one.partial_fit(X, y, classes=["a", "b"], sample_weight=(~zero).astype(float))
    other.partial_fit(X, without(y, zero), classes=["a", "b"])
    assert is_same(one, other)


# Errors


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w[:, :3], "sample_weight has 3 steps, but X has 5"),
        (lambda w: w[:7], "X has 12, sample_weight has 7"),
        (lambda w: -w, r"sample_weight is -.* at sample 0, step 0, which has a target"),
        (lambda w: np.where(w > 1, nan, w), "sample_weight is nan at sample"),
        (lambda w: np.where(w > 1, np.inf, w), "sample_weight is inf at sample"),
        (lambda w: w * 0, "sample_weight is 0 for every step that has a target"),
        (lambda w: w[..., np.newaxis], r"sample_weight has shape \(12, 5, 1\)"),
        (lambda w: np.full(w.shape, "x"), "sample_weight is not numeric"),
        (
            lambda w: [row[:1] for row in w],
            "sample 0 of sample_weight has 1 entries, but sample 0 of X has 3 steps",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused_in_fit_and_score(change, message):
    _, y = KINDS["values"]
    model = fitted("values")
    for call in (small_regressor(**FAST).fit, model.score):
        with pytest.raises(ValueError, match=message):
            call(X, y, sample_weight=change(WEIGHTS))


@pytest.mark.parametrize("weights", [WEIGHTS, unpad_sequences(WEIGHTS)])
def test_one_target_for_each_sequence_has_one_weight(weights):
    y = np.arange(12.0)
    model = small_regressor(max_epochs=1).fit(X, y)
    for call in (small_regressor().fit, small_regressor().partial_fit, model.score):
        with pytest.raises(ValueError, match=r"a weight for each.*return_sequences=True"):
            call(X, y, sample_weight=weights)


def test_a_search_hands_them_to_fit_and_score():
    import sklearn
    from sklearn.model_selection import KFold, cross_validate

    _, y = KINDS["values"]
    with sklearn.config_context(enable_metadata_routing=True):
        model = small_regressor(**FAST)
        model.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        scores = cross_validate(model, X, y, cv=KFold(2), params={"sample_weight": WEIGHTS})
    train, test = next(KFold(2).split(X))
    by_hand = fitted("values", WEIGHTS, rows=train)
    expected = by_hand.score(X[test], y[test], sample_weight=WEIGHTS[test])
    assert_array_equal(scores["test_score"][0], expected)
