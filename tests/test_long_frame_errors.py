"""What from_long_frame and to_long_frame refuse, by name, and the way out they give."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from frame_helpers import LIBRARIES

from sknt.preprocessing import SequenceData, from_long_frame, to_long_frame

every_library = pytest.mark.parametrize("make", LIBRARIES.values(), ids=LIBRARIES)
DAY = dt.datetime(2024, 2, 29)
GOOD = {"id": [1, 1, 2], "t": [0, 1, 0], "a": [1.0, 2.0, 3.0]}


def read(make, columns, **arguments):
    return from_long_frame(make(GOOD | columns), **{"id": "id", "time": "t"} | arguments)


@every_library
@pytest.mark.parametrize(
    ("columns", "arguments", "message"),
    [
        ({"id": [1, None, 2]}, {}, r"'id' is missing in 1 row\(s\), first in row 1"),
        ({"id": ["x", None, None]}, {}, r"'id' is missing in 2 row\(s\), first in row 1"),
        ({"id": [0.5, np.nan, 2.0]}, {}, "'id' is missing.* row 1"),
        ({"t": [0, 1, None]}, {}, r"'t' is missing in 1 row\(s\), first in row 2"),
        ({"t": [DAY, None, DAY]}, {}, "'t' is missing.* row 1"),
        ({"t": ["9", "10", "11"]}, {}, "'t' is of type String.*to_datetime"),
        ({"t": [True, False, True]}, {}, "'t' is of type"),
        ({"t": [5, 5, 5]}, {}, r"rows 0 and 1 of id 1 both have t=5; give duplicates="),
        ({"t": [DAY] * 3}, {}, "rows 0 and 1 of id 1 both have t=2024-02-29"),
        ({"a": ["1", "2", "3"]}, {}, "'a' is not numeric but String; encode text"),
        ({"a": [DAY] * 3}, {}, "'a' is not numeric but Datetime.* seconds"),
        ({"a": [dt.timedelta(1)] * 3}, {}, "'a' is not numeric but Duration.* seconds"),
        ({"a": [2**53 + 1, 2, 3]}, {}, r"'a' has integers beyond 2\*\*53"),
        ({"a": [-(2**60), 2, 3]}, {}, r"'a' has integers beyond 2\*\*53"),
        ({"a": [1.0, None, 3.0]}, {}, r"1 row\(s\) have no feature.* row 1, of id 1"),
        ({"y": [1, 2, 3]}, {"target": "y"}, "'y' differs .* id 1: .*1.*2.*target_per="),
        ({"y": ["p", "q", "q"]}, {"target": "y"}, "'y' differs .* id 1: 'p' and 'q'"),
        ({"y": [1, None, 3]}, {"target": "y"}, "'y' is missing.* row 1; give null_targets"),
        ({"y": [1.0, np.nan, 3]}, {"target": "y"}, "'y' is missing.* row 1"),
        (
            {"y": [None, "p", None], "t": [0, 1, 2]},
            {"target": "y", "target_per": "step"},
            r"'y' is missing in 2 row\(s\), first in row 0",
        ),
        (
            {"id": [1, 1, 1], "y": ["p", None, "q"]} | {"t": [0, 1, 2]},
            {"target": "y", "null_targets": "missing"},
            "'y' differs .*'p' and 'q'",
        ),
        ({"y": [DAY] * 3}, {"target": "y"}, "'y' is not numeric but Datetime"),
        ({"y": ["p"] * 3, "z": [1] * 3}, {"target": ["z", "y"]}, "'y' is not numeric"),
    ],
)
def test_a_column_that_would_be_misread_is_refused_by_name(
    make, columns, arguments, message
):
    with pytest.raises(ValueError, match=message):
        read(make, columns, **arguments)


@every_library
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"id": "ID"}, r"no column 'ID', only \['id', 't', 'a'\]"),
        ({"time": "tt"}, "no column 'tt'.* Did you mean 't'"),
        ({"features": ["a", "b"]}, "no column 'b'"),
        ({"target": "y"}, "no column 'y'"),
        ({"features": ["a", "id"]}, "'id' is named twice"),
        ({"features": "a", "target": "a"}, "'a' is named twice"),
        ({"features": ["a", "a"]}, "'a' is named twice"),
        ({"target": "a"}, "no column of features"),
        ({"features": []}, "no column of features"),
        ({"id": []}, "id names no column"),
        ({"target": []}, "target names no column"),
        ({"target_per": "steps"}, "target_per='steps' is not known; choose from"),
        ({"duplicates": "mean"}, "duplicates='mean' is not known"),
        ({"null_targets": "skip"}, "null_targets='skip' is not known"),
        ({"empty_rows": "drop"}, "empty_rows='drop' is not known"),
    ],
)
def test_arguments_that_do_not_fit_the_frame_are_refused(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        read(make, {}, **arguments)


def test_a_target_that_differs_only_by_row_order_of_nulls_is_no_difference():
    frame = {"id": [1, 1, 2], "a": [1, 2, 3], "y": [None, "p", "q"]}
    y = from_long_frame(pl.DataFrame(frame), id="id", target="y", null_targets="missing").y
    assert y.tolist() == ["p", "q"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, "2", 3], "row 1 has '2' of type str"),
        ([1, True, 3], "row 1 has True of type bool"),
        ([1, 2j, 3], "row 1 has 2j of type complex"),
        ([[1], [2], [3]], r"row 0 has \[1\] of type list"),
    ],
)
def test_features_of_mixed_types_are_refused_with_the_row(values, message):
    frame = GOOD | {"a": pd.Series(values, dtype=object)}
    with pytest.raises(ValueError, match=f"'a' mixes types or is not numeric: {message}"):
        read(pd.DataFrame, frame)


def test_mixed_types_beyond_the_first_hundred_rows_are_found():
    """Libraries look at a hundred rows only to tell what a column holds."""
    text = pd.Series(["a"] * 150 + [3], dtype=object)
    frame = pd.DataFrame({"id": text, "a": 1.0})
    with pytest.raises(ValueError, match="'id' has 3 of type int in row 150, but others"):
        from_long_frame(frame, id="id")


@pytest.mark.parametrize("role", ["id", "target"])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, "1", 2], "has '1' of type str in row 1, but others are int"),
        ([1, True, 2], "has True of type bool in row 1, but others are int"),
        ([("a",), ("a",), ("b",)], r"has \('a',\) of type tuple in row 0"),
        (
            ["a", dt.date(2020, 1, 1), "b"],
            "has .* of type date in row 1, but others are str",
        ),
    ],
)
def test_ids_and_labels_of_mixed_types_are_refused(role, values, message):
    frame = {"a": [1.0, 2.0, 3.0], "k": [1, 1, 2], "x": pd.Series(values, dtype=object)}
    arguments = {"id": "x"} if role == "id" else {"id": "k", "target": "x"}
    with pytest.raises(ValueError, match=f"'x' {message}"):
        from_long_frame(pd.DataFrame(frame), features="a", **arguments)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pl.Series([[1], [2], [3]]), "List.*from_nested"),
        (pl.Series([{"u": 1}] * 3), "Struct.*fields"),
        (pl.Series(["u", "v", "u"], dtype=pl.Categorical), "Categorical; encode"),
        (
            pl.Series(["u", "v", "u"], dtype=pl.Enum(["u", "v"])),
            ".*; encode text and categories",
        ),
        (pl.Series([dt.date(2020, 1, 1)] * 3), "Date; order rows by it .* days"),
        (pl.Series([dt.time(1)] * 3), "Time; convert"),
        (pl.Series([b"u"] * 3), "(Binary|Unknown); convert"),
    ],
)
def test_features_of_other_types_are_refused_with_the_way_out(column, message):
    frame = pl.DataFrame(GOOD | {"a": column})
    for given in (frame, frame.to_arrow()):
        with pytest.raises(ValueError, match=f"'a' is not numeric but {message}"):
            from_long_frame(given, id="id", time="t")


def test_categories_and_periods_of_pandas_are_refused():
    codes = pd.Series([3, 2, 1], dtype="category")
    with pytest.raises(ValueError, match="'a' is not numeric but Categorical; encode"):
        read(pd.DataFrame, {"a": codes})
    with pytest.raises(ValueError, match="'t' is of type Categorical"):
        read(pd.DataFrame, {"t": codes})
    with pytest.raises(ValueError, match="'t' is of type"):
        read(pd.DataFrame, {"t": pd.period_range("2020", periods=3, freq="D")})


def test_times_of_python_objects_are_dates_or_refused():
    dates = [dt.date(2020, 1, 2), dt.date(2020, 1, 1), dt.date(2020, 1, 1)]
    data = read(pd.DataFrame, {"t": pd.Series(dates, dtype=object)})
    assert data.X[0].ravel().tolist() == [2, 1]
    for times in ([0, "1", 0], [Decimal(0), Decimal(1), Decimal(0)]):
        with pytest.raises(ValueError, match="'t' is of type"):
            read(pd.DataFrame, {"t": pd.Series(times, dtype=object)})


def test_what_is_no_frame_in_memory_is_refused():
    for frame, kind in [(GOOD, "dict"), (np.ones((3, 3)), "ndarray")]:
        with pytest.raises(TypeError, match=f"{kind} is not a data frame in memory"):
            from_long_frame(frame, id="id")
    with pytest.raises(TypeError, match=r"LazyFrame .* frame.collect\(\)"):
        from_long_frame(pl.DataFrame(GOOD).lazy(), id="id")


def test_a_frame_without_rows_or_with_a_name_twice_is_refused():
    for make in LIBRARIES.values():
        with pytest.raises(ValueError, match="the frame has no rows"):
            from_long_frame(make({"id": [], "a": []}), id="id")
    twice = pd.DataFrame([[1, 2.0, 3.0]], columns=["id", "a", "a"])
    with pytest.raises(ValueError, match=r"two columns of one name(.|\n)*'a'"):
        from_long_frame(twice, id="id")
    table = pa.table([pa.array([1]), pa.array([1.0]), pa.array([2.0])], ["id", "a", "a"])
    with pytest.raises(ValueError, match=r"two columns of one name(.|\n)*'a'"):
        from_long_frame(table, id="id")


X = np.array([[[1.0], [2.0], [np.nan]], [[3.0], [np.nan], [np.nan]]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ids": [1]}, "ids has 1 entries, but X has 2 sequences"),
        ({"features": ["a", "b"]}, "features has 2 names, but X has 1 features"),
        ({"times": [[0, 1]]}, "times has 1 entries, X 2 sequences"),
        ({"times": [[0, 1], []]}, "sample 1 has 0 times, but 1 present steps"),
        ({"times": [[0, 1, 2, 3], [0]]}, "sample 0 has 4 times, but 2 present steps"),
        ({"y": [1, 2, 3]}, "y has 3 entries, but X has 2 sequences"),
        ({"y": np.ones((2, 3, 1))}, "for a target for each step, use"),
        ({"y": [1, 2], "target_per": "step"}, "for a target for each sequence, use"),
        ({"y": [[1, 2], [1, 2]], "target_per": "step"}, "sample 1 of y has 2 targets"),
        ({"y": [1, 2], "target_per": "row"}, "target_per='row' is not known"),
        ({"features": ["id"]}, "two columns would have the name 'id'"),
        ({"y": [1, 2], "target": "feature_0"}, "two columns .* 'feature_0'"),
        ({"ids": [1, (1, 2)], "id": ["u", "v"]}, r"ids must be tuples.*\['u', 'v'\]"),
    ],
)
def test_what_does_not_fit_the_sequences_is_refused_on_the_way_back(arguments, message):
    with pytest.raises(ValueError, match=message):
        to_long_frame(X, **arguments)


def test_predictions_of_other_sequences_are_refused():
    data = read(pd.DataFrame, {})
    assert isinstance(data, SequenceData)
    with pytest.raises(ValueError, match="y has 3 entries"):
        to_long_frame(data, [1, 2, 3])
