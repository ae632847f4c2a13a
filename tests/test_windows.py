"""Windows of long series: a slow loop cuts the same, and targets come later."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.model_selection import TimeSeriesSplit, cross_val_score

from sknt import NTMSequenceClassifier, NTMSequenceRegressor, pad_sequences
from sknt.preprocessing import from_long_frame, to_windows

nan = np.nan


def slow_windows(series, y, length, stride, horizons, per_step):
    """Windows of one series, step by step; y[t] is the target at step t."""
    windows, targets, starts = [], [], []
    start = 0
    while start + length - 1 + max(horizons) < len(series):
        windows.append([series[step] for step in range(start, start + length)])
        if per_step:
            targets.append([y[t + horizons[0]] for t in range(start, start + length)])
        else:
            targets.append([y[start + length - 1 + ahead] for ahead in horizons])
        starts.append(start)
        start += stride
    reached = starts[-1] + length - 1 + max(horizons) if starts else -1
    return windows, targets, starts, len(series) - 1 - reached


@pytest.mark.parametrize("per_step", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_windows_and_their_targets_equal_a_slow_loop(seed, per_step):
    rng = np.random.default_rng(seed)
    series = rng.normal(size=(int(rng.integers(20, 40)), int(rng.integers(1, 4))))
    length, stride = int(rng.integers(1, 9)), int(rng.integers(1, 12))
    horizons = rng.choice(8, 1 if per_step else int(rng.integers(1, 4)), replace=False)
    horizons = [int(ahead) for ahead in horizons]
    labels = rng.choice(["a", "b", "c"], len(series))
    windows, targets, starts, n_left_over = slow_windows(
        series, labels, length, stride, horizons, per_step
    )
    horizon = horizons if len(horizons) > 1 else horizons[0]
    result = to_windows(
        series,
        labels,
        length=length,
        stride=stride,
        horizon=horizon,
        target_per="step" if per_step else "sequence",
    )
    assert_array_equal(result.X, windows)
    one = len(horizons) == 1 and not per_step
    assert_array_equal(result.y, np.array(targets)[:, 0] if one else targets)
    assert_array_equal(result.starts, starts)
    assert result.n_left_over.tolist() == [n_left_over]
    assert set(result.series) == {0}


@pytest.mark.parametrize("horizon", [1, 2, 5])
@pytest.mark.parametrize("stride", [1, 3])
def test_a_forecast_comes_after_everything_in_its_window(horizon, stride):
    clock = np.column_stack([np.arange(50.0), -np.arange(50.0)])
    result = to_windows(clock, length=7, stride=stride, horizon=horizon, target=0)
    assert (result.y == result.X[:, -1, 0] + horizon).all()
    assert (result.X[:, 0, 0] == result.starts).all()
    steps = to_windows(
        clock, length=7, stride=stride, horizon=horizon, target=0, target_per="step"
    )
    assert (steps.y == steps.X[..., 0] + horizon).all()


def test_changing_the_future_changes_no_window_before_it():
    series = np.random.default_rng(0).normal(size=(40, 2))
    changed = series.copy()
    changed[30:] += 1
    before, after = (
        to_windows(s, length=5, horizon=2, target=[0, 1]) for s in (series, changed)
    )
    untouched = before.starts + 5 + 2 <= 30
    assert_array_equal(before.X[untouched], after.X[untouched])
    assert_array_equal(before.y[untouched], after.y[untouched])
    assert (before.y[~untouched] != after.y[~untouched]).all()


def test_several_horizons_or_several_targets_are_several_outputs():
    series = np.column_stack([np.arange(10.0), 10 * np.arange(10.0)])
    result = to_windows(series, length=3, horizon=[1, 3], target=1)
    assert_array_equal(result.y, [[30, 50], [40, 60], [50, 70], [60, 80], [70, 90]])
    result = to_windows(series, length=3, horizon=2, target=[1, 0])
    assert_array_equal(result.y[0], [40, 4])
    result = to_windows(series, length=3, horizon=2, target=[-1], target_per="step")
    assert_array_equal(result.y[0], [[20], [30], [40]])


def test_without_targets_windows_reach_the_last_step():
    result = to_windows(np.arange(6.0), length=4, stride=2)
    assert_array_equal(result.X[..., 0], [[0, 1, 2, 3], [2, 3, 4, 5]])
    assert result.y is None
    assert result.n_left_over.tolist() == [0]


SERIES = [np.arange(9.0), 100 + np.arange(5.0), 200 + np.arange(2.0)]


def test_windows_of_several_series_stay_within_their_series():
    result = to_windows(SERIES, length=3, stride=2, horizon=1, target=0, too_short="skip")
    assert result.series.tolist() == [0, 0, 0, 1]
    assert result.starts.tolist() == [0, 2, 4, 0]
    assert result.n_left_over.tolist() == [1, 1, 2]
    assert (result.X[:, 0, 0] // 100 == result.series).all()
    assert (result.y == result.X[:, -1, 0] + 1).all()


def test_padding_of_several_series_is_no_part_of_them():
    expected = to_windows(SERIES[:2], length=3, horizon=1, target=0)
    padded = pad_sequences(SERIES[:2])[..., np.newaxis]
    in_front = np.stack([np.roll(row, np.isnan(row).sum(), axis=0) for row in padded])
    assert np.isnan(in_front[1, 0, 0])
    for X in (padded, in_front):
        result = to_windows(X, length=3, horizon=1, target=0)
        assert_array_equal(result.X, expected.X)
        assert_array_equal(result.y, expected.y)
        assert_array_equal(X[result.series, result.starts, 0], result.X[:, 0, 0])


def test_targets_of_a_series_are_those_of_its_windows():
    result = to_windows(SERIES[:2], ["u", "v"], length=3, stride=2)
    assert result.y.tolist() == ["u"] * 4 + ["v"] * 2
    y = [np.arange(9), np.arange(5)]
    result = to_windows(SERIES[:2], y, length=3, stride=2)
    assert result.y.tolist() == [2, 4, 6, 8, 2, 4]
    assert to_windows(SERIES[:1], ["u"], length=5).y.tolist() == ["u"] * 5
    assert to_windows(SERIES[0], "u", length=5).y.tolist() == ["u"] * 5


@pytest.mark.parametrize("padded", [True, False])
def test_long_frames_become_windows_with_ids_and_names(padded):
    days = [f"2024-01-0{day}" for day in range(1, 7)]
    frame = pd.DataFrame(
        {
            "unique_id": ["s"] * 6 + ["r"] * 4,
            "ds": pd.to_datetime([*days[::-1], *days[:4]]),
            "y": [*range(6, 0, -1), 10, 20, 30, 40],
            "promo": [0.0] * 10,
            "group": ["g"] * 6 + ["h"] * 4,
            "step": [*"fedcba", *"abcd"],
        }
    )
    arguments = {"id": "unique_id", "time": "ds", "padded": padded}
    data = from_long_frame(frame, features=["y", "promo"], **arguments)
    result = to_windows(data, length=2, horizon=1, target="y")
    assert result.series.tolist() == ["s"] * 4 + ["r"] * 2
    assert_array_equal(result.y, [3, 4, 5, 6, 30, 40])
    labelled = from_long_frame(frame, features="y", target="group", **arguments)
    assert to_windows(labelled, length=2).y.tolist() == ["g"] * 5 + ["h"] * 3
    one = from_long_frame(frame[:6], features="y", target="group", **arguments)
    assert to_windows(one, length=2).y.tolist() == ["g"] * 5
    per_step = from_long_frame(
        frame, features="y", target="step", target_per="step", **arguments
    )
    result = to_windows(per_step, length=2, horizon=1)
    assert "".join(result.y) == "cdefcd"
    result = to_windows(per_step, length=2, target_per="step")
    pairs = ["".join(own) for own in result.y]
    assert pairs == ["ab", "bc", "cd", "de", "ef", "ab", "bc", "cd"]


def test_frames_tensors_and_lists_of_numbers_are_series():
    columns = {"a": [1.0, 2, 3, 4], "b": [5, 6, 7, 8]}
    array = np.column_stack(list(columns.values()))
    expected = to_windows(array, length=2, horizon=1, target=1)
    for make in (pd.DataFrame, pl.DataFrame, pa.table):
        result = to_windows(make(columns), length=2, horizon=1, target="b")
        for one, other in zip(result, expected, strict=True):
            assert_array_equal(one, other)
    result = to_windows(torch.tensor(array), length=2, horizon=1, target=1)
    assert_array_equal(result.X, expected.X)
    for series in (columns["a"], pd.Series(columns["a"]), np.array(columns["a"])):
        X = to_windows(series, length=2).X
        assert_array_equal(X, [[[1], [2]], [[2], [3]], [[3], [4]]])


def test_windows_of_one_series_take_no_memory_of_their_own():
    series = np.random.default_rng(0).normal(size=(1000, 2))
    X = to_windows(series, length=100).X
    assert X.base is not None
    assert not X.flags.writeable
    assert X.strides[0] == X.strides[1] == series.strides[0]


def test_masked_values_are_absent_and_masked_targets_missing():
    series = np.ma.masked_equal([1.0, -9.0, 3.0], -9)
    result = to_windows(series, np.ma.masked_equal([1, -9, -9], -9), length=2)
    assert_array_equal(result.X[..., 0], [[1, nan], [nan, 3]])
    assert_array_equal(result.y, [nan, nan])


def test_missing_targets_stay_nan():
    y = [0.0, nan, 2.0, 3.0]
    assert_array_equal(to_windows(np.ones(4), y, length=2).y, [nan, 2, 3])


def test_windows_are_ready_for_fit_and_for_splits_by_time():
    rng = np.random.default_rng(0)
    series = np.sin(np.arange(80) / 3) + 0.01 * rng.normal(size=80)
    X, y, *_ = to_windows(series, length=8, horizon=1, target=0)
    model = NTMSequenceRegressor(memory_size=4, max_epochs=2, random_state=0)
    scores = cross_val_score(model, X, y, cv=TimeSeriesSplit(2, gap=9))
    assert np.isfinite(scores).all()
    up = np.where(np.diff(series, prepend=0) > 0, "up", "down")
    windows = to_windows(series, up, length=8, stride=4, target_per="step")
    steps = NTMSequenceClassifier(
        memory_size=4, max_epochs=1, return_sequences=True, random_state=0
    ).fit(windows.X, windows.y)
    assert set(steps.classes_) == {"up", "down"}


LONG = np.arange(20.0).reshape(10, 2)
DATES = pd.to_datetime(["2024-01-02", "2024-01-01", "2024-01-03"])


@pytest.mark.parametrize(
    ("X", "arguments", "message"),
    [
        (LONG, {"length": 0}, "length=0 is not a whole number"),
        (LONG, {"length": 2.0}, "length=2.0 is not a whole number"),
        (LONG, {"length": True}, "length=True is not"),
        (LONG, {"stride": 0}, "stride=0 is not"),
        (LONG, {"horizon": -1}, "horizon=-1 is not a number of steps"),
        (LONG, {"horizon": []}, r"horizon=\[\] is not"),
        (LONG, {"horizon": 1.5}, "horizon=1.5 is not"),
        (LONG, {"horizon": 1}, "horizon=1 needs a target: give y or target"),
        (LONG, {"target": 0}, "horizon must be at least 1"),
        (LONG, {"target": 0, "horizon": [0, 1]}, "horizon must be at least 1"),
        (LONG, {"target": 0, "y": np.ones(10), "horizon": 1}, "y or target, not both"),
        (LONG, {"target": 2, "horizon": 1}, "target=2 is not among the features: 0 to 1"),
        (LONG, {"target": "a", "horizon": 1}, "target='a' is not among the features"),
        (LONG, {"target": [0, 1], "horizon": [1, 2]}, "several targets or several hor"),
        (LONG, {"target": 0, "horizon": [1], "target_per": "step"}, "has one horizon"),
        (LONG, {"target_per": "window"}, "target_per='window' is not known"),
        (LONG, {"too_short": "pad"}, "too_short='pad' is not known"),
        (LONG, {"y": np.ones(9)}, "series 0 has 10 steps, but y has 9 targets"),
        (LONG, {"length": 11}, "series 0 has 10 steps, but a window .* take 11"),
        (
            LONG,
            {"horizon": 9, "target": 0},
            "take 11; give a shorter length, or",
        ),
        (LONG, {"length": 11, "too_short": "skip"}, "every series is too short"),
        ([LONG, LONG], {"y": [1]}, "y has 1 entries, but X has 2 series"),
        ([LONG, LONG], {"y": [1, 2], "horizon": 1}, "horizon has no meaning"),
        ([LONG, LONG], {"y": [np.ones(10), 2]}, "series 1 has 10 steps, but y has 1"),
        ([LONG, LONG[:, 0]], {}, "series 1 has the features 1, but series 0 has 2"),
        ([[1.0, 2], [3.0, 4]], {}, "a list of lists may be one series"),
        ([LONG, LONG[:2]], {"length": 3}, "series 1 has 2 steps"),
        (np.ones((2, 2, 2, 2)), {}, r"series 0 is of shape \(2, 2, 2, 2\)"),
        (np.array(["a", "b"]), {}, "series 0 is of shape .* dtype <U1; give numbers"),
        (pd.DataFrame({"a": ["x", "y"]}), {}, "'a' is not numeric but String"),
        (pd.DataFrame({"ds": DATES}), {}, "'ds' is not numeric but Datetime"),
        (pd.DataFrame({"a": [1, 2, 3]}, index=DATES), {}, "dates in the index of series 0"),
        (pd.Series([1, 2, 3], index=DATES), {}, "not in order; sort it first"),
        (
            [pd.DataFrame({"a": [1, 2], "b": [1, 2]}), pd.DataFrame({"b": [1], "a": [1]})],
            {},
            r"series 1 has the features \['b', 'a'\], but series 0 has \['a', 'b'\]",
        ),
        (
            np.array([1, 2, nan, nan, nan, 3, 4]),
            {"length": 2},
            r"2 window\(s\) of series 0 have no present step: steps 2 to 3 are all NaN",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(X, arguments, message):
    with pytest.raises(ValueError, match=message):
        to_windows(X, **{"length": 2} | arguments)
