"""Dates and durations are refused as features, in every container and resolution."""

import datetime

import numpy as np
import pytest
from helpers import small_classifier, small_regressor
from reading_helpers import LABELS, every_reader, numbers
from sequence_helpers import object_array

from sknt import mark_padding, pad_sequences, unpad_sequences
from sknt.preprocessing import StepwiseTransformer, ToSequence

UNITS = ["Y", "M", "D", "h", "m", "s", "ms", "us", "ns", "ps"]
REFUSED = "dates or durations.*seconds"


def refused(X):
    for model in (small_classifier(), small_regressor(), StepwiseTransformer()):
        with pytest.raises(ValueError, match=REFUSED):
            model.fit(X, LABELS)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("kind", ["datetime64", "timedelta64"])
def test_of_numpy(unit, kind):
    dates = np.arange(48).astype(f"{kind}[{unit}]").reshape(12, 4)
    scalars = np.empty(dates.shape, dtype=object)
    for index in np.ndindex(dates.shape):
        scalars[index] = dates[index]
    for X in (
        dates,
        dates[..., np.newaxis],
        list(dates),
        [row[: 2 + i % 3] for i, row in enumerate(dates)],
        [list(row) for row in dates],
        [list(row)[: 2 + i % 3] for i, row in enumerate(dates)],
        scalars,
        list(scalars),
        np.ma.masked_array(dates, False),
        object_array(list(dates)),
    ):
        refused(X)


@pytest.mark.parametrize(
    "value",
    [
        datetime.date(2020, 1, 1),
        datetime.datetime(2020, 1, 1),
        datetime.timedelta(1),
        datetime.time(1),
        np.datetime64("2020-01-01", "ns"),
        np.timedelta64(1, "ns"),
        np.datetime64("NaT"),
    ],
    ids=repr,
)
def test_among_numbers(value):
    X = numbers(4, 2).astype(object)
    X[3, 1, 0] = value
    refused(X)
    refused(X[..., 0])
    refused(X.tolist())
    refused(X[..., 0].tolist())
    refused([x[: 2 + i % 3] for i, x in enumerate(X)])


def pandas_columns():
    pd = pytest.importorskip("pandas")
    stamps = pd.date_range("2020", periods=12)
    return {
        "naive": stamps,
        "nanoseconds": stamps.as_unit("ns"),
        "seconds": stamps.as_unit("s"),
        "with a zone": stamps.tz_localize("Europe/Berlin"),
        "durations": pd.timedelta_range("1s", periods=12),
        "periods": pd.period_range("2020", periods=12, freq="D"),
        "objects": pd.Series(list(stamps), dtype=object),
    }


NAMES = [
    "naive",
    "nanoseconds",
    "seconds",
    "with a zone",
    "durations",
    "periods",
    "objects",
]


@pytest.mark.parametrize("name", NAMES)
def test_of_pandas(name):
    pd = pytest.importorskip("pandas")
    column = pandas_columns()[name]
    frame = pd.DataFrame({"t": column, "b": np.arange(12.0)})
    for X in (frame, frame[["t"]], [frame] * 12, [frame[["t"]]] * 12, [frame["t"]] * 12):
        refused(X)
    with pytest.raises(ValueError, match=REFUSED):
        ToSequence(n_features=2).fit(frame)


def test_the_column_is_named():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"b": np.arange(12.0), "when": pd.date_range("2020", periods=12)})
    for X in (frame, [frame] * 12):
        with pytest.raises(ValueError, match="column 'when'"):
            small_classifier().fit(X, LABELS)


@pytest.mark.parametrize(
    "dtype", ["Date", "Time", "Datetime", "Datetime.ns", "Datetime.zone", "Duration"]
)
def test_of_polars(dtype):
    pl = pytest.importorskip("polars")
    dtypes = {"Datetime.ns": pl.Datetime("ns"), "Datetime.zone": pl.Datetime("ms", "UTC")}
    dtype = dtypes.get(dtype) or getattr(pl, dtype)
    integers = pl.Series(range(12), dtype=pl.Int32 if dtype == pl.Date else pl.Int64)
    frame = pl.DataFrame({"t": integers.cast(dtype), "b": np.arange(12.0)})
    for X in (frame, frame.select("t"), [frame] * 12, [frame["t"]] * 12):
        refused(X)
    with pytest.raises(ValueError, match=REFUSED):
        ToSequence(n_features=2).fit(frame)
    for function in (lambda X: mark_padding(X, 0), unpad_sequences):
        with pytest.raises(ValueError, match=REFUSED):
            function(frame)
    with pytest.raises(ValueError, match=REFUSED):
        pad_sequences([frame])


@pytest.mark.parametrize("kind", ["timestamp", "duration", "date32", "time64"])
def test_of_arrow(kind):
    pa = pytest.importorskip("pyarrow")
    dtype = pa.date32() if kind == "date32" else getattr(pa, kind)("us")
    integers = pa.array(range(12), pa.int32() if kind == "date32" else pa.int64())
    table = pa.table({"t": integers.cast(dtype), "b": np.arange(12.0)})
    for X in (table, table.select(["t"]), [table] * 12, [table["t"]] * 12):
        refused(X)


def test_as_values_of_a_regressor():
    days = np.arange(12).astype("timedelta64[D]")
    objects = np.empty(12, dtype=object)
    for i, day in enumerate(days):
        objects[i] = day
    for y in (days, objects, list(days)):
        with pytest.raises(ValueError, match="y .*dates or durations"):
            small_regressor().fit(numbers(4, 2), y)


def test_as_values_in_frames():
    pl = pytest.importorskip("polars")
    dates = pl.DataFrame({"t": pl.Series(range(12)).cast(pl.Datetime), "b": range(12)})
    with pytest.raises(ValueError, match="column 't' holds dates"):
        small_regressor().fit(numbers(4, 2), dates)
    with pytest.raises(ValueError, match="column 't' holds dates"):
        small_regressor(return_sequences=True).fit(numbers(12, 2), [dates] * 12)


def test_labels_of_steps_in_lists_stay_dates():
    dates = np.array(["2020-01-01", "2021-01-01"], dtype="datetime64[ns]")
    padded = pad_sequences([dates, dates[:1]])
    assert padded[0].tolist() == list(dates)


@every_reader
def test_text_is_still_refused_as_such(make):
    with pytest.raises(ValueError, match="not numeric"):
        make().fit(numbers(4, 2).astype(str), LABELS)
