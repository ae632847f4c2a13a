"""The name of a single series is that of its feature."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal

from sknt.preprocessing import to_windows

LOAD = np.arange(8.0)


@pytest.mark.parametrize(
    "series",
    [pd.Series(LOAD, name="load"), pl.Series("load", LOAD)],
    ids=["pandas", "polars"],
)
def test_a_series_is_known_by_its_name(series):
    windows = to_windows(series, length=3, horizon=1, target="load")
    assert_array_equal(windows.y, LOAD[3:])
    assert_array_equal(to_windows(series, length=3, horizon=1, target=0).y, LOAD[3:])
    with pytest.raises(ValueError, match=r"target='lead' is not among .*\['load'\]"):
        to_windows(series, length=3, horizon=1, target="lead")
    two = to_windows([series, series], length=3, horizon=1, target="load")
    assert_array_equal(two.y, [*LOAD[3:], *LOAD[3:]])


def test_names_that_tell_series_apart_are_not_those_of_a_feature():
    north, south = pd.Series(LOAD, name="north"), pd.Series(-LOAD, name="south")
    windows = to_windows([north, south], length=3, horizon=1, target=0)
    assert_array_equal(windows.y, [*LOAD[3:], *-LOAD[3:]])
    with pytest.raises(ValueError, match="target='north' is not among the features: 0"):
        to_windows([north, south], length=3, horizon=1, target="north")


def test_gaps_and_types_of_a_series_are_those_of_a_column():
    nullable = pd.Series([1, None, 3, 4], dtype="Int64", name="a")
    windows = to_windows(nullable, length=2, horizon=1, target="a")
    assert_array_equal(windows.X[..., 0], [[1, np.nan], [np.nan, 3]])
    with pytest.raises(ValueError, match="column 'a' is not numeric"):
        to_windows(pd.Series(["u", "v"], name="a"), length=1)
