"""Columns of Arrow that are encoded as dictionaries, as Parquet files often have them."""

import numpy as np
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal

from sknt import NTMSequenceClassifier, pad_sequences
from sknt.data.arrays import as_labels, is_missing
from sknt.data.sequences import check_sequences

SMALL = {
    "memory_size": 8,
    "hidden_size": 8,
    "max_epochs": 1,
    "random_state": 0,
    "backend": "reference",
}


def encoded(values):
    """A dictionary in chunks, as a column of a table is."""
    return pa.chunked_array([pa.array(values).dictionary_encode()])


@pytest.mark.parametrize(
    "values", [["b", None, "a"], [None, "z"], [5, None, 7], [0.5, None]]
)
def test_a_missing_value_is_not_another_one(values):
    for column in (encoded(values), pa.table({"k": encoded(values)})):
        labels = as_labels(column).ravel()
        missing = [value is None for value in values]
        assert_array_equal(is_missing(labels), missing)
        kept = [value for value in values if value is not None]
        assert labels[~np.array(missing)].tolist() == kept


def test_a_missing_target_is_left_out():
    X = np.random.RandomState(0).normal(size=(6, 3, 1))
    labels = ["a", "b", None, "a", None, "b"]
    given = [label is not None for label in labels]
    model = NTMSequenceClassifier(**SMALL).fit(X, encoded(labels))
    without = NTMSequenceClassifier(**SMALL).fit(
        X[given], [label for label in labels if label is not None]
    )
    assert_array_equal(model.predict_proba(X), without.predict_proba(X))


def test_absent_steps_of_tables_are_absent():
    rows = [[1, None, 3], [None, 2], [4]]
    tables = [pa.table({"a": encoded(row)}) for row in rows]
    plain = [[np.nan if value is None else value for value in row] for row in rows]
    found = check_sequences(tables)
    assert_array_equal(found.lengths, [2, 1, 1])
    assert_array_equal(found.values, check_sequences(pad_sequences(plain)).values)


def test_a_table_of_sequences_is_read_like_one_without_dictionaries():
    columns = {"a": [1, 2, 3, 4], "b": [5, None, 6, None]}
    model = NTMSequenceClassifier(**SMALL)
    y = [0, 1, 0, 1]
    table = pa.table({name: encoded(values) for name, values in columns.items()})
    plain = pa.table(columns)
    assert_array_equal(
        model.fit(table, y).predict_proba(table), model.fit(plain, y).predict_proba(plain)
    )
