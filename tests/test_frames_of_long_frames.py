"""from_long_frame and text: frames for each sequence, for a StepwiseTransformer."""

import datetime

import numpy as np
import pandas as pd
import pytest
from frame_helpers import LIBRARIES
from helpers import small_classifier
from sklearn.compose import make_column_transformer
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from stepwise_helpers import FAST

from sknt.preprocessing import StepwiseTransformer, from_long_frame, from_nested, to_windows

EVENTS = {
    "id": ["b", "a", "b", "a", "c"],
    "day": [2, 1, 1, 3, 1],
    "ward": ["S", "N", "W", None, "N"],
    "pulse": [1.5, 2.5, None, 3.5, 4.5],
    "ill": [1, 0, 1, 0, 1],
}
every_library = pytest.mark.parametrize("make", LIBRARIES.values(), ids=LIBRARIES)


def values(column):
    found = column.to_pylist() if hasattr(column, "to_pylist") else list(column)
    return [None if pd.isna(value) else value for value in found]


@every_library
def test_each_sequence_is_a_frame_of_its_rows_in_the_order_of_time(make):
    frame = make(EVENTS)
    data = from_long_frame(frame, id="id", time="day", target="ill", as_frames=True)
    assert data.ids.tolist() == ["b", "a", "c"]
    assert data.y.tolist() == [1, 0, 1]
    assert [values(own["ward"]) for own in data.X] == [["W", "S"], ["N", None], ["N"]]
    assert [values(own["pulse"]) for own in data.X] == [[None, 1.5], [2.5, 3.5], [4.5]]
    assert type(data.X[0]) is type(frame)
    assert data.columns.features == ["ward", "pulse"]


@every_library
def test_a_pipeline_encodes_the_text_of_the_training_data(make):
    long = {name: own * 8 for name, own in EVENTS.items()}
    long["id"] = [f"{name}{i // 5}" for i, name in enumerate(long["id"])]
    data = from_long_frame(make(long), id="id", time="day", target="ill", as_frames=True)
    columns = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["ward"]))
    model = make_pipeline(
        StepwiseTransformer(columns), small_classifier(max_epochs=1, **FAST)
    )
    scores = cross_val_score(model, data.X, data.y, cv=2, error_score="raise")
    assert np.isfinite(scores).all()


def test_what_is_neither_number_nor_text_is_refused_as_it_is_for_arrays():
    frame = pd.DataFrame(EVENTS).assign(when=datetime.date(2024, 1, 1))
    with pytest.raises(ValueError, match="column 'when'"):
        from_long_frame(frame, id="id", as_frames=True)
    mixed = pd.DataFrame(EVENTS).assign(ward=["N", 1, "S", 2, "W"])
    with pytest.raises(ValueError, match="column 'ward' mixes types"):
        from_long_frame(mixed, id="id", as_frames=True)
    empty = pd.DataFrame(EVENTS).assign(pulse=np.nan)
    with pytest.raises(ValueError, match="all are null in row 3, of id 'a'"):
        from_long_frame(empty, id="id", features=["ward", "pulse"], as_frames=True)
    with pytest.raises(ValueError, match="as_frames=True"):
        from_long_frame(pd.DataFrame(EVENTS), id="id")


def test_floats_in_cells_are_read_alike_whatever_holds_them():
    """Arrays of floats take a way of their own."""
    rng = np.random.RandomState(0)
    cells = [rng.normal(size=length) for length in (3, 1, 2)]
    expected = from_nested({"a": [own.tolist() for own in cells]}).X
    for convert in (np.asarray, pd.Series, np.float32, np.ma.masked_invalid):
        given = [convert(own) for own in cells]
        tolerance = 1e-6 if convert is np.float32 else 0
        np.testing.assert_allclose(from_nested({"a": given}).X, expected, rtol=tolerance)
    masked = [np.ma.masked_greater(own, 0.5) for own in cells]
    X = from_nested({"a": masked}, padded=False).X
    for own, steps in zip(cells, X, strict=True):
        assert np.isnan(steps[:, 0]).tolist() == (own > 0.5).tolist()


def test_windows_are_cut_from_frames_of_numbers_and_refuse_text_by_name():
    frame = pd.DataFrame(EVENTS).drop(columns="ill").fillna({"pulse": 0})
    numbers = from_long_frame(frame, id="id", time="day", features="pulse", as_frames=True)
    arrays = from_long_frame(frame, id="id", time="day", features="pulse")
    expected = to_windows(arrays, length=1)
    np.testing.assert_array_equal(to_windows(numbers, length=1).X, expected.X)
    text = from_long_frame(frame, id="id", time="day", as_frames=True)
    with pytest.raises(ValueError, match="column 'ward' is not numeric"):
        to_windows(text, length=1)
