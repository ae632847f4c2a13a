"""Nested data of every library become the same sequences."""

import io
import json

import awkward as ak
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from numpy.testing import assert_array_equal
from sktime.datasets import load_basic_motions, load_japanese_vowels

from sknt import NTMSequenceClassifier, pad_sequences
from sknt.preprocessing import from_channels_first, from_nested, to_long_frame

nan = np.nan
A = [[1.0, 2.0, 3.0], [4.0], [5.0, 6.0]]
B = [[10, 20, 30], [40], [50, 60]]
EXPECTED = pad_sequences(
    [np.column_stack([a, b]).astype(float) for a, b in zip(A, B, strict=True)]
)


def objects(cells):
    array = np.empty(len(cells), object)
    array[:] = cells
    return array


def of_parquet(read):
    """What a library reads from a Parquet file with nested columns."""
    file = io.BytesIO()
    pq.write_table(pa.table({"a": A, "b": B}), file)
    file.seek(0)
    return read(file)


def records_of_steps():
    steps = [
        [{"a": x, "b": z} for x, z in zip(a, b, strict=True)]
        for a, b in zip(A, B, strict=True)
    ]
    return steps


NESTED = {
    "pandas, series": pd.DataFrame({"a": list(map(pd.Series, A)), "b": map(pd.Series, B)}),
    "pandas, arrays": pd.DataFrame({"a": list(map(np.array, A)), "b": map(np.array, B)}),
    "pandas, lists": pd.DataFrame({"a": A, "b": B}),
    "pandas, tuples": pd.DataFrame({"a": map(tuple, A), "b": map(tuple, B)}),
    "polars": pl.DataFrame({"a": A, "b": B}),
    "pyarrow": pa.table({"a": A, "b": B}),
    "Parquet by pyarrow": of_parquet(pq.read_table),
    "Parquet by pandas": of_parquet(pd.read_parquet),
    "Parquet by pandas, of Arrow": of_parquet(
        lambda file: pd.read_parquet(file, dtype_backend="pyarrow")
    ),
    "Parquet by polars": of_parquet(pl.read_parquet),
    "JSON": json.loads(json.dumps([{"a": a, "b": b} for a, b in zip(A, B, strict=True)])),
    "dict": {"a": A, "b": B},
    "dict of tensors": {"a": list(map(torch.tensor, A)), "b": list(map(torch.tensor, B))},
    "object array": np.column_stack([objects(A), objects(B)]),
    "awkward, records of lists": ak.Array(
        [{"a": a, "b": b} for a, b in zip(A, B, strict=True)]
    ),
    "awkward, lists of records": ak.Array(records_of_steps()),
    "awkward, n * var * d": ak.Array(
        [np.column_stack(pair).tolist() for pair in zip(A, B, strict=True)]
    ),
    "lists of records": records_of_steps(),
    "pandas, lists of records": pd.Series(records_of_steps()),
    "polars, lists of records": pl.Series(records_of_steps()),
    "pyarrow, lists of records": pa.array(records_of_steps()),
}


@pytest.mark.parametrize("nested", NESTED.values(), ids=NESTED)
def test_every_kind_of_nesting_gives_the_same_sequences(nested):
    data = from_nested(nested)
    assert_array_equal(data.X, EXPECTED)
    assert data.X.dtype == np.float64
    assert data.ids.tolist() == [0, 1, 2]
    assert data.y is data.times is None
    lists = from_nested(nested, padded=False).X
    assert [len(steps) for steps in lists] == [3, 1, 2]
    assert_array_equal(pad_sequences(lists), EXPECTED)


@pytest.mark.parametrize("kind", [k for k in NESTED if "d" not in k.split() or "p" in k])
def test_named_features_are_read_in_the_order_given(kind):
    names = from_nested(NESTED[kind]).columns.features
    if names == ["a", "b"] and "lists of records" not in kind:
        data = from_nested(NESTED[kind], features=["b", "a"])
        assert_array_equal(data.X, EXPECTED[..., ::-1])
        assert_array_equal(from_nested(NESTED[kind], features="b").X, EXPECTED[..., 1:])


def frames_with_roles(per_step):
    labels = [["u", "v", "u"], ["v"], ["v", "v"]] if per_step else ["u", "v", "v"]
    columns = {"who": ["k", "l", "m"], "a": A, "b": B, "label": labels}
    rows = zip(*columns.values(), strict=True)
    records = [dict(zip(columns, row, strict=True)) for row in rows]
    return [pd.DataFrame(columns), pl.DataFrame(columns), pa.table(columns), records]


@pytest.mark.parametrize("which", range(4))
def test_ids_and_targets_are_columns_too(which):
    frame = frames_with_roles(per_step=False)[which]
    data = from_nested(frame, id="who", target="label")
    assert_array_equal(data.X, EXPECTED)
    assert data.ids.tolist() == ["k", "l", "m"]
    assert data.y.tolist() == ["u", "v", "v"]
    long = to_long_frame(data)
    assert long["who"].tolist() == ["k", "k", "k", "l", "m", "m"]
    assert long["label"].tolist() == ["u", "u", "u", "v", "v", "v"]
    steps = frames_with_roles(per_step=True)[which]
    y = from_nested(steps, id="who", target="label", target_per="step").y
    assert y[0].tolist() == ["u", "v", "u"]
    assert y[2, :2].tolist() == ["v", "v"]
    assert y[2, 2] != y[2, 2]


def test_missing_values_within_a_series_are_nan():
    expected = [[1, nan, 3], [4, nan, nan], [nan, 6, nan]]
    series = [[1.0, None, 3.0], [4.0], [None, 6.0]]
    for nested in (
        pd.DataFrame({"a": series}),
        pd.DataFrame({"a": [pd.Series(s, dtype="Float64") for s in series]}),
        pd.DataFrame({"a": [np.ma.masked_invalid(np.array(s, float)) for s in series]}),
        pl.DataFrame({"a": series}),
        pa.table({"a": series}),
        pd.DataFrame({"a": pd.Series(pa.array(series), dtype=None)}),
        [{"a": s} for s in series],
        ak.Array([{"a": s} for s in series]),
        [[{"a": v} if v else {"a": None} for v in s] for s in series],
    ):
        assert_array_equal(from_nested(nested).X[..., 0], expected)


def test_a_key_that_a_step_lacks_is_missing_there():
    data = from_nested([[{"a": 1, "b": 2}, {"b": 3}], [{"a": 4, "b": 5}]])
    assert_array_equal(data.X[0], [[1, 2], [nan, 3]])


def test_cells_of_several_features_are_named_after_their_column():
    steps = [[[1, 2], [3, 4]], [[5, 6]]]
    for column in (steps, [np.array(s) for s in steps]):
        for nested in (pd.DataFrame({"p": column, "q": [[7, 8], [9]]}), pl.DataFrame):
            if nested is pl.DataFrame:
                nested = pl.DataFrame({"p": steps, "q": [[7, 8], [9]]})
            data = from_nested(nested)
            assert data.columns.features == ["p_0", "p_1", "q"]
            expected = [[[1, 2, 7], [3, 4, 8]], [[5, 6, 9], [nan] * 3]]
            assert_array_equal(data.X, expected)
    file = io.BytesIO()
    pq.write_table(pa.table({"p": steps}), file)
    for read in (pq.read_table, pd.read_parquet, pl.read_parquet):
        file.seek(0)
        assert_array_equal(from_nested(read(file)).X[0], steps[0])


def test_data_frames_as_cells_are_matched_by_the_names_of_their_columns():
    rows = [{"a": [1, 2], "b": [3, 4]}, {"b": [5], "a": [6]}]
    expected = [[[1, 3], [2, 4]], [[6, 5], [nan, nan]]]
    for make in (pd.DataFrame, pl.DataFrame, pa.table):
        frames = [make(columns) for columns in rows]
        assert from_nested(frames).columns.features == ["a", "b"]
        assert_array_equal(from_nested(frames).X, expected)
        assert_array_equal(from_nested({"p": frames}).X, expected)
        with pytest.raises(ValueError, match=r"sample 0 of X has the columns \['a'\], but"):
            from_nested([make({"a": [1]}), make({"a": [1], "b": [2]})])


def test_events_in_json_are_named_by_column_and_key():
    text = '[{"user": 7, "events": [{"dt": 0, "sum": 1.5}, {"dt": 3, "sum": 2}]}]'
    data = from_nested(json.loads(text), id="user")
    assert data.columns.features == ["events.dt", "events.sum"]
    assert data.X.tolist() == [[[0, 1.5], [3, 2]]]


def test_numbers_that_do_not_change_are_repeated_on_demand():
    frame = pd.DataFrame({"a": A, "age": [60, 61, 62]})
    data = from_nested(frame, scalars="repeat")
    assert_array_equal(data.X[..., 1], [[60, 60, 60], [61, nan, nan], [62, 62, nan]])


def test_sktimes_nested_frames_equal_its_arrays_with_channels_first():
    nested, labels = load_basic_motions(split="train", return_X_y=True)
    array, _ = load_basic_motions(split="train", return_X_y=True, return_type="numpy3D")
    data = from_nested(nested)
    assert data.X.shape == (40, 100, 6)
    assert_array_equal(data.X, from_channels_first(array))
    NTMSequenceClassifier(memory_size=4, max_epochs=1, random_state=0).fit(data.X, labels)


def test_sktimes_nested_frames_of_unequal_lengths_are_read_cell_by_cell():
    nested, _ = load_japanese_vowels(split="train", return_X_y=True)
    nested = nested[:20]
    X = from_nested(nested, padded=False).X
    for sample, steps in enumerate(X):
        for channel in range(12):
            cell = nested.iloc[sample, channel].to_numpy()
            assert_array_equal(steps[:, channel], cell[: len(steps)])
            assert len(steps) == len(cell)


@pytest.mark.parametrize(
    ("nested", "message"),
    [
        (
            {"a": [[1, 2], [3]], "b": [[1, 2], [3, 4]]},
            "sample 1 has 1 steps in column 'a', ",
        ),
        ({"a": [[1], []]}, "sample 1 has no step"),
        ({"a": [[1], None]}, "sample 1 of column 'a' is missing"),
        ({"a": [[1], nan]}, "sample 1 of column 'a' is missing"),
        ({"a": [[1], ["u"]]}, "sample 1 of column 'a' is not numeric"),
        ({"a": [[1], [1, "u"]]}, "sample 1 of column 'a' is not numeric"),
        ({"a": [[1], [None, "u"]]}, "sample 1 of column 'a' .* 'u' of type str"),
        ({"a": [[1], [1, True]]}, "sample 1 of column 'a' mixes booleans"),
        ({"a": [[1], [2**53 + 1]]}, r"sample 1 of column 'a' has integers beyond 2\*\*53"),
        ({"a": [[1], 2]}, "sample 1 of column 'a' is 2 of type int, not a series"),
        ({"a": [[1], "text"]}, "sample 1 of column 'a' is 'text' of type str"),
        ({"a": [[[1, 2]], [[1, 2, 3]]]}, "sample 1 of column 'a' has 3 features"),
        ({"a": [[[1, 2]], [[1, 2], [3]]]}, "sample 1 of column 'a' has steps of unequal"),
        ({"a": [[[1, 2]], [3]]}, r"sample 1 of column 'a' has shape \(1,\), sample 0"),
        ({"a": [[[[1]]]]}, r"sample 0 of column 'a' has shape \(1, 1, 1\)"),
        ({"a": [[1], [2]], "b": [[1]]}, "different numbers of samples: {'a': 2, 'b': 1}"),
        ({"a": [np.array(["2020-01-01"], "M8[D]")]}, "sample 0 .* not numeric.*dates"),
        ([{"a": [1]}, {"b": [1]}], r"sample 1 has \['b'\], but sample 0 has \['a'\]"),
        ([{"a": [1]}, [2]], "sample 1 has list, but sample 0"),
        ([[{"a": 1}], [{"a": 1}, 2]], "sample 1 of X mixes dicts"),
        ([[{"a": 1}], [{"a": "u"}]], "sample 1 of X, key 'a', is not numeric"),
        ([[{"a": 1}], [{"a": [1, 2]}]], r"sample 1 of X has shape \(1, 1, 2\)"),
        ({"a": []}, "X has no rows"),
        ({}, "no column of features"),
        (ak.Array([[[1, 2]], [[3]]]), "not of one number of features: 2 . var"),
    ],
)
def test_nested_data_that_do_not_fit_are_refused_by_sample_and_column(nested, message):
    with pytest.raises(ValueError, match=message):
        from_nested(nested)


def test_series_of_other_times_are_refused_by_sample_and_column():
    frame = pd.DataFrame(
        {
            "a": [pd.Series([1, 2]), pd.Series([3, 4])],
            "b": [pd.Series([1, 2]), pd.Series([3, 4], index=[1, 2])],
        }
    )
    with pytest.raises(ValueError, match="sample 1 has another index in column 'b' than"):
        from_nested(frame)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"id": "c"}, r"no column 'c', only \['a', 'k', 'y'\]"),
        ({"target": "c"}, "no column 'c'"),
        ({"features": ["c"]}, "no column 'c'"),
        ({"features": []}, "no column of features"),
        ({"features": "k", "scalars": "repeat"}, r"only numbers: \['k'\].*from_long_frame"),
        ({"features": "a", "id": "a"}, "sample 0 has a series in column 'a'"),
        ({"features": "a", "target": "a"}, "sample 0 .* target_per="),
        ({"features": "a", "target": "y"}, r"'y' is missing in 1 row\(s\).* row 1"),
        ({"features": "a", "target": "k", "target_per": "step"}, "2 steps, but 0 targets"),
        ({"target_per": "row"}, "target_per='row' is not known"),
        ({"scalars": "drop"}, "scalars='drop' is not known"),
    ],
)
def test_arguments_that_do_not_fit_nested_data_are_refused(arguments, message):
    frame = pd.DataFrame({"a": [[1, 2], [3]], "k": [1, 2], "y": ["u", None]})
    with pytest.raises(ValueError, match=message):
        from_nested(frame, **arguments)


@pytest.mark.parametrize("X", [np.ones((2, 3, 1)), 3, "text", torch.ones(2, 3)])
def test_what_is_not_nested_is_refused_by_its_type(X):
    with pytest.raises(TypeError, match=f"{type(X).__name__} is not nested data"):
        from_nested(X)
