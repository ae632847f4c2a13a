"""Containers that cannot be read as sequences are refused with the way out."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import small_classifier
from numpy.testing import assert_array_equal
from reading_helpers import LABELS, every_reader, numbers, outputs
from sequence_helpers import object_array

from sknt.preprocessing import from_nested

RAGGED = [[1.0, 2.0], [3.0]] * 6


class Pairs(torch.utils.data.Dataset):
    def __len__(self):
        return 12

    def __getitem__(self, i):
        return numbers(3, 2)[i], LABELS[i]


def nested_frame():
    pd = pytest.importorskip("pandas")
    return pd.DataFrame({"a": [pd.Series(x) for x in RAGGED]})


def nested_polars():
    return pytest.importorskip("polars").DataFrame({"a": RAGGED})


def nested_arrow():
    return pytest.importorskip("pyarrow").table({"a": RAGGED})


def awkward_array():
    return pytest.importorskip("awkward").Array(RAGGED)


def cells(n_columns):
    array = np.empty((12, n_columns), dtype=object)
    for index in np.ndindex(array.shape):
        array[index] = np.array(RAGGED[index[0]])
    return array


def packed():
    tensors = [torch.tensor(x) for x in RAGGED]
    return torch.nn.utils.rnn.pack_sequence(tensors, enforce_sorted=False)


def result_of_a_layout():
    rows = [{"a": x, "label": n} for x, n in zip(RAGGED, LABELS, strict=True)]
    return from_nested(rows, target="label")


UNREADABLE = {
    "result of a layout": (result_of_a_layout, r"SequenceData.*fit\(data\.X, data\.y\)"),
    "dict": (lambda: dict(enumerate(RAGGED)), r"dict.*list\(X\.values\(\)\)"),
    "data set": (Pairs, r"Pairs.*zip\(\*dataset\)"),
    "packed": (packed, "PackedSequence.*unpack_sequence"),
    "nested frame": (nested_frame, "column 'a'.*from_nested"),
    "nested frame of polars": (nested_polars, "column 'a'.*from_nested"),
    "nested table of arrow": (nested_arrow, "column 'a'.*from_nested"),
    "awkward": (awkward_array, r"Array.*to_list\(\)"),
    "one column of cells": (lambda: cells(1), r"from_nested|X\[:, 0\]"),
    "columns of cells": (lambda: cells(2), "from_nested"),
    "none": (lambda: None, "X is None"),
    "number": (lambda: 3.0, "0 dimensions|2D array, got scalar"),
    "text": (lambda: "abc", "X is a str"),
    "set": (lambda: {1.0, 2.0}, r"set.*list"),
    "something else": (SimpleNamespace, "SimpleNamespace.*array"),
}


@every_reader
@pytest.mark.parametrize(("build", "message"), UNREADABLE.values(), ids=list(UNREADABLE))
def test_refused_with_the_way_out(make, build, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make().fit(build(), LABELS)
    model = make().fit(RAGGED, LABELS)
    with pytest.raises((TypeError, ValueError), match=message):
        outputs(model, build())


@every_reader
@pytest.mark.parametrize("build", [lambda: (x for x in RAGGED), lambda: len])
def test_streams_are_for_fit_only(make, build):
    model = make().fit(RAGGED, LABELS)
    with pytest.raises(TypeError, match=r"X is a .*list\(X\)|X is a .*array"):
        outputs(model, build())


def series_of_lists():
    pd = pytest.importorskip("pandas")
    pa = pytest.importorskip("pyarrow")
    return pd.Series(RAGGED, dtype=pd.ArrowDtype(pa.list_(pa.float64())))


READABLE = {
    "objects of lists": lambda: object_array(RAGGED),
    "series of polars": lambda: pytest.importorskip("polars").Series(RAGGED),
    "array of arrow": lambda: pytest.importorskip("pyarrow").array(RAGGED),
    "chunks of arrow": lambda: pytest.importorskip("pyarrow").chunked_array([RAGGED]),
    "series of arrow lists": series_of_lists,
}


@every_reader
@pytest.mark.parametrize("build", READABLE.values(), ids=list(READABLE))
def test_one_column_of_sequences_is_a_list_of_them(make, build):
    model = make().fit(RAGGED, LABELS)
    assert_array_equal(outputs(model, build()), outputs(model, RAGGED))
    assert_array_equal(outputs(make().fit(build(), LABELS), RAGGED), outputs(model, RAGGED))


def test_equal_lengths_in_one_column_of_sequences():
    pl = pytest.importorskip("polars")
    equal = numbers(3).tolist()
    model = small_classifier().fit(np.array(equal), LABELS)
    assert_array_equal(model.predict_proba(pl.Series(equal)), model.predict_proba(equal))
