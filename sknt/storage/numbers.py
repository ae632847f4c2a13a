"""Arrays of any type as arrays of the types that safetensors knows, and back; scalars."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

PARTS = {"c8": "f4", "c16": "f8", "M": "i8", "m": "i8", "U": "u4", "S": "u1"}
"""What an element of other types consists of."""

DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|c8|c16|[mM]8(\[\w+\])?|[US][1-9]\d{0,6})")
"""Texts that are read as a dtype."""


def stored(array: NDArray[Any]) -> NDArray[Any] | None:
    """Return an array's numbers in a type that safetensors knows, or None.

    Parts of an element are in an axis of their own, the last one.
    """
    if not DTYPE.fullmatch(array.dtype.str):
        return None
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    little = little.reshape(array.shape)  # of no dimensions, it has got one
    part = _part_of(little.dtype)
    return little if part is None else little[..., np.newaxis].view(f"<{part}")


def restored(numbers: NDArray[Any], dtype: str, order: str) -> NDArray[Any]:
    """Return the array that :func:`stored` was given.

    Raises
    ------
    ValueError
        If the numbers are not of that type.
    """
    wanted = dtype_of(dtype)
    little = wanted.newbyteorder("<")
    part = _part_of(little)
    if numbers.dtype != np.dtype(little if part is None else f"<{part}"):
        raise ValueError(f"a tensor of type {numbers.dtype} stands for {dtype}")
    if part is not None:
        if numbers.ndim < 1 or numbers.shape[-1] * numbers.itemsize != little.itemsize:
            raise ValueError(f"a tensor of shape {numbers.shape} stands for {dtype}")
        if little.kind == "U" and (numbers > 0x10FFFF).any():
            raise ValueError("a text has a number that no character has")
        numbers = numbers.view(little)[..., 0]
    array = numbers.astype(wanted, order="C", copy=False)
    return array.T if order == "F" else array


def dtype_of(text: Any) -> np.dtype:
    """Return the dtype that a text of a file stands for."""
    if not (isinstance(text, str) and DTYPE.fullmatch(text)):
        raise ValueError(f"{text!r} is not a dtype that is loaded")
    return np.dtype(text)


def encode_scalar(value: np.generic) -> dict[str, Any] | None:
    """Return the node of a NumPy scalar, or None."""
    if isinstance(value, np.str_):
        return {"scalar": ["U", str(value)]}
    array = np.array(value)
    if array.dtype == object or stored(array) is None:
        return None
    return {"scalar": [array.dtype.str, array.tobytes().hex()]}


def decode_scalar(dtype: Any, content: Any) -> Any:
    """Return the NumPy scalar that a node stands for."""
    if dtype == "U" and isinstance(content, str):
        return np.str_(content)
    number = np.frombuffer(bytes.fromhex(content), dtype_of(dtype))
    if number.shape != (1,) or (number.dtype == bool and number.view(np.uint8)[0] > 1):
        raise ValueError(f"a single number of type {dtype} is not one")
    return number[0]


def _part_of(dtype: np.dtype) -> str | None:
    return PARTS.get(dtype.str[1:], PARTS.get(dtype.kind))
