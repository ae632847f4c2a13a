"""Values of every kind come back in the same type and in every bit."""

import math

import numpy as np
import pytest
import torch
from persistence_helpers import assert_same, carried, carrying, round_trip

rng = np.random.RandomState(0)
VALUES = {
    "none": None,
    "booleans": [True, False],
    "integers": [0, -1, 2**63, -(10**40)],
    "floats": [0.0, -0.0, 1e-323, 1.7e308, 1 / 3, math.pi, math.inf, -math.inf, math.nan],
    "text": [
        "",
        'a "quoted" \\ text\n\0',
        "\U0001f600 ß",
        "\ud800",
        "sha256",
        '"sha256":"0"',
    ],
    "bytes": b"\0\xff",
    "tuples": (1, (2, [3, (4,)]), ()),
    "sets": {1, "a", (2, 3)},
    "dictionaries": {"a": {"b": {}}, "ref": 1, "dict": {"object": "os"}, "id": 3},
    "keys of any type": {
        1: "a",
        False: "b",
        None: 3,
        (1, "x"): 4,
        0.5: np.nan,
        np.int8(7): 1,
    },
    "slices": [slice(None), slice(1, -1, 2), slice("a", "b")],
    "scalars": [
        *(np.float64(0.1), np.float32(0.1), np.float16("nan"), np.float64("-inf")),
        *(np.int8(-3), np.uint64(2**64 - 1), np.bool_(True), np.str_("ä"), np.bytes_(b"x")),
        *(
            np.complex128(1 - 2j),
            np.datetime64("2024-02-29T12", "h"),
            np.timedelta64(5, "D"),
        ),
    ],
    "types": [float, int, bool, str, object, np.float32, np.int64, np.bool_],
    "dtypes": [np.dtype("f4"), np.dtype(">i8"), np.dtype("<U5"), np.dtype("M8[ns]")],
    "devices": [torch.device("cpu"), torch.device("cuda:1")],
    "tensors": [torch.arange(6.0).reshape(2, 3).T, torch.tensor(True), torch.zeros(0, 2)],
    "generator": np.random.RandomState(7),
}
ARRAYS = {
    **{
        dtype: rng.bytes(48) and np.frombuffer(rng.bytes(48), dtype).reshape(2, -1)
        for dtype in (
            "f2",
            "f4",
            "f8",
            "i1",
            "i2",
            "i4",
            "i8",
            "u1",
            "u2",
            "u4",
            "u8",
            "c8",
        )
    },
    "c16": np.frombuffer(rng.bytes(48), "c16"),
    "big-endian": np.frombuffer(rng.bytes(48), ">f8"),
    "big-endian text": np.array(["ä", "bc"], ">U4"),
    "booleans": np.array([[True, False]]),
    "text": np.array([["a", "\U0001f600"], ["", "cd\0e"]]),
    "bytes": np.array([b"a", b"", b"cde"]),
    "dates": np.array(["2020-01-01", "NaT"], "M8[ns]"),
    "durations": np.array([5, -7], "m8[25s]"),
    "objects": np.array([["a", None], [np.nan, 3]], object),
    "no numbers": np.zeros((0, 3)),
    "no dimensions": np.array(2.5),
    "no text": np.array([], "U3"),
    "Fortran": np.asfortranarray(rng.normal(size=(3, 4))),
    "Fortran, three axes": np.asfortranarray(rng.normal(size=(3, 4, 2))),
    "Fortran text": np.asfortranarray(np.array([["a", "b"], ["c", "d"]])),
    "strides": rng.normal(size=(6, 4))[::2, 1:3],
    "reversed": rng.normal(size=6)[::-1],
    "broadcast": np.broadcast_to(np.arange(3.0), (2, 3)),
    "read-only": np.frombuffer(b"\1\2", "u1"),
}


@pytest.mark.parametrize("value", [*VALUES.values()], ids=VALUES)
def test_a_value_is_the_same(tmp_path, value):
    assert_same(carried(round_trip(carrying(value), tmp_path)), value)


@pytest.mark.parametrize("array", [*ARRAYS.values()], ids=ARRAYS)
def test_an_array_is_the_same(tmp_path, array):
    loaded = carried(round_trip(carrying(array), tmp_path))
    assert_same(loaded, array)
    assert loaded.flags.writeable


def test_a_memory_map_comes_back_as_an_array(tmp_path):
    array = np.memmap(tmp_path / "numbers", shape=5, mode="w+")
    array[:] = range(5)
    assert_same(carried(round_trip(carrying(array), tmp_path)), np.array(array))


def test_a_generator_goes_on_where_it_was(tmp_path):
    generator = np.random.RandomState(3)
    generator.normal(size=5)  # an odd number: one is kept for later
    loaded = carried(round_trip(carrying(generator), tmp_path))
    assert_same(loaded.normal(size=9), generator.normal(size=9))


def test_the_usual_nan_comes_back_as_this_very_object(tmp_path):
    """Parameters are compared with defaults, which equal themselves by identity."""
    assert carried(round_trip(carrying(np.nan), tmp_path)) is np.nan


def test_the_same_array_in_two_places_is_stored_once(tmp_path):
    array = np.zeros(10_000)
    first, second = carried(round_trip(carrying([array, array]), tmp_path))
    assert first is second
    assert (tmp_path / "model.sknt").stat().st_size < 100_000
