"""Which parts of scikit-learn can be saved with a model, and what is refused by name."""

import functools
import sys
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
import torch
from foreign_memories import Stack
from helpers import small_classifier, small_regressor
from numpy.testing import assert_array_equal
from persistence_helpers import assert_same, carrying, round_trip
from sklearn.base import BaseEstimator
from sklearn.callback import ScoringMonitor
from sklearn.compose import (
    ColumnTransformer,
    TransformedTargetRegressor,
    make_column_selector,
)
from sklearn.decomposition import PCA
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    StandardScaler,
)
from skorch.callbacks import Callback, Checkpoint, LRScheduler
from skorch.helper import predefined_split

import sknt
from sknt import NTMSequenceClassifier
from sknt.persistence import _classes
from sknt.preprocessing import StepwiseTransformer, ToSequence

ARGUMENTS = {
    "ColumnTransformer": {"transformers": [("a", StandardScaler(), [0])]},
    "FeatureUnion": {"transformer_list": [("a", StandardScaler()), ("b", PCA(1))]},
    "Pipeline": {"steps": [("a", StandardScaler())]},
    "RBFSampler": {"random_state": 0},
    "Nystroem": {"n_components": 3, "random_state": 0},
    "GaussianRandomProjection": {"n_components": 2, "random_state": 0},
    "NMF": {"random_state": 0, "init": "random", "tol": 0.1, "n_components": 2},
    "TruncatedSVD": {"random_state": 0},
    "QuantileTransformer": {"n_quantiles": 9},
    "FastICA": {"random_state": 0, "whiten": "unit-variance"},
    "KBinsDiscretizer": {"quantile_method": "averaged_inverted_cdf"},
}
LABELS = ("LabelBinarizer", "LabelEncoder")
NEED_TARGETS = (*LABELS, "TransformedTargetRegressor", "NTMSequenceRegressor")


def listed_transformers():
    for module, names in _classes.ESTIMATORS.items():
        for name in names:
            if module.startswith("sklearn") and name not in NEED_TARGETS:
                yield getattr(import_module(module), name)


@pytest.mark.parametrize("cls", [*listed_transformers()], ids=lambda cls: cls.__name__)
def test_every_listed_transformer_is_the_same(tmp_path, cls):
    rng = np.random.RandomState(0)
    X, y = rng.uniform(1, 9, size=(40, 4)), rng.uniform(size=40)
    if cls.__name__ in ("MissingIndicator", "KNNImputer", "SimpleImputer"):
        X[::3, 1] = X[1::4, 2] = np.nan
    if cls.__name__ in ("OneHotEncoder", "OrdinalEncoder", "TargetEncoder"):
        X = X.round()
    made = cls(**ARGUMENTS.get(cls.__name__, {}))
    assert_same(round_trip(made, tmp_path), made)
    fitted = made.fit(X, y)
    loaded = round_trip(fitted, tmp_path)
    assert_same(loaded, fitted)
    results = [t.transform(X) for t in (fitted, loaded)]
    if hasattr(results[0], "toarray"):
        results = [result.toarray() for result in results]
    assert_array_equal(*results)
    if hasattr(fitted, "inverse_transform") and cls is not SimpleImputer:
        inverses = [t.inverse_transform(t.transform(X)) for t in (fitted, loaded)]
        assert_array_equal(*inverses)


def test_every_transformer_of_sknt_is_listed(tmp_path):
    found = [cls for cls in vars(sknt.preprocessing).values() if isinstance(cls, type)]
    own = [cls for cls in found if cls.__module__.startswith("sknt.preprocessing")]
    for cls in own:
        if issubclass(cls, BaseEstimator):
            assert_same(round_trip(cls(), tmp_path), cls())
    assert StepwiseTransformer in own


def test_loading_runs_no_code_and_opens_no_other_file(sequences, tmp_path):
    """Python itself reports every import, execution and opened file."""
    model = make_pipeline(StepwiseTransformer(), small_classifier(n_convolutions=168))
    sknt.save(model.fit(*sequences), tmp_path / "model")
    sknt.load(tmp_path / "model")  # imports the parts of scikit-learn that occur
    events, listening = [], [True]
    sys.addaudithook(lambda event, args: listening and events.append((event, args)))
    sknt.load(tmp_path / "model")
    listening.clear()
    kinds = {event for event, _ in events}
    assert not kinds & {"exec", "compile", "import", "pickle.find_class", "os.system"}
    assert not [event for event in kinds if event.startswith(("subprocess", "socket"))]
    opened = [args[0] for event, args in events if event == "open"]
    assert opened == [str(tmp_path / "model")]


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("y", [["b", "a", "b"], [3, 1, 2]])
def test_encoders_of_labels_are_the_same(tmp_path, name, y):
    fitted = getattr(import_module("sklearn.preprocessing"), name)().fit(y)
    loaded = round_trip(fitted, tmp_path)
    assert_array_equal(loaded.transform(y), fitted.transform(y))


@pytest.mark.parametrize(
    "inner", [None, StandardScaler(), SimpleImputer(), PCA(1), MinMaxScaler()], ids=str
)
def test_a_pipeline_with_a_stepwise_transformer_is_the_same(sequences, tmp_path, inner):
    X, y = sequences
    model = make_pipeline(StepwiseTransformer(inner), small_classifier()).fit(X, y)
    loaded = round_trip(model, tmp_path)
    assert_same(loaded, model)
    assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert_same(loaded.fit(X, y)[-1].net_.snapshot(), model[-1].net_.snapshot())


def test_columns_and_tables_are_the_same(sequences, tmp_path):
    X, y = sequences
    table = pd.DataFrame(np.nan_to_num(X[..., 0]), columns=list("abcdef"))
    table["kind"] = np.where(table["a"] > 0.3, "über", "unter")
    union = FeatureUnion([("a", PCA(2)), ("b", PolynomialFeatures())])
    columns = ColumnTransformer(
        [
            ("kind", OneHotEncoder(sparse_output=False), ["kind"]),
            ("order", OrdinalEncoder(), make_column_selector(dtype_exclude="number")),
            (
                "more",
                union,
                ["a", "b"],
            ),
            ("rest", "passthrough", slice(2, 4)),
        ],
        remainder="drop",
    )
    model = make_pipeline(columns, ToSequence(), small_classifier()).fit(table, y)
    loaded = round_trip(model, tmp_path)
    assert_array_equal(loaded.predict_proba(table), model.predict_proba(table))
    assert_array_equal(loaded[0].get_feature_names_out(), model[0].get_feature_names_out())
    assert_array_equal(loaded.feature_names_in_, model.feature_names_in_)


def test_transformers_keep_their_container_of_results(tmp_path):
    X = pd.DataFrame({"a": [1.0, 2.0]})
    fitted = StandardScaler().set_output(transform="pandas").fit(X)
    pd.testing.assert_frame_equal(
        round_trip(fitted, tmp_path).transform(X), fitted.transform(X)
    )


def test_transformed_targets_are_the_same(values, tmp_path):
    model = TransformedTargetRegressor(small_regressor(), transformer=StandardScaler())
    model.fit(*values)
    loaded = round_trip(model, tmp_path)
    assert_array_equal(loaded.predict(values[0]), model.predict(values[0]))


def test_the_best_of_a_search_can_be_saved_and_the_search_says_so(sequences, tmp_path):
    grid = {"memory_size": [4, 5]}
    search = GridSearchCV(small_classifier(max_epochs=1), grid, cv=2).fit(*sequences)
    loaded = round_trip(search.best_estimator_, tmp_path)
    assert_array_equal(loaded.predict(sequences[0]), search.predict(sequences[0]))
    with pytest.raises(TypeError, match="save its best_estimator_"):
        round_trip(search, tmp_path)


def test_requests_for_metadata_are_the_same(tmp_path):
    from sklearn import config_context

    with config_context(enable_metadata_routing=True):
        model = small_classifier().set_fit_request(sample_weight=True, classes="all")
        loaded = round_trip(make_pipeline(ToSequence(), model), tmp_path)[-1]
        requests = loaded.get_metadata_routing().fit.requests
        assert requests == model.get_metadata_routing().fit.requests
        assert requests["sample_weight"] is True


def test_an_object_in_two_places_is_one_object(tmp_path):
    generator = np.random.RandomState(0)
    model = Pipeline([(name, PCA(random_state=generator)) for name in "ab"])
    loaded = round_trip(model, tmp_path)
    assert loaded["a"].random_state is loaded["b"].random_state


def test_another_version_of_scikit_learn_gives_its_warning(tmp_path, monkeypatch):
    import sklearn

    monkeypatch.setattr(sklearn, "__version__", "1.8.7")
    sknt.save(StandardScaler(), tmp_path / "scaler")
    sknt.save(small_classifier(), tmp_path / "own")
    monkeypatch.undo()
    with pytest.warns(
        InconsistentVersionWarning, match="StandardScaler from version 1.8.7"
    ):
        sknt.load(tmp_path / "scaler")
    sknt.load(tmp_path / "own")


class Mine(NTMSequenceClassifier):
    pass


class OwnCallback(Callback):
    pass


class OwnModule(torch.nn.Module):
    pass


def own_function(x):
    return x


REFUSED = {
    "own class": (Mine(), r"model is an object of class .*Mine"),
    "own function": (
        make_pipeline(FunctionTransformer(own_function), small_classifier()),
        r"model\.steps\[0\]\[1\]\.func is the function own_function",
    ),
    "ufunc": (FunctionTransformer(np.log1p), r"model\.func is .*ufunc"),
    "lambda": (
        small_classifier(net_params={"iterator_train__collate_fn": lambda b: b}),
        r"net_params\['iterator_train__collate_fn'\] is the function <lambda>",
    ),
    "callback": (
        small_classifier(net_params={"callbacks": [OwnCallback()]}),
        r"net_params\['callbacks'\]\[0\] is an object of class .*OwnCallback",
    ),
    "checkpoint": (
        small_classifier(net_params={"callbacks": [("c", Checkpoint())]}),
        r"net_params\['callbacks'\]\[0\]\[1\] is an object of class skorch.*Checkpoint",
    ),
    "schedule": (
        small_classifier(net_params={"callbacks": [LRScheduler("sys")]}),
        "policy 'sys' of an LRScheduler",
    ),
    "module": (
        small_classifier(net_params={"module": OwnModule}),
        r"net_params\['module'\] is the class .*OwnModule",
    ),
    "split": (
        small_classifier(net_params={"train_split": predefined_split(None)}),
        r"net_params\['train_split'\] is an object of class functools.partial",
    ),
    "partial": (carrying(functools.partial(print)), "functools.partial"),
    "generator": (
        small_classifier(random_state=np.random.default_rng(0)),
        r"model\.random_state is an object of class numpy.random.*Generator",
    ),
    "bits": (
        small_classifier(random_state=np.random.RandomState(np.random.PCG64())),
        r"model\.random_state is an object of class numpy.random.*RandomState",
    ),
    "masked": (carrying(np.ma.array([1.0], mask=[True])), "MaskedArray"),
    "records": (carrying(np.zeros(2, "i4,f8")), "numpy.ndarray"),
    "long double": (carrying(np.zeros(2, np.longdouble)), "numpy.ndarray"),
    "frame": (carrying(pd.DataFrame({"a": [1]})), "DataFrame"),
    "missing": (SimpleImputer(missing_values=pd.NA), r"model\.missing_values .*NAType"),
    "cache": (Pipeline([("a", PCA())], memory="folder"), "memory=None before saving"),
    "monitor": (
        small_classifier().set_callbacks(ScoringMonitor(scoring="accuracy")),
        r"model has callbacks of scikit-learn.* set_callbacks\(\)",
    ),
}


@pytest.mark.parametrize(("model", "message"), REFUSED.values(), ids=REFUSED)
def test_what_only_code_could_rebuild_is_refused_by_name(tmp_path, model, message):
    (tmp_path / "model.sknt").write_text("the old one")
    with pytest.raises(TypeError, match=message):
        round_trip(model, tmp_path)
    assert (tmp_path / "model.sknt").read_text() == "the old one"
    assert len(list(tmp_path.iterdir())) == 1


def test_what_contains_itself_is_refused(tmp_path):
    endless = []
    endless.append(endless)
    with pytest.raises(TypeError, match="refers to itself"):
        round_trip(carrying(endless), tmp_path)


def test_a_memory_of_ones_own_is_refused(sequences, tmp_path, monkeypatch):
    monkeypatch.setitem(sknt.memories.MEMORIES, "stack", Stack)
    with pytest.raises(TypeError, match=r"model\.memory is 'stack', a memory of your own"):
        round_trip(small_classifier(memory="stack"), tmp_path)


def test_a_module_of_ones_own_in_a_fitted_net_is_refused(sequences, tmp_path):
    class Linear(torch.nn.Module):
        def __init__(self, n_inputs, n_outputs):
            super().__init__()
            self.layer = torch.nn.Linear(n_inputs, n_outputs)

        def forward(self, x, lengths):
            return self.layer(x)

    model = small_classifier(net_params={"module": Linear}).fit(*sequences)
    model.net_params = None
    model._fitted_params["net_params"] = None
    with pytest.raises(TypeError, match=r"net_\.module is the class .*Linear"):
        round_trip(model, tmp_path)
