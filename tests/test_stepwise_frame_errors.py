"""Frames that cannot be transformed are refused by sample and column."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from reading_helpers import every_estimator
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OneHotEncoder
from stepwise_helpers import LABELS, columns_apart, every_library, sequences

from sknt.preprocessing import StepwiseTransformer


@every_library
def test_a_column_that_is_missing_or_new_is_refused_by_name(make):
    stepwise = StepwiseTransformer(columns_apart()).fit(sequences(make))
    given = sequences(make)
    given[4] = sequences(make, names=("kind", "flag"))[4]
    with pytest.raises(ValueError, match=r"sample 4 lacks the column\(s\) \['a'\]"):
        stepwise.transform(given)
    with pytest.raises(ValueError, match=r"sample 4 lacks the column\(s\) \['a'\]"):
        StepwiseTransformer(columns_apart()).fit(given)
    more = [make({"kind": ["u"], "a": [1.0], "flag": [True], "z": [2]})]
    with pytest.raises(ValueError, match=r"sample 0 has the column\(s\) \['z'\] beside"):
        stepwise.transform(more)


def test_a_column_that_is_there_twice_in_a_later_sample_is_refused():
    frames = sequences(pd.DataFrame)
    frames[1] = pd.DataFrame([["u", 1, True, 2]], columns=["kind", "a", "flag", "a"])
    with pytest.raises(ValueError, match="sample 1 has two columns of the name 'a'"):
        StepwiseTransformer(columns_apart()).fit(frames)


@pytest.mark.parametrize(
    ("frame", "error", "message"),
    [
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), ValueError, "unique column names"),
        (pd.DataFrame({"a": [np.inf]}), ValueError, "infinity: sample 0, column 'a'"),
        (pd.DataFrame({"a": [1, "u"]}), ValueError, "column 'a' mixes text.*sample 0"),
        (pd.DataFrame({"a": [None]}), ValueError, "no present step"),
        (
            pd.DataFrame({"a": [datetime.date(2020, 1, 1)]}),
            ValueError,
            "column 'a' holds dates",
        ),
        (pd.DataFrame({"a": [[1, 2]]}), ValueError, "'a' holds a sequence in each cell"),
        (pl.LazyFrame({"a": [1]}), TypeError, r"X\.collect\(\)"),
        (pa.record_batch({"a": [1]}), TypeError, "from_batches"),
    ],
    ids=["doubled", "infinite", "mixed", "empty", "dates", "nested", "lazy", "batch"],
)
def test_frames_that_cannot_be_read_are_refused(frame, error, message):
    with pytest.raises(error, match=message):
        StepwiseTransformer().fit([frame])


def test_frames_of_several_libraries_and_text_without_names_are_refused():
    mixed = [pd.DataFrame({"a": [1.0]}), pl.DataFrame({"a": [1.0]})]
    with pytest.raises(ValueError, match="sample 1 is a frame of polars, but sample 0"):
        StepwiseTransformer().fit(mixed)
    with pytest.raises(ValueError, match="column 0 of sample 0 has 'u'. Give .* names"):
        StepwiseTransformer().fit([pd.DataFrame([["u", 1.0]])])


def test_text_in_the_result_is_refused_by_column():
    frames = sequences(pd.DataFrame)
    inner = ColumnTransformer(
        [("same", "passthrough", ["a", "kind"])], verbose_feature_names_out=False
    )
    with pytest.raises(ValueError, match="returns is not numeric: column 1: could not"):
        StepwiseTransformer(inner).fit_transform(frames)
    inner.set_output(transform="pandas")
    with pytest.raises(ValueError, match="returns is not numeric: column 'kind'"):
        StepwiseTransformer(inner).fit_transform(frames)


@every_estimator
@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame, pa.table])
def test_estimators_name_the_column_of_text_and_its_sample(make, library):
    frames = sequences(library, names=("flag", "kind"))
    with pytest.raises(ValueError, match=r"'kind' of sample 0 has 'u'.*ColumnTransformer"):
        make().fit(frames, LABELS)
    numeric = [library({"a": [1.0, 2.0]}) for _ in LABELS]
    model = make().fit(numeric, LABELS)
    numeric[3] = library({"a": ["1.5", "u"]})
    with pytest.raises(ValueError, match="column 'a' of sample 3 has 'u'"):
        model.predict(numeric)


@every_estimator
def test_text_of_categories_and_bytes_is_named_too(make):
    for values in (
        pd.Categorical(["u", "v"]),
        pd.array(["u", None], "string"),
        [b"u", b""],
    ):
        frames = [pd.DataFrame({"a": [1.0, 2.0], "k": values}) for _ in LABELS]
        with pytest.raises(ValueError, match="column 'k' of sample 0 has b?'u'"):
            make().fit(frames, LABELS)


def test_a_plain_frame_with_text_is_pointed_to_a_list_of_frames():
    table = pd.DataFrame({"kind": ["u", "v"], "a": [1.0, 2.0]})
    for make in (lambda: StepwiseTransformer(columns_apart()), StepwiseTransformer):
        with pytest.raises(ValueError, match="column 'kind' has 'u'.* list of frames"):
            make().fit(table)


def test_numbers_written_as_text_are_numbers_as_before():
    frames = [pd.DataFrame({"a": ["1.5", "2"], "b": [1.0, 2.0]})] * 12
    result = StepwiseTransformer().fit_transform(frames)
    assert np.isfinite(result[0]).all()


def test_an_unknown_category_is_the_inner_transformers_to_refuse():
    stepwise = StepwiseTransformer(ColumnTransformer([("k", OneHotEncoder(), ["kind"])]))
    stepwise.fit(sequences(pd.DataFrame, names=("kind",)))
    with pytest.raises(ValueError, match="unknown categories"):
        stepwise.transform([pd.DataFrame({"kind": ["z"]})])
