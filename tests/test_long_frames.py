"""Long frames become sequences, and sequences long frames, in every library alike."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from frame_helpers import LIBRARIES
from numpy.testing import assert_array_equal
from sklearn.base import clone

from sknt import NTMSequenceClassifier, unpad_sequences
from sknt.preprocessing import SequenceData, from_long_frame, to_long_frame

nan = np.nan
every_library = pytest.mark.parametrize("make", LIBRARIES.values(), ids=LIBRARIES)
EVENTS = {
    "patient": ["p7", "p7", "p2", "p7", "p2"],
    "day": [3, 1, 9, 2, 8],
    "pulse": [70.0, 60.0, 82.0, 65.0, 81.0],
    "count": [3, 1, None, 2, 8],
    "ill": ["yes", "yes", "no", "yes", "no"],
}


def random_columns(seed, n_rows=60):
    """Columns in which each id and time occurs once, in random order."""
    rng = np.random.default_rng(seed)
    n_ids = int(rng.integers(1, 12))
    pairs = rng.permutation(n_ids * 20)[:n_rows]
    ids = pairs // 20
    start = dt.datetime(2021, 3, 28, tzinfo=None)
    kind = ["text", "number"][seed % 2]
    time = (pairs % 20).tolist()
    times = {
        0: time,
        1: [start + dt.timedelta(hours=t) for t in time],
        2: [start.date() + dt.timedelta(days=t) for t in time],
        3: [t / 4 for t in time],
    }[seed % 4]
    labels = rng.choice(["up", "down", "äh"], n_ids).tolist()
    return {
        "who": [f"id {i}" if kind == "text" else int(i) for i in ids],
        "when": times,
        "a": rng.normal(size=len(ids)).tolist(),
        "b": rng.integers(0, 2, len(ids)).astype(bool).tolist(),
        "label": [labels[i] for i in ids],
        "value": rng.normal(size=len(ids)).tolist(),
    }


def sorted_rows(columns, per_row):
    """Rows as a dict from ids, in order of appearance, to their rows sorted by time."""
    groups = {}
    for row, (who, when) in enumerate(zip(columns["who"], columns["when"], strict=True)):
        groups.setdefault(who, []).append((when, row))
    return {
        who: [tuple(columns[name][row] for name in per_row) for _, row in sorted(rows)]
        for who, rows in groups.items()
    }


def plain(frame):
    """A frame's rows as Python values, None where it is null."""
    if isinstance(frame, pd.DataFrame):
        table = {name: frame[name].tolist() for name in frame.columns}
    elif isinstance(frame, pa.Table):
        table = frame.to_pydict()
    else:
        table = frame.to_dict(as_series=False)
    return {
        name: [None if value is None or value != value else value for value in column]
        for name, column in table.items()
    }


def instant(when):
    return pd.Timestamp(when) if isinstance(when, dt.date) else when


@every_library
def test_rows_are_sorted_by_time_and_ids_are_in_order_of_appearance(make):
    data = from_long_frame(make(EVENTS), id="patient", time="day", target="ill")
    assert isinstance(data, SequenceData)
    assert_array_equal(
        data.X,
        [[[60, 1], [65, 2], [70, 3]], [[81, 8], [82, nan], [nan, nan]]],
    )
    assert data.y.tolist() == ["yes", "no"]
    assert data.ids.tolist() == ["p7", "p2"]
    assert [own.tolist() for own in data.times] == [[1, 2, 3], [8, 9]]
    assert data.columns.features == ["pulse", "count"]


@every_library
@pytest.mark.parametrize("seed", range(8))
def test_random_frames_equal_a_loop_over_their_rows(make, seed):
    columns = random_columns(seed)
    expected = sorted_rows(columns, ["a", "b"])
    labels = sorted_rows(columns, ["label"])
    values = sorted_rows(columns, ["value"])
    arguments = {"id": "who", "time": "when", "features": ["a", "b"]}
    data = from_long_frame(make(columns), **arguments, target="label")
    assert data.ids.tolist() == list(expected)
    assert data.y.tolist() == [labels[who][0][0] for who in expected]
    for steps, who in zip(unpad_sequences(data.X), expected, strict=True):
        assert_array_equal(steps, np.array(expected[who], float))
    stepwise = from_long_frame(
        make(columns), **arguments, target="value", target_per="step", padded=False
    )
    for X, y, who in zip(stepwise.X, stepwise.y, expected, strict=True):
        assert_array_equal(X, np.array(expected[who], float))
        assert_array_equal(y, np.array(values[who])[:, 0])


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("target_per", ["sequence", "step"])
@pytest.mark.parametrize("backend", ["pandas", "polars", "pyarrow"])
@pytest.mark.parametrize("seed", range(4))
def test_a_frame_comes_back_from_sequences(backend, seed, target_per, padded):
    columns = random_columns(seed)
    columns["a"][5] = None  # b has a value there
    target = {"sequence": "label", "step": "value"}[target_per]
    names = ["who", "when", "a", "b", target]
    frame = LIBRARIES[backend]({name: columns[name] for name in names})
    data = from_long_frame(
        frame, id="who", time="when", target=target, target_per=target_per, padded=padded
    )
    back = to_long_frame(data, backend=backend)
    assert type(back) is type(frame)
    expected = sorted_rows(columns, names)
    rows = [row for rows in expected.values() for row in rows]
    back = plain(back)
    assert list(back) == names
    if backend == "pandas":  # it has no dates without a time of day
        rows = [(who, instant(when), *others) for who, when, *others in rows]
    assert list(zip(*back.values(), strict=True)) == rows


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
@pytest.mark.parametrize("backend", ["pandas", "polars", "pyarrow"])
def test_time_zones_order_instants_and_come_back(backend, zone):
    """Clocks in Berlin showed 2:30 twice that night."""
    utc = pd.to_datetime(["2021-10-31 01:30", "2021-10-31 00:30"], utc=True)
    frame = pd.DataFrame({"id": [1, 1], "at": utc.tz_convert(zone), "a": [2.0, 1.0]})
    frame = {
        "pandas": lambda: frame,
        "polars": lambda: pl.from_pandas(frame),
        "pyarrow": lambda: pa.Table.from_pandas(frame, preserve_index=False),
    }[backend]()
    data = from_long_frame(frame, id="id", time="at")
    assert data.X.ravel().tolist() == [1, 2]
    back = to_long_frame(data, backend=backend)
    assert type(back) is type(frame)
    if backend == "pandas":
        pd.testing.assert_frame_equal(back, frame[::-1].reset_index(drop=True))
    elif backend == "polars":
        assert back.equals(frame[::-1])
        assert back.schema == frame.schema
    else:
        assert back["at"].type.tz == frame["at"].type.tz
        assert back.to_pylist() == frame.to_pylist()[::-1]


@every_library
def test_several_columns_identify_a_sequence(make):
    frame = make({"s": ["x", "y", "x", "x"], "k": [2, 2, 1, 2], "a": [1.0, 2, 3, 4]})
    data = from_long_frame(frame, id=["s", "k"])
    assert data.ids.tolist() == [("x", 2), ("y", 2), ("x", 1)]
    assert_array_equal(data.X[..., 0], [[1, 4], [2, nan], [3, nan]])
    back = plain(to_long_frame(data))
    assert back == {"s": ["x", "x", "y", "x"], "k": [2, 2, 2, 1], "a": [1, 4, 2, 3]}


def test_levels_of_a_pandas_index_are_named_like_columns():
    index = pd.MultiIndex.from_product([["u", "v"], [1, 0]], names=["id", "t"])
    frame = pd.DataFrame({"a": [1.0, 2, 3, 4]}, index=index)
    assert_array_equal(
        from_long_frame(frame, id="id", time="t").X[..., 0], [[2, 1], [4, 3]]
    )


def test_numbers_name_columns_and_an_index_or_a_tuple_names_several():
    frame = pd.DataFrame({0: [1, 1, 2], 1: [2.0, 1.0, 3.0], 2: [0, 0, 1], 3: [5, 4, 3]})
    data = from_long_frame(frame, id=0, features=frame.columns[[1]], target=2)
    assert_array_equal(data.X[..., 0], [[2, 1], [3, nan]])
    assert data.y.tolist() == [0, 1]
    back = to_long_frame(data)
    assert back.columns.tolist() == [0, 1, 2]
    assert_array_equal(back[2], frame[2])
    data = from_long_frame(frame, id=0, features=(1,), target=(2,))
    assert data.y.tolist() == [[0], [1]]
    data = from_long_frame(frame, id=(0, 2), features=3)
    assert data.ids.tolist() == [(1, 0), (2, 1)]


@every_library
def test_decimals_and_booleans_are_numbers_and_null_is_nan(make):
    frame = make(
        {
            "id": [1, 1, 1],
            "price": [Decimal("1.25"), None, Decimal("-3.5")],
            "open": [True, False, None],
            "never": [None, None, None],
        }
    )
    X = from_long_frame(frame, id="id", empty_rows="absent").X[0]
    assert_array_equal(X, [[1.25, 1, nan], [nan, 0, nan], [-3.5, nan, nan]])


@every_library
@pytest.mark.parametrize(
    ("labels", "expected", "kind"),
    [
        ([True, True, False], [True, False], "b"),
        ([7, 7, 2], [7, 2], "i"),
        ([0.5, 0.5, 2.0], [0.5, 2], "f"),
        (["a", "a", "b"], ["a", "b"], "O"),
        ([Decimal("0.5"), Decimal("0.5"), Decimal(3)], [0.5, 3], "f"),
    ],
)
def test_targets_keep_their_type(make, labels, expected, kind):
    frame = make({"id": [4, 4, 3], "a": [1.0, 2.0, 3.0], "y": labels})
    y = from_long_frame(frame, id="id", target="y").y
    assert y.tolist() == expected
    assert y.dtype.kind == kind


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_the_values_of_categories_are_ids_and_labels(library):
    """Not their codes, and not in the order of the categories."""
    values = ["z", "z", "a"]
    category = {
        "pandas": lambda: pd.Series(values, dtype="category"),
        "polars": lambda: pl.Series(values, dtype=pl.Categorical),
        "pyarrow": lambda: pa.array(values).dictionary_encode(),
    }[library]
    frame = LIBRARIES[library]({"id": category(), "a": [1.0, 2.0, 3.0], "y": category()})
    data = from_long_frame(frame, id="id", target="y")
    assert data.ids.tolist() == data.y.tolist() == ["z", "a"]


@every_library
@pytest.mark.parametrize(
    ("duplicates", "expected"), [("first", [1, 3]), ("last", [2, 3]), ("keep", [1, 2, 3])]
)
def test_of_rows_with_the_same_time_the_first_the_last_or_all_are_kept(
    make, duplicates, expected
):
    frame = make({"id": [1, 1, 1, 2], "t": [5, 5, 6, 5], "a": [1.0, 2, 3, 4]})
    data = from_long_frame(frame, id="id", time="t", duplicates=duplicates)
    assert data.X[0, :, 0].tolist() == expected
    assert data.X[1, 0, 0] == 4


@every_library
def test_missing_targets_are_nan_and_a_sequence_has_the_one_that_is_known(make):
    frame = make(
        {
            "id": [1, 1, 2, 3],
            "a": [1.0, 2, 3, 4],
            "y": [None, "s", "t", None],
            "v": [None, 2, 2, None],
        }
    )
    arguments = {"id": "id", "features": "a", "null_targets": "missing"}
    y = from_long_frame(frame, target="y", **arguments).y
    assert y[:2].tolist() == ["s", "t"]
    assert y[2] != y[2]
    assert_array_equal(from_long_frame(frame, target="v", **arguments).y, [2, 2, nan])
    steps = from_long_frame(frame, target="v", target_per="step", **arguments).y
    assert_array_equal(steps, [[nan, 2], [2, nan], [nan, nan]])


@every_library
def test_several_targets_are_several_outputs(make):
    frame = make({"id": [1, 1, 2], "a": [1.0, 2, 3], "y": [5, 5, 6], "z": [0.5, 0.5, 1]})
    arguments = {"id": "id", "target": ["z", "y"]}
    assert_array_equal(from_long_frame(frame, **arguments).y, [[0.5, 5], [1, 6]])
    steps = from_long_frame(frame, target_per="step", **arguments)
    assert_array_equal(steps.y, [[[0.5, 5], [0.5, 5]], [[1, 6], [nan, nan]]])
    assert plain(to_long_frame(steps))["z"] == [0.5, 0.5, 1]


@every_library
def test_a_row_without_features_can_be_an_absent_step_and_comes_back(make):
    frame = make({"id": [1, 1, 1, 2], "t": [0, 1, 2, 0], "a": [1.0, None, 3.0, 4.0]})
    data = from_long_frame(frame, id="id", time="t", empty_rows="absent")
    assert_array_equal(data.X[..., 0], [[1, nan, 3], [4, nan, nan]])
    assert plain(to_long_frame(data)) == {
        "id": [1, 1, 1, 2],
        "t": [0, 1, 2, 0],
        "a": [1, None, 3, 4],
    }


@pytest.mark.parametrize("labels", [["no", "yes"], [False, True], [3, 5]])
@pytest.mark.parametrize("target_per", ["sequence", "step"])
@pytest.mark.parametrize("padded", [True, False])
def test_the_result_is_ready_for_fit_and_predictions_become_a_frame(
    labels, target_per, padded
):
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 9, 40)
    chosen = ids % 2 if target_per == "sequence" else rng.integers(0, 2, 40)
    frame = pd.DataFrame(
        {
            "id": ids,
            "t": rng.permutation(40),
            "a": rng.normal(size=40),
            "y": np.array(labels)[chosen],
        }
    )
    data = from_long_frame(
        frame, id="id", time="t", target="y", target_per=target_per, padded=padded
    )
    model = NTMSequenceClassifier(
        memory_size=4, max_epochs=1, return_sequences=target_per == "step", random_state=0
    ).fit(data.X, data.y)
    assert model.classes_.tolist() == labels
    predicted = clone(model).fit(data.X, data.y).predict(data.X)
    back = to_long_frame(data, predicted, target="guess", target_per=target_per)
    both = frame.merge(back, on=["id", "t"])
    assert len(both) == len(frame)
    assert_array_equal(both["a_x"], both["a_y"])
    assert set(both["guess"]) <= set(labels)
    if target_per == "sequence":
        by_id = dict(zip(data.ids, predicted, strict=True))
        assert both["guess"].tolist() == [by_id[i] for i in both["id"]]


def test_plain_sequences_become_a_frame_with_numbered_ids_and_steps():
    X = np.array(
        [[[1.0, 2.0], [nan, nan], [5.0, 6.0]], [[7.0, 8.0], [nan, nan], [nan, nan]]]
    )
    frame = to_long_frame(X, [10, 20], time="step")
    assert plain(frame) == {
        "id": [0, 0, 1],
        "step": [0, 2, 0],
        "feature_0": [1, 5, 7],
        "feature_1": [2, 6, 8],
        "target": [10, 10, 20],
    }


def test_times_may_be_those_of_the_present_steps():
    X = np.array([[nan, 1.0, nan, 2.0]])
    frame = to_long_frame(X, times=[["a", "b"]], features=["x"])
    assert plain(frame) == {"id": [0, 0], "time": ["a", "b"], "x": [1, 2]}
