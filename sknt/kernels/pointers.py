"""Pointers, through which the kernels access arrays.

Code with plain pointers compiles several times faster than code with arrays, which carry
shapes and strides.
"""

from collections import namedtuple
from collections.abc import Iterable
from typing import Any

from numba import types
from numba.extending import intrinsic

from sknt.kernels._compile import helper
from sknt.kernels._libraries import VECTOR_BYTES


@intrinsic
def start(typing_context, array):
    """Return a pointer to the first element of a C-contiguous array."""

    def generate(context, builder, signature, args):
        return context.make_array(signature.args[0])(context, builder, args[0]).data

    return types.CPointer(array.dtype)(array), generate


@intrinsic
def at(typing_context, pointer, offset):
    """Return a pointer to the element ``offset`` elements further on."""

    def generate(context, builder, signature, args):
        return builder.gep(args[0], [args[1]])

    return pointer(pointer, types.intp), generate


@intrinsic
def number(typing_context, pointer, value):
    """Return a number cast to the type that a pointer points to."""

    def generate(context, builder, signature, args):
        return context.cast(builder, args[1], signature.args[1], signature.return_type)

    return pointer.dtype(pointer, value), generate


@intrinsic
def lanes_of(typing_context, pointer):
    """Return how many elements of a pointer's type a vector holds."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = VECTOR_BYTES * 8 // signature.args[0].dtype.bitwidth
        return context.get_constant(types.intp, lanes)

    return types.intp(pointer), generate


@intrinsic
def plain(typing_context, value):
    """Return a literal as a plain value: numba compiles a function for each literal."""

    def generate(context, builder, signature, args):
        return context.cast(builder, args[0], signature.args[0], signature.return_type)

    return types.unliteral(value)(value), generate


def structure(name: str, fields: Iterable[str]) -> Any:
    """Build a function from a pointer and places to pointers to named parts.

    Parameters
    ----------
    name : str
        That of the NamedTuple which it returns.
    fields : iterable of str
        Names of the parts, in the order of the places.
    """
    parts: Any = namedtuple(name, fields)  # type: ignore[misc]

    @intrinsic
    def locate(typing_context, pointer, places):
        result = types.NamedUniTuple(pointer, len(parts._fields), parts)

        def generate(context, builder, signature, args):
            pointers = _point(builder, *args, len(parts._fields))
            return context.make_tuple(builder, result, pointers)

        return result(pointer, places), generate

    return locate


def joint_structure(name: str, fields: Iterable[str], others: Iterable[str]) -> Any:
    """Build such a function for parts in two places, the others behind a second pointer."""
    n = len([*fields])
    parts: Any = namedtuple(name, [*fields, *others])  # type: ignore[misc]

    @intrinsic
    def locate(typing_context, pointer, places, other_pointer, other_places):
        result = types.NamedUniTuple(pointer, len(parts._fields), parts)

        def generate(context, builder, signature, args):
            pointers = _point(builder, *args[:2], n)
            pointers += _point(builder, *args[2:], len(parts._fields) - n)
            return context.make_tuple(builder, result, pointers)

        return result(pointer, places, other_pointer, other_places), generate

    return locate


def _point(builder: Any, first: Any, starts: Any, n: int) -> list[Any]:
    """Return pointers to n parts."""
    return [builder.gep(first, [builder.extract_value(starts, i)]) for i in range(n)]


@helper
def copy(n, source, target):
    """Copy n numbers."""
    for i in range(n):
        target[i] = source[i]


@helper
def add(n, source, target):
    """Add n numbers to others."""
    for i in range(n):
        target[i] += source[i]
