"""Data frames of every library, for the tests of layouts."""

import pandas as pd
import polars as pl
import pyarrow as pa


def pandas_nullable(columns):
    return pd.DataFrame(columns).convert_dtypes()


def pandas_arrow(columns):
    return pa.table(columns).to_pandas(types_mapper=pd.ArrowDtype)


LIBRARIES = {
    "pandas": pd.DataFrame,
    "pandas, nullable": pandas_nullable,
    "pandas, of Arrow": pandas_arrow,
    "polars": lambda columns: pl.DataFrame(columns, strict=False),
    "pyarrow": pa.table,
}
"""What makes a frame of a dict of lists, by library."""
