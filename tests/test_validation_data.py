"""Validation data of the user's own."""

import numpy as np
import pytest
import sklearn
from blend_helpers import blended_estimator, both, make_targets, make_waves
from helpers import SMALL, small_classifier, small_regressor, tiny_copy, weights_of
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import EarlyStopping, EpochScoring
from skorch.dataset import Dataset, ValidSplit
from skorch.helper import predefined_split

from sknt import NTMSequenceClassifier, NTMSequenceRegressor, pad_sequences, unpad_sequences
from sknt.preprocessing import StepwiseTransformer
from sknt.training.data import rows_apart

nan = np.nan
KINDS = ["labels", "step labels", "indicators", "step indicators", "value", "step values"]
every_kind = pytest.mark.parametrize("kind", KINDS)


def estimator(kind, **params):
    Estimator = NTMSequenceRegressor if "value" in kind else NTMSequenceClassifier
    return Estimator(**SMALL | {"return_sequences": "step" in kind} | params)


def targets(kind, X):
    steps = np.nan_to_num(X)
    y = {
        "labels": np.where(steps[:, 0, 0] > 0, "up", "down"),
        "step labels": np.where(steps[..., 0] > 0, "up", "down"),
        "indicators": (steps[:, 0] > 0).astype(int),
        "step indicators": (steps > 0).astype(int),
        "value": 3 + 10 * steps[:, 0, 0],
        "step values": 3 + 10 * steps,
    }
    return y[kind]


@pytest.fixture
def parts(sequences):
    """Sequences to train on, and longer ones to validate on."""
    X, _ = sequences
    longer = np.random.RandomState(1).normal(size=(15, 9, 2))
    longer[::2, 7:] = nan
    return X[:30], longer


# What is recorded


@every_kind
def test_each_epoch_is_validated_and_training_is_as_without(kind, parts):
    X, X_val = parts
    y, y_val = targets(kind, X), targets(kind, X_val)
    model = estimator(kind).fit(X, y, validation_data=(X_val, y_val))
    assert (weights_of(model) == weights_of(estimator(kind).fit(X, y))).all()
    last = model.history_[-1]
    assert last["valid_score"] == pytest.approx(model.score(X_val, y_val), abs=1e-5)
    assert all(np.isfinite(epoch["valid_loss"]) for epoch in model.history_)
    assert last["n_sequences"] == 30 * 3


@pytest.mark.parametrize(
    ("kind", "of"),
    [
        *((kind, of) for kind in KINDS for of in ("sequences", "whole numbers")),
        *((kind, "steps") for kind in KINDS if "step" in kind),
    ],
)
def test_weights_of_validation_count_as_in_score(kind, of, parts):
    X, X_val = parts
    y, y_val = targets(kind, X), targets(kind, X_val)
    weights = np.random.RandomState(3).rand(15)
    if of == "whole numbers":
        weights = np.floor(4 * weights)
    if of == "steps":
        weights = np.random.RandomState(3).rand(15, 9)
    balanced = {"class_weight": "balanced"} if "labels" in kind else {}
    model = estimator(kind, max_epochs=1, **balanced)
    model.fit(X, y, validation_data=(X_val, y_val, weights))
    expected = model.score(X_val, y_val, sample_weight=weights)
    assert model.history_[-1]["valid_score"] == pytest.approx(expected, abs=1e-5)
    assert expected != pytest.approx(model.score(X_val, y_val), abs=1e-6)


def test_the_loss_is_that_of_the_validation_data_in_the_units_of_training(parts):
    X, X_val = parts
    y, y_val = targets("value", X), 100 + targets("value", X_val)
    model = small_regressor().fit(X, y, validation_data=(X_val, y_val))
    errors = (model.predict(X_val) - y_val) / model.target_scale_
    loss = model.history_[-1]["valid_loss"]
    assert loss == pytest.approx((errors**2).mean(), rel=1e-4)


@pytest.mark.parametrize("as_what", [unpad_sequences, lambda X: X.tolist(), lambda X: X])
def test_they_are_read_in_every_layout_of_X(as_what, parts):
    X, X_val = parts
    y, y_val = targets("labels", X), targets("labels", X_val)
    model = small_classifier(max_epochs=1)
    model.fit(X, y, validation_data=(as_what(X_val), y_val.tolist()))
    expected = model.score(X_val, y_val)
    assert model.history_[-1]["valid_score"] == pytest.approx(expected)


def test_padded_rows_may_be_wider_than_a_table():
    X = np.random.RandomState(0).normal(size=(12, 4))
    y = np.array([0, 1] * 6)
    X_val = pad_sequences([np.arange(7.0), np.arange(3.0)])
    model = small_classifier(max_epochs=1).fit(X, y, validation_data=(X_val, [0, 1]))
    assert "valid_score" in model.history_[0]
    with pytest.raises(ValueError, match=r"validation_data: X has 3 features.*expecting 4"):
        small_classifier().fit(X, y, validation_data=(X[:, :3], y))


# Early stopping


@every_kind
def test_early_stopping_holds_nothing_out_and_restores_the_best(kind, parts):
    X, X_val = parts
    y = targets(kind, X)
    y_val = np.random.RandomState(1).permutation(targets(kind, X_val))  # nothing to learn
    params = {"schedule": "constant", "learning_rate": 0.03, "n_iter_no_change": 2}
    model = estimator(kind, early_stopping=True, max_epochs=30, **params)
    model.fit(X, y, validation_data=(X_val, y_val))
    assert model.n_iter_ < 30
    assert model.history_[0]["n_sequences"] == 30
    best = max(
        range(model.n_iter_),
        key=lambda i: (
            model.history_[i]["valid_score"],
            -model.history_[i]["valid_loss"],
        ),
    )
    exactly = estimator(kind, max_epochs=best + 1, **params).fit(X, y)
    assert (weights_of(model) == weights_of(exactly)).all()


def test_a_stream_can_be_stopped_early():
    X_val, y_val = tiny_copy(random_state=1)
    params = {"early_stopping": True, "n_iter_no_change": 1, "tol": 1.0, "max_epochs": 9}
    model = small_classifier(return_sequences=True, **params)
    model.fit(tiny_copy, validation_data=(X_val, y_val))
    assert model.n_iter_ < 9
    best = max(epoch["valid_score"] for epoch in model.history_)
    assert model.score(X_val, y_val) == pytest.approx(best)
    with pytest.raises(ValueError, match=r"early_stopping=True.*validation_data=\(X, y\)"):
        model.fit(tiny_copy)


# The blend


@both
def test_the_share_is_judged_on_them(kind, blends):
    X, values = make_waves(60)
    y = make_targets(kind, values)
    model = blended_estimator(kind, max_epochs=6)
    model.fit(X[:40], y[:40], validation_data=(X[40:], y[40:]))
    (blend,) = blends
    assert not blend.is_held_out.any()
    assert len(blend.judged.lengths) == 20
    assert {epoch["n_sequences"] for epoch in model.history_} == {
        40 * n for n in range(1, 7)
    }
    alone = blended_estimator(kind, max_epochs=6, n_convolutions=0).fit(X[:40], y[:40])
    assert (weights_of(model) == weights_of(alone)).all()
    model.network_share_ = 0.0
    outputs = model._predict_outputs(X[40:])[1]
    order = np.argsort(outputs[:, 0])
    in_order = np.argsort(blend.judged_outputs[:, 0])
    assert outputs[order] == pytest.approx(blend.judged_outputs[in_order])


@both
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("n_own", [0, 9])
def test_sequences_that_are_trained_on_do_not_judge_the_share(
    kind, early_stopping, n_own, blends
):
    X, values = make_waves(40)
    y = make_targets(kind, values)
    model = blended_estimator(kind, max_epochs=1, early_stopping=early_stopping)
    model.fit(X[:30], y[:30], validation_data=(X[: 30 + n_own], y[: 30 + n_own]))
    (blend,) = blends
    assert blend.is_held_out.sum() == len(blend.judged.lengths) == 6
    expected = model.history_[-1]["valid_score"]
    model.network_share_ = 1.0
    assert model.score(X[: 30 + n_own], y[: 30 + n_own]) == pytest.approx(expected)


def test_equal_sequences_are_recognised_whatever_their_padding():
    X, y = make_waves(20)
    model = blended_estimator("regressor", max_epochs=1).fit(X, y)
    data, _ = model._training_data(X, y, reset=False)
    some, _ = model._training_data(X[:3, :18], y[:3], reset=False)
    lengths = np.isfinite(X[:3, :, 0]).sum(axis=1)
    assert (rows_apart(some, data) == (np.sort(lengths) > 18)).sum() == 3


# Pipelines, searches, skorch


def test_a_pipeline_transforms_X_val_and_leaves_y_val(parts):
    X, X_val = parts
    X, X_val = 100 + 50 * X, 100 + 50 * X_val
    y, y_val = np.nan_to_num(X), np.nan_to_num(X_val)  # looks like X
    with sklearn.config_context(enable_metadata_routing=True):
        model = small_regressor(return_sequences=True, max_epochs=1)
        model.set_fit_request(X_val=True, y_val=True, sample_weight_val=True)
        scaler = StepwiseTransformer(StandardScaler())
        pipeline = make_pipeline(scaler, model, transform_input=["X_val"])
        weights = np.arange(1.0, 16)
        pipeline.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weights)
        expected = pipeline[-1].score(pipeline[0].transform(X_val), y_val, weights)
    score = pipeline[-1].history_[-1]["valid_score"]
    assert score == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("n_val", [15, 30])
def test_a_search_hands_a_pair_to_every_fit_as_it_is(n_val, parts):
    X, X_val = parts
    X_val = np.concatenate([X_val] * 2)[:n_val]  # as many as X, too
    y, y_val = targets("labels", X), targets("labels", X_val)
    with sklearn.config_context(enable_metadata_routing=True):
        model = small_classifier(max_epochs=1).set_fit_request(validation_data=True)
        search = GridSearchCV(model, {"memory_size": [4, 6]}, cv=2)
        search.fit(X, y, validation_data=(X_val, y_val))
    best = search.best_estimator_
    expected = best.score(X_val, y_val)
    assert best.history_[-1]["valid_score"] == pytest.approx(expected)


def test_a_predefined_split_validates_in_the_same_way(parts):
    X, X_val = parts
    for kind in KINDS:
        y, y_val = targets(kind, X), targets(kind, X_val)
        dataset = list(zip(unpad_sequences(X_val), y_val, strict=True))
        net_params = {"train_split": predefined_split(dataset)}
        one = estimator(kind, max_epochs=1, net_params=net_params).fit(X, y)
        other = estimator(kind, max_epochs=1).fit(X, y, validation_data=(X_val, y_val))
        for name in ("valid_loss", "valid_score"):
            found, expected = one.history_[-1][name], other.history_[-1][name]
            assert found == pytest.approx(expected, rel=1e-5)


def test_early_stopping_stops_by_a_predefined_split(parts):
    X, X_val = parts
    y, y_val = targets("labels", X), targets("labels", X_val)[::-1]
    params = {"early_stopping": True, "n_iter_no_change": 2, "max_epochs": 20}
    split = predefined_split(Dataset(X_val, y_val))
    one = small_classifier(net_params={"train_split": split}, **params).fit(X, y)
    other = small_classifier(**params).fit(X, y, validation_data=(X_val, y_val))
    assert one.n_iter_ == other.n_iter_ < 20
    assert (weights_of(one) == weights_of(other)).all()


@pytest.mark.parametrize("own", ["split", "validation_data"])
def test_they_may_lack_a_class_or_have_one_value(own, parts):
    X, X_val = parts

    def fit(model, y, y_val):
        if own == "split":
            split = predefined_split(Dataset(X_val, y_val))
            return model.set_params(net_params={"train_split": split}).fit(X, y)
        return model.fit(X, y, validation_data=(X_val, y_val))

    y, up = targets("labels", X), np.full(15, "up")
    model = small_classifier(max_epochs=1, class_weight="balanced")
    assert "valid_loss" in fit(model, y, up).history_[0]
    model = small_regressor(max_epochs=1)
    assert "valid_loss" in fit(model, np.full(30, 2.0), np.arange(15.0)).history_[0]


def test_callbacks_of_skorch_see_them(parts):
    X, X_val = parts
    y, y_val = targets("labels", X), targets("labels", X_val)
    scoring = EpochScoring("accuracy", lower_is_better=False, name="scored")
    stopping = EarlyStopping(patience=2, threshold=10.0, threshold_mode="abs")
    net_params = {"callbacks": [scoring, stopping]}
    model = small_classifier(max_epochs=9, net_params=net_params)
    model.fit(X, y, validation_data=(X_val, y_val))
    assert model.n_iter_ < 9
    for epoch in model.history_:
        assert epoch["scored"] == pytest.approx(epoch["valid_score"])
    with pytest.raises(ValueError, match=r"valid_loss.*validation_data=\(X, y\)"):
        model.fit(X, y)


# Errors


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X[..., :1], y), "validation_data: X has 1 features"),
        (lambda X, y: (X, y[:4]), "validation_data: .*X has 15, y has 4"),
        (
            lambda X, y: (X, np.where(y == "up", "left", y)),
            r"validation_data: .*\['left'\]",
        ),
        (lambda X, y: (X, np.full(15, nan)), "validation_data: y has no target"),
        (lambda X, y: (X, None), "validation_data: .*y is None"),
        (lambda X, y: (None, y), "validation_data: X is None"),
        (lambda X, y: (X, y, np.zeros(15)), "validation_data: .*at least one non-zero"),
        (lambda X, y: (X, y, np.ones((15, 9))), "validation_data: sample_weight has shape"),
        (lambda X, y: (X,), r"validation_data is a tuple of 1; give a tuple \(X, y\)"),
        (lambda X, y: X, "validation_data is a ndarray"),
        (lambda X, y: Dataset(X, y), "validation_data is a Dataset.*predefined_split"),
    ],
)
def test_validation_data_that_do_not_fit_are_refused_by_name(change, message, parts):
    X, X_val = parts
    model = small_classifier()
    given = change(X_val, targets("labels", X_val))
    with pytest.raises((TypeError, ValueError), match=message):
        model.fit(X, targets("labels", X), validation_data=given)
    assert not hasattr(model, "net_")


def test_a_single_value_has_no_r2(parts):
    X, X_val = parts
    model = small_regressor()
    with pytest.raises(ValueError, match="validation_data: .*R² needs at least two"):
        model.fit(X, targets("value", X), validation_data=(X_val[:1], [1.0]))


def test_they_are_given_in_one_way_and_whole(parts):
    X, X_val = parts
    y, y_val = targets("labels", X), targets("labels", X_val)
    model = small_classifier()
    with pytest.raises(ValueError, match="validation_data and X_val, y_val are both given"):
        model.fit(X, y, validation_data=(X_val, y_val), X_val=X_val, y_val=y_val)
    with pytest.raises(ValueError, match="X_val given, but .*needs X_val and y_val"):
        model.fit(X, y, X_val=X_val)
    model.set_params(net_params={"train_split": ValidSplit(3)})
    with pytest.raises(ValueError, match="validation_data is given, and .*train_split"):
        model.fit(X, y, validation_data=(X_val, y_val))
