"""Scorers for steps on pipelines that take frames which no array of numbers can hold."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal
from sklearn.compose import make_column_transformer
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from sknt import NTMSequenceClassifier
from sknt.data.sequences import layout_of
from sknt.metrics import make_sequence_scorer
from sknt.preprocessing import StepwiseTransformer

SMALL = {
    "memory_size": 8,
    "hidden_size": 8,
    "max_epochs": 1,
    "random_state": 0,
    "backend": "reference",
    "return_sequences": True,
}
KIND = ["u", None, "v", None]
NUMBER = [1.0, None, None, 2.0]
PRESENT = [True, False, True, True]


def as_pandas(kind, number):
    return pd.DataFrame({"kind": kind, "number": number})


def as_nullable(kind, number):
    return as_pandas(kind, number).astype({"kind": "category", "number": "Float64"})


def as_polars(kind, number):
    return pl.DataFrame({"kind": kind, "number": number})


def as_arrow(kind, number):
    return pa.table({"kind": pa.array(kind).dictionary_encode(), "number": number})


every_library = pytest.mark.parametrize(
    "frame_of", [as_pandas, as_nullable, as_polars, as_arrow]
)


@every_library
def test_a_step_is_present_if_any_of_its_columns_is(frame_of):
    frames = [frame_of(KIND, NUMBER), frame_of(KIND[:1], NUMBER[:1])]
    layout = layout_of(frames)
    assert_array_equal(layout.given, [4, 1])
    assert_array_equal(layout.present, [*PRESENT, True])


def text_frames():
    rng = np.random.RandomState(0)
    frames = [
        pd.DataFrame({"kind": rng.choice(["u", "v"], n), "number": rng.normal(size=n)})
        for n in [3, 1, 4, 2] * 3
    ]
    frames[0].iloc[1] = [None, np.nan]
    return frames, [rng.randint(0, 2, len(frame)) for frame in frames]


def pipeline():
    columns = make_column_transformer(
        (OneHotEncoder(), ["kind"]), ("passthrough", ["number"])
    )
    return make_pipeline(StepwiseTransformer(columns), NTMSequenceClassifier(**SMALL))


def test_accuracy_is_that_of_the_estimators_own_score():
    X, y = text_frames()
    model = pipeline().fit(X, y)
    scorer = make_sequence_scorer("accuracy")
    assert scorer(model, X, y) == pytest.approx(model.score(X, y), abs=1e-12)


def test_columns_may_come_in_another_order_in_some_samples():
    X, y = text_frames()
    model, scorer = pipeline().fit(X, y), make_sequence_scorer("roc_auc")
    turned = [frame[["number", "kind"]] if i % 2 else frame for i, frame in enumerate(X)]
    assert scorer(model, turned, y) == scorer(model, X, y)


def test_they_serve_in_cross_validation():
    X, y = text_frames()
    scorer = make_sequence_scorer("accuracy")
    scores = cross_val_score(pipeline(), X, y, cv=2, scoring=scorer, error_score="raise")
    assert ((scores >= 0) & (scores <= 1)).all()
