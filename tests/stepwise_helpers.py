"""Sequences with columns of text, for the tests of transformers of their steps."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder

LIBRARIES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}

every_library = pytest.mark.parametrize("make", LIBRARIES.values(), ids=LIBRARIES)

KINDS = [["u", "v", "u"], ["v"], ["w", "u"], ["u", "w"]] * 3
VALUES = [[1.0, None, 3.0], [5.0], [None, 7.0], [0.5, 2.5]] * 3
FLAGS = [[True, False, True], [False], [True, True], [False, False]] * 3
LABELS = np.arange(12) % 2

FAST = {"backend": "reference", "n_convolutions": 0}
"""For networks of which only the data matter."""


def sequences(make, names=("kind", "a", "flag")):
    """Twelve frames of one to three steps, with text, gaps in numbers, and booleans."""
    columns = {"kind": KINDS, "a": VALUES, "flag": FLAGS}
    return [make({name: columns[name][i] for name in names}) for i in range(12)]


def columns_apart(**params):
    """One-hot encoding of the text, the mean for gaps in the numbers."""
    return ColumnTransformer(
        [("k", OneHotEncoder(**params), ["kind"]), ("n", SimpleImputer(), ["a"])],
        remainder="passthrough",
    )


def by_hand():
    """What ``columns_apart`` should make of each of the ``sequences``."""
    values = [v for own in VALUES for v in own if v is not None]
    mean = sum(values) / len(values)
    expected = []
    for kinds, numbers, flags in zip(KINDS, VALUES, FLAGS, strict=True):
        rows = zip(kinds, numbers, flags, strict=True)
        expected.append(
            [
                [*(float(k == c) for c in "uvw"), mean if a is None else a, float(f)]
                for k, a, f in rows
            ]
        )
    return expected
