"""Bad input: an error that names what is wrong, and an estimator as it was."""

import re

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from sknt import NTMSequenceClassifier, NTMSequenceRegressor

SMALL = {
    "memory_size": 6,
    "word_size": 4,
    "hidden_size": 8,
    "max_epochs": 2,
    "random_state": 0,
}


def changed(array, index, value):
    array = np.array(array, copy=True)
    array[index] = value
    return array


BAD_X = {
    "a step that is partly NaN": (
        lambda X: changed(X, (3, 1, 0), np.nan),
        r"sample 3, step 1, feature\(s\) \[0\].*SimpleImputer",
    ),
    "infinity": (
        lambda X: changed(X, (4, 0, 1), -np.inf),
        "infinity.*sample 4, step 0, feature 1",
    ),
    "too large for float32": (lambda X: changed(X, (4, 0, 1), 1e39), "sample 4, step 0"),
    "a sequence without any step": (
        lambda X: changed(X, 5, np.nan),
        "sample 5 of X has no step.*Leave",
    ),
    "no sample": (lambda X: X[:0], r"0 sample\(s\)"),
    "no feature": (lambda X: X[..., :0], r"0 feature\(s\)"),
    "ragged feature counts in a list": (
        lambda X: [*list(X[:-1]), X[-1, :, :1]],
        "sample 59 has steps of shape.*same number of features",
    ),
    "text": (lambda X: X.astype(str), "not numeric"),
    "one dimension": (lambda X: X[:, 0, 0], "[Rr]eshape your data"),
    "four dimensions": (lambda X: X[..., np.newaxis], "n_timesteps, n_features"),
}


@pytest.mark.parametrize("Estimator", [NTMSequenceClassifier, NTMSequenceRegressor])
@pytest.mark.parametrize(("spoil", "message"), BAD_X.values(), ids=list(BAD_X))
def test_bad_X(sequences, Estimator, spoil, message):
    X, y = sequences
    y = (y == "up").astype(int)
    model = Estimator(**SMALL).fit(X, y)
    before, state = model.predict(X), dict(vars(model))
    with pytest.raises(ValueError, match=message):
        model.predict(spoil(X))
    with pytest.raises(ValueError, match=message):
        model.fit(spoil(X), y)
    assert vars(model) == state
    assert_array_equal(model.predict(X), before)


def test_another_number_of_features_than_in_fit(sequences):
    X, y = sequences
    model = NTMSequenceClassifier(**SMALL).fit(X, y)
    with pytest.raises(ValueError, match="X has 1 features, but .* expecting 2 features"):
        model.predict(X[..., :1])
    with pytest.raises(ValueError, match="X has 1 features.*two dimensions are univariate"):
        model.predict(X[..., 0])
    table = NTMSequenceClassifier(**SMALL).fit(X[..., 0], y)
    with pytest.raises(ValueError, match="X has 5 features, but .* expecting 6 features"):
        table.predict(X[:, :5, 0])


BAD_Y = {
    "another length": ({}, lambda X, y: y[:-1], "inconsistent numbers of samples"),
    "none": ({}, lambda X, y: None, "requires y to be passed"),
    "a target for each step": (
        {},
        lambda X, y: np.zeros((60, 6, 1)),
        "For a target for each step, use return_sequences=True",
    ),
    "many classes for each step": (
        {},
        lambda X, y: np.arange(360).reshape(60, 6) % 3,
        "return_sequences=True",
    ),
    "a target for each sequence": (
        {"return_sequences": True},
        lambda X, y: y,
        "For a target for each sequence, use return_sequences=False",
    ),
    "too few steps": (
        {"return_sequences": True},
        lambda X, y: np.zeros((60, 5)),
        "y has 5 steps, but X has 6",
    ),
    "a list with a sample too short": (
        {"return_sequences": True},
        lambda X, y: [[0, 1] * 3] * 7 + [[1]] + [[0, 1] * 3] * 52,
        "sample 7 of y has 1 targets",
    ),
    "a target everywhere missing": (
        {"return_sequences": True},
        lambda X, y: np.full((60, 6), np.nan),
        "every entry is missing_target=nan",
    ),
    "targets at absent steps alone": (
        {"return_sequences": True},
        lambda X, y: np.where(np.isnan(X[..., 0]), 1.0, np.nan),
        "every entry is missing_target=nan .or lies at an absent step",
    ),
    "NaN that does not mean missing": (
        {"missing_target": -1},
        lambda X, y: changed(np.arange(60) % 2.0, 3, np.nan),
        r"infinity at index \[3\], which is not missing_target=-1",
    ),
    "one class only": ({}, lambda X, y: np.zeros(60), "one class only"),
    "values, not classes": ({}, lambda X, y: X[:, 0, 0], "Unknown label type"),
}


@pytest.mark.parametrize(("params", "spoil", "message"), BAD_Y.values(), ids=list(BAD_Y))
def test_bad_y(sequences, params, spoil, message):
    X, y = sequences
    model = NTMSequenceClassifier(**SMALL, **params)
    with pytest.raises(ValueError, match=message):
        model.fit(X, spoil(X, y))
    assert set(vars(model)) == set(model.get_params(deep=False))


def test_bad_y_of_a_regressor(sequences):
    X, y = sequences
    model = NTMSequenceRegressor(**SMALL)
    with pytest.raises(ValueError, match="y is not numeric.*NTMSequenceClassifier"):
        model.fit(X, y)
    with pytest.raises(ValueError, match=r"infinity at index \[2\]"):
        model.fit(X, changed(X[:, 0, 0], 2, np.inf))
    values = X[:, 0].copy()
    values[:, 1] = np.nan
    with pytest.raises(ValueError, match="output 1 of y has no target"):
        model.fit(X, values)


BAD_PARAMETERS = {
    "memory": ("elephant", "'memory'.*'ntm'"),
    "controller": ("human", "'controller'.*'lstm'"),
    "optimizer": ("luck", "'optimizer'.*'adam'"),
    "memory_size": (0, "'memory_size'"),
    "word_size": (-1, "'word_size'"),
    "n_read_heads": (0, "'n_read_heads'"),
    "n_write_heads": (1.5, "'n_write_heads'"),
    "hidden_size": (0, "'hidden_size'"),
    "n_layers": (0, "'n_layers'"),
    "batch_size": (0, "'batch_size'"),
    "max_epochs": (0, "'max_epochs'"),
    "learning_rate": (0.0, "'learning_rate'"),
    "validation_fraction": (1.0, "'validation_fraction'"),
    "memory_params": (
        {"shift_rang": 1},
        r"'shift_rang'.*\['shift_range', 'memory_init', 'interface_clip'\]",
    ),
    "device": ("cuda:63", "device='cuda:63' is not available.*device='cpu'"),
    "net_params": ({"optimiser__eps": 1}, "unexpected argument.*optimiser__eps"),
    "random_state": ("seed", "'random_state'"),
}


@pytest.mark.parametrize("name", BAD_PARAMETERS)
@pytest.mark.parametrize("Estimator", [NTMSequenceClassifier, NTMSequenceRegressor])
def test_bad_parameters(sequences, Estimator, name):
    X, y = sequences
    y = (y == "up").astype(int)
    model = Estimator(**SMALL).fit(X, y)
    before, fitted = model.predict(X), set(vars(model))
    value, message = BAD_PARAMETERS[name]
    good = getattr(model, name)
    model.set_params(**{name: value})
    with pytest.raises(ValueError, match=re.compile(message, re.DOTALL)):
        model.fit(X, y)
    assert set(vars(model)) == fitted
    assert_array_equal(model.predict(X), before)
    model.set_params(**{name: good}).fit(X, y)


@pytest.mark.parametrize(
    ("memory_params", "message"),
    [
        ({"shift_range": 3}, "shift_range=3 makes 7 shifts, more than memory_size=6 rows"),
        ({"shift_range": -1}, "shift_range=-1"),
        ({"memory_init": "magic"}, r"memory_init='magic'.*\['constant', 'learned', 'ra"),
        ({"interface_clip": 0}, "interface_clip=0"),
    ],
)
def test_bad_memory_params(sequences, memory_params, message):
    with pytest.raises(ValueError, match=message):
        NTMSequenceClassifier(**SMALL, memory_params=memory_params).fit(*sequences)


def test_memory_params_without_a_memory(sequences):
    model = NTMSequenceClassifier(**SMALL, memory=None, memory_params={"shift_range": 1})
    with pytest.raises(ValueError, match="no meaning with memory=None"):
        model.fit(*sequences)


@pytest.mark.parametrize(
    ("net_params", "message"),
    [
        ({"lr": 1.0}, "'lr'.*set learning_rate"),
        ({"optimizer__lr": 1.0}, "'optimizer__lr'.*set learning_rate"),
        ({"module__hidden_size": 5}, "'module__hidden_size'.*set hidden_size"),
        ({"criterion__reduction": "mean"}, "'criterion__reduction'.*always 'none'"),
        ({"optimizer": "adam"}, "no class of torch.optim.*set optimizer"),
        ({1: "x"}, "key 1"),
    ],
)
def test_net_params_that_the_estimator_has_itself(sequences, net_params, message):
    model = NTMSequenceClassifier(**SMALL, net_params=net_params)
    with pytest.raises(ValueError, match=message):
        model.fit(*sequences)


def test_nothing_can_be_set_inside_what_is_no_dictionary():
    model = NTMSequenceClassifier(net_params=[1])
    with pytest.raises(ValueError, match=r"net_params=\[1\] is no dictionary"):
        model.set_params(net_params__optimizer__eps=1)


def test_sample_weight(sequences):
    X, y = sequences
    model = NTMSequenceClassifier(**SMALL)
    with pytest.raises(ValueError, match="at least one non-zero"):
        model.fit(X, y, sample_weight=np.zeros(60))
    y_partly = np.where(np.arange(60) < 30, np.nan, y == "up")
    with pytest.raises(ValueError, match="sample_weight is 0 for every sample that has"):
        model.fit(X, y_partly, sample_weight=np.arange(60) < 30)
    with pytest.raises(ValueError, match="[Nn]egative"):
        model.fit(X, y, sample_weight=-np.ones(60))
    with pytest.raises(ValueError, match="shape"):
        model.fit(X, y, sample_weight=np.ones(3))


def test_class_weight(sequences):
    X, y = sequences
    with pytest.raises(ValueError, match="class_weight has no meaning for 0/1 indicator"):
        NTMSequenceClassifier(**SMALL, class_weight="balanced").fit(
            X, np.column_stack([y == "up", y == "down"]).astype(int)
        )


def test_too_few_samples_to_hold_some_out(sequences):
    X, _ = sequences
    model = NTMSequenceRegressor(**SMALL, early_stopping=True)
    with pytest.raises(ValueError, match="leave none to train on"):
        model.fit(X[:2], [0.0, 1.0])


def test_partial_fit(sequences):
    X, y = sequences
    model = NTMSequenceClassifier(**SMALL)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(X, y)
    with pytest.raises(ValueError, match="one class only"):
        model.partial_fit(X[y == "up"], y[y == "up"], classes=["up"])
    model.partial_fit(X, y, classes=["up", "down"])
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match=r"\['left'\].*not among"):
        model.partial_fit(X, np.where(y == "up", "left", "down"))
    assert_array_equal(model.predict_proba(X), before)
    model.early_stopping = True
    with pytest.raises(ValueError, match="early_stopping"):
        model.partial_fit(X, y)


@pytest.mark.parametrize(
    ("params", "y", "message"),
    [
        ({}, [1, "a"] * 30, "mixes text"),
        ({"missing_target": None}, [np.nan, "a", "b"] * 20, r"NaN, None.*index \[0\]"),
        ({"missing_target": ""}, [None, "a", "b"] * 20, r"NaN, None.*index \[0\]"),
        ({"missing_target": -1}, [np.nan, 0, 1] * 20, r"NaN.*index \[0\]"),
    ],
)
def test_labels_of_objects(sequences, params, y, message):
    X, _ = sequences
    with pytest.raises(ValueError, match=message):
        NTMSequenceClassifier(**SMALL, **params).fit(X, np.array(y, dtype=object))


def test_values_of_objects(sequences):
    X, _ = sequences
    for bad in (np.inf, "text"):
        y = np.array([bad, *range(59)], dtype=object)
        with pytest.raises(ValueError, match="index .0.|not numeric"):
            NTMSequenceRegressor(**SMALL).fit(X, y)
    y = np.array([None, *range(59)], dtype=object)
    with pytest.raises(ValueError, match=r"index \[0\]"):
        NTMSequenceRegressor(**SMALL, missing_target=-1).fit(X, y)


def test_targets_of_another_kind(sequences):
    from scipy.sparse import csr_array

    X, y = sequences
    with pytest.raises(TypeError, match=r"sparse.*toarray"):
        NTMSequenceClassifier(**SMALL).fit(X, csr_array((y == "up")[:, np.newaxis]))
    with pytest.raises(ValueError, match="Complex"):
        NTMSequenceRegressor(**SMALL).fit(X, np.ones(60) * 1j)
    model = NTMSequenceClassifier(**SMALL).fit(X, y)
    with pytest.raises(ValueError, match="labels of the same kind as in fit"):
        model.score(X, (y == "up").astype(int))


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({"up": -2.0}, "class_weight=.*at least 0"),
        ({"up": np.nan}, "class_weight=.*finite"),
        ({"up": 0.0, "down": 0.0}, "class_weight=.*not all of them 0"),
    ],
)
def test_bad_class_weights(sequences, class_weight, message):
    model = NTMSequenceClassifier(**SMALL, class_weight=class_weight)
    with pytest.raises(ValueError, match=message):
        model.fit(*sequences)


def test_balanced_weights_need_every_class(sequences):
    X, y = sequences
    model = NTMSequenceClassifier(**SMALL, class_weight="balanced")
    with pytest.raises(ValueError, match="'balanced' needs a target of positive weight"):
        model.fit(X, y, sample_weight=(y == "up").astype(float))


def test_an_indicator_output_without_any_target(sequences):
    X, _ = sequences
    y = np.stack([X[..., 0] > 0, np.full((60, 6), np.nan)], axis=-1)
    model = NTMSequenceClassifier(**SMALL, return_sequences=True)
    with pytest.raises(ValueError, match="output 1 of y has no target"):
        model.fit(X, y)


@pytest.mark.parametrize("weights", [np.zeros(60), -np.ones(60), np.full(60, np.nan)])
def test_weights_are_checked_in_score_as_in_fit(sequences, weights):
    X, y = sequences
    model = NTMSequenceClassifier(**SMALL).fit(X, y)
    with pytest.raises(ValueError, match="(?i)weight"):
        model.score(X, y, sample_weight=weights)


def test_a_first_partial_fit_must_show_the_scale_of_the_targets(sequences):
    X, _ = sequences
    with pytest.raises(ValueError, match="begin with a batch of several different"):
        NTMSequenceRegressor(**SMALL).partial_fit(X[:1], [1000.0])


@pytest.mark.parametrize("classes", [2, [None, "up", "down"], [["up"], ["down"]]])
def test_classes_that_are_no_labels(sequences, classes):
    X, y = sequences
    with pytest.raises(ValueError, match="classes=|mixes text"):
        NTMSequenceClassifier(**SMALL).partial_fit(X, y, classes=classes)


def test_classes_cannot_change_between_partial_fits(sequences):
    X, y = sequences
    model = NTMSequenceClassifier(**SMALL).partial_fit(X, y, classes=["down", "up"])
    model.partial_fit(X, y, classes=["up", "down"])
    with pytest.raises(ValueError, match="the classes of the first call"):
        model.partial_fit(X, y, classes=["down", "up", "left"])


@pytest.mark.parametrize(
    "changed",
    [
        {"optimizer": "sgd"},
        {"hidden_size": 3, "memory_size": 9},
        {"memory_params": {"shift_range": 0}},
        {"net_params": {"optimizer__eps": 1}},
    ],
)
def test_what_a_warm_start_cannot_change(sequences, changed):
    X, y = sequences
    model = NTMSequenceClassifier(**SMALL, warm_start=True).fit(X, y)
    model.set_params(**changed)
    with pytest.raises(
        ValueError, match=f"{next(iter(changed))} changed since the last fit"
    ):
        model.fit(X, y)
    model.set_params(warm_start=False).fit(X, y)


def test_changed_targets_or_layout_in_a_warm_start(sequences):
    X, y = sequences
    model = NTMSequenceClassifier(**SMALL, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="start anew"):
        model.fit(X, np.where(y == "up", "left", "right"))
    with pytest.raises(ValueError, match="return_sequences changed"):
        model.set_params(return_sequences=True).fit(X, np.zeros((60, 6)))


class Failing:
    """A callback that fails in the second epoch."""

    def setup(self, estimator, context): ...

    def teardown(self, estimator, context):
        self.torn_down = True

    def on_fit_task_begin(self, estimator, context): ...

    def on_fit_task_end(self, estimator, context):
        if context.task_id == 1:
            raise RuntimeError("the disk is full")


def test_a_fit_that_fails_in_the_middle_leaves_the_estimator_as_it_was(sequences):
    X, y = sequences
    model = NTMSequenceClassifier(**SMALL, warm_start=True).fit(X, y)
    twin = NTMSequenceClassifier(**SMALL, warm_start=True).fit(X, y)
    state = dict(vars(model))
    callback = Failing()
    with pytest.raises(RuntimeError, match="the disk is full"):
        model.set_callbacks(callback).fit(X, y)
    model.set_callbacks()
    assert callback.torn_down
    assert vars(model) == state
    for mine, other in zip(
        model.net_.module_.parameters(), twin.net_.module_.parameters(), strict=True
    ):
        assert torch.equal(mine, other)
    # Shuffling and the optimizer go on from where they were, too.
    assert_array_equal(model.fit(X, y).predict_proba(X), twin.fit(X, y).predict_proba(X))
    assert model.n_iter_ == twin.n_iter_ == 4
