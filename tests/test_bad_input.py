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
        r"NaN or infinity at index \[3\], which is not missing_target=-1",
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


def test_the_estimators_own_parameters_are_not_net_params(sequences):
    model = NTMSequenceClassifier(**SMALL, net_params={"lr": 1.0})
    with pytest.raises(ValueError, match="'lr'.*set learning_rate"):
        model.fit(*sequences)


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
