"""Pointers, through which the kernels access arrays.

Code with plain pointers compiles several times faster than code with arrays, which carry
shapes and strides.
"""

from typing import Any

from numba import types
from numba.extending import intrinsic

VECTOR_BYTES = 32
"""Size of a vector register as the kernels use it."""


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
