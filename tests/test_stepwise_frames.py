"""Frames of text and numbers through StepwiseTransformer: names and types are kept."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from helpers import small_classifier
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from stepwise_helpers import FAST, LABELS, by_hand, columns_apart, every_library, sequences

from sknt.preprocessing import StepwiseTransformer

nan = np.nan


class Spy(TransformerMixin, BaseEstimator):
    """Keeps the table that it is fitted to."""

    def fit(self, X, y=None):
        self.table_ = X
        return self

    def transform(self, X):
        return np.zeros((len(X), 1))


def table_of(frames):
    return StepwiseTransformer(Spy()).fit(frames).transformer_.table_


def assert_sequences_equal(result, expected):
    assert len(result) == len(expected)
    for own, other in zip(result, expected, strict=True):
        assert_allclose(own, other)


@every_library
def test_each_column_is_transformed_in_its_way(make):
    stepwise = StepwiseTransformer(columns_apart())
    assert_sequences_equal(stepwise.fit_transform(sequences(make)), by_hand())
    names = [*(f"k__kind_{c}" for c in "uvw"), "n__a", "remainder__flag"]
    assert stepwise.get_feature_names_out().tolist() == names
    assert stepwise.feature_names_in_.tolist() == ["kind", "a", "flag"]


@every_library
def test_columns_in_another_order_are_matched_by_name(make):
    stepwise = StepwiseTransformer(columns_apart()).fit(sequences(make))
    turned = sequences(make, names=("flag", "kind", "a"))
    assert_sequences_equal(stepwise.transform(turned), by_hand())
    mixed = [*sequences(make)[:3], *turned[3:]]
    assert_sequences_equal(stepwise.transform(mixed), by_hand())
    again = StepwiseTransformer(columns_apart()).fit_transform(mixed)
    assert_sequences_equal(again, by_hand())


@every_library
def test_the_inner_transformer_sees_one_frame_with_the_columns_types(make):
    table = table_of(sequences(make, names=("kind", "flag")))
    make = pd.DataFrame if make is pa.table else make
    one = make(
        {
            "kind": [k for f in sequences(make) for k in list(np.asarray(f["kind"]))],
            "flag": [bool(v) for f in sequences(make) for v in np.asarray(f["flag"])],
        }
    )
    assert type(table) is type(one)
    assert table.equals(one)


def test_columns_can_be_selected_by_their_type():
    columns = ColumnTransformer(
        [
            ("text", OneHotEncoder(), make_column_selector(dtype_include="category")),
            ("n", StandardScaler(), make_column_selector(dtype_include="number")),
        ]
    )
    frames = [f.astype({"kind": "category"}) for f in sequences(pd.DataFrame)]
    stepwise = StepwiseTransformer(columns).fit(frames)
    assert stepwise.get_feature_names_out().tolist() == [
        *(f"text__kind_{c}" for c in "uvw"),
        "n__a",
    ]


def test_categories_of_all_samples_are_united():
    text = [["u", "v"], ["w"], ["v", "x"]]
    made = {
        "pandas": [pd.DataFrame({"c": pd.Categorical(own)}) for own in text],
        "polars": [
            pl.DataFrame({"c": pl.Series(own, dtype=pl.Categorical)}) for own in text
        ],
        "enum": [pl.DataFrame({"c": pl.Series(own, dtype=pl.Enum(own))}) for own in text],
        "arrow": [pa.table({"c": pa.array(own).dictionary_encode()}) for own in text],
    }
    for frames in made.values():
        table = table_of(frames)
        assert "categor" in str(table["c"].dtype).lower()
        assert list(table["c"]) == ["u", "v", "w", "v", "x"]
        encoded = StepwiseTransformer(OneHotEncoder()).fit_transform(frames)
        assert_array_equal(encoded[1], [[0, 0, 1, 0]])


@every_library
def test_a_step_is_absent_if_every_column_is_missing(make):
    frames = [
        make({"kind": ["u", None, "v"], "a": [1.0, None, None]}),
        make({"kind": [None, "u"], "a": [None, 3.0]}),
        make({"kind": [None, "u"], "a": [4.0, None]}),
    ]
    result = StepwiseTransformer(columns_apart()).fit_transform(frames)
    mean = (1 + 3 + 4) / 3
    u, v, missing = np.eye(3).tolist()  # a category of its own
    absent = [nan] * 4
    assert_sequences_equal(
        result,
        [
            [[*u, 1], absent, [*v, mean]],
            [absent, [*u, 3]],
            [[*missing, 4], [*u, mean]],
        ],
    )


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ([pd.array([1, None], "Int64"), [3, 4]], [[1], [nan], [3], [4]]),
        ([[True, None], [False, True]], [[1], [nan], [0], [1]]),
        ([[1, 2], [0.5, nan]], [[1], [2], [0.5], [nan]]),
        ([[None, None], [1.5, 2.5]], [[nan], [nan], [1.5], [2.5]]),
        ([pd.array([1.5, None], "float64[pyarrow]"), [2.0]], [[1.5], [nan], [2.0]]),
    ],
    ids=["nullable", "booleans", "integers and floats", "nothing in one", "arrow"],
)
def test_gaps_in_numbers_of_any_type_are_nan(columns, expected):
    """A second column keeps steps present."""
    frames = [pd.DataFrame({"a": own, "b": range(len(own))}) for own in columns]
    table = np.asarray(table_of(frames)[["a"]], dtype=float)
    assert_array_equal(table, expected)


@every_library
def test_types_that_go_together_are_read_and_others_refused_by_name(make):
    a = make({"k": ["u"], "a": [1], "b": [1]})
    b = make({"k": ["v"], "a": [2.5], "b": [None]})
    table = table_of([a, b])
    assert_array_equal(np.asarray(table["a"], float), [1, 2.5])
    assert_array_equal(np.asarray(table["b"], float), [1, nan])
    c = make({"k": [3], "a": [1], "b": [1]})
    with pytest.raises(ValueError, match=r"column 'k' .*sample [12]"):
        table_of([a, b, c])


@every_library
def test_text_that_is_missing_is_what_scikit_learn_takes_for_missing(make):
    frames = [make({"k": ["u", None], "a": [1.0, 2.0]}), make({"k": ["v"], "a": [3.0]})]
    encoder = OneHotEncoder()
    result = StepwiseTransformer(ColumnTransformer([("k", encoder, ["k"])])).fit_transform(
        frames
    )
    assert result[0].shape == (2, 3)
    assert_array_equal(result[0][1], [0, 0, 1])  # missing is a category, the last one


def test_nullable_text_is_read_like_any_other():
    plain = [pd.DataFrame({"k": ["u", None], "a": [1.0, 2.0]})] * 2
    expected = StepwiseTransformer(columns_apart_of_k()).fit_transform(plain)
    for dtype in ("string", "string[pyarrow]", "object", pd.ArrowDtype(pa.string())):
        frames = [f.astype({"k": dtype}) for f in plain]
        result = StepwiseTransformer(columns_apart_of_k()).fit_transform(frames)
        assert_array_equal(result[0], expected[0])


def columns_apart_of_k():
    return ColumnTransformer([("k", OneHotEncoder(), ["k"])], remainder="passthrough")


@every_library
def test_a_column_without_any_value_is_of_the_type_that_it_had_in_fit(make):
    columns = ColumnTransformer(
        [
            ("k", OneHotEncoder(handle_unknown="ignore"), ["kind"]),
            ("n", SimpleImputer(), ["a"]),
        ]
    )
    frames = sequences(make, names=("kind", "a"))
    stepwise = StepwiseTransformer(columns).fit(frames)
    mean = by_hand()[0][1][3]
    text, number = make({"kind": [None], "a": [2.0]}), make({"kind": ["v"], "a": [None]})
    assert_array_equal(stepwise.transform([text])[0], [[0, 0, 0, 2]])
    assert_allclose(stepwise.transform([number])[0], [[0, 1, 0, mean]])


def test_frames_in_a_series_of_pandas_or_a_tuple_are_read_too():
    expected = by_hand()
    for convert in (pd.Series, tuple):
        result = StepwiseTransformer(columns_apart()).fit_transform(
            convert(sequences(pd.DataFrame))
        )
        assert_sequences_equal(result, expected)


def test_rows_of_grouped_frames_are_read_whatever_their_index():
    whole = pd.concat(sequences(pd.DataFrame), keys=range(12))
    groups = [group for _, group in whole.groupby(level=0)]
    result = StepwiseTransformer(columns_apart()).fit_transform(groups)
    assert_sequences_equal(result, by_hand())
    shuffled = [f.set_axis([7] * len(f)) for f in sequences(pd.DataFrame)]
    inner = columns_apart(sparse_output=False).set_output(transform="pandas")
    assert_sequences_equal(StepwiseTransformer(inner).fit_transform(shuffled), by_hand())


def test_frames_stay_as_they_are():
    frames = sequences(pd.DataFrame)
    before = [f.copy() for f in frames]
    inner = ColumnTransformer([("a", StandardScaler(copy=False), ["a"])])
    StepwiseTransformer(inner).fit_transform(frames)
    for own, other in zip(frames, before, strict=True):
        pd.testing.assert_frame_equal(own, other)


@every_library
def test_a_search_over_inner_parameters_ends_in_predictions(make):
    model = make_pipeline(
        StepwiseTransformer(columns_apart(handle_unknown="ignore")),
        small_classifier(max_epochs=1, **FAST),
    )
    grid = {
        "stepwisetransformer__transformer__k__min_frequency": [None, 9],
    }
    frames = sequences(make)
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(frames, LABELS)
    assert len(search.cv_results_["params"]) == 2
    assert search.predict(frames).shape == (12,)
    assert_array_equal(search.predict(frames[::-1])[::-1], search.predict(frames))


def test_numbers_in_frames_give_what_arrays_give():
    rng = np.random.RandomState(0)
    arrays = [rng.normal(size=(length, 2)) for length in (3, 1, 4)]
    frames = [pd.DataFrame(x, columns=["a", "b"]) for x in arrays]
    result = StepwiseTransformer().fit_transform(frames)
    assert_sequences_equal(result, StepwiseTransformer().fit_transform(arrays))
