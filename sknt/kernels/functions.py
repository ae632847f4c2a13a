"""Elementary functions that run in vector registers.

In single precision these are polynomials with an error of about 1e-7, written without
calls so that loops over them are vectorised; a call of the C library for each number would
take as long as all the rest. In double precision they are the C library's.

All of them return NaN for NaN. A comparison with NaN is false, so each comparison here is
written so that its false branch returns the number itself.

References
----------
.. [1] Moshier (1989), "Methods and Programs for Mathematical Functions" (the Cephes
   library), from which the coefficients are.
"""

import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from sknt.kernels._compile import helper
from sknt.kernels.pointers import number

_f = np.float32

LOG2_E = _f(1.44269504088896341)
LN_2_HIGH, LN_2_LOW = _f(0.693359375), _f(-2.12194440e-4)
# Products of such results are never subnormal; arithmetic on subnormal numbers is slow.
EXP_MIN, EXP_MAX = _f(-60.0), _f(60.0)
SQRT_HALF = _f(0.707106781186547524)
TANH_SMALL = _f(0.625)
ZERO, HALF, ONE, TWO, TWENTY = _f(0.0), _f(0.5), _f(1.0), _f(2.0), _f(20.0)
NAN, MINUS_INFINITY, LARGEST_EXPONENT = _f(math.nan), _f(-math.inf), _f(128.0)
WHOLE = 1.5 * 2.0**23
"""So large that a sum with it, in single precision, is rounded to a whole number."""

EXP_5, EXP_4, EXP_3 = _f(1.9875691500e-4), _f(1.3981999507e-3), _f(8.3334519073e-3)
EXP_2, EXP_1, EXP_0 = _f(4.1665795894e-2), _f(1.6666665459e-1), _f(5.0000001201e-1)

LOG_8, LOG_7, LOG_6 = _f(7.0376836292e-2), _f(-1.1514610310e-1), _f(1.1676998740e-1)
LOG_5, LOG_4, LOG_3 = _f(-1.2420140846e-1), _f(1.4249322787e-1), _f(-1.6668057665e-1)
LOG_2, LOG_1, LOG_0 = _f(2.0000714765e-1), _f(-2.4999993993e-1), _f(3.3333331174e-1)

TANH_4, TANH_3 = _f(-5.70498872745e-3), _f(2.06390887954e-2)
TANH_2, TANH_1, TANH_0 = _f(-5.37397155531e-2), _f(1.33314422036e-1), _f(-3.33332819422e-1)


@intrinsic
def _is_single(typing_context, x):
    """Tell whether a number is of single precision."""

    def generate(context, builder, signature, args):
        return context.get_constant(types.boolean, signature.args[0] == types.float32)

    return types.boolean(x), generate


@intrinsic
def _round(typing_context, x):
    """Round a number to the nearest whole one."""

    def generate(context, builder, signature, args):
        kind = args[0].type
        rint = builder.module.declare_intrinsic("llvm.rint", [kind])
        return builder.call(rint, args)

    return x(x), generate


@intrinsic
def _power_of_two(typing_context, n):
    """Compute 2^n for a whole single-precision n from -126 to 127.

    Of NaN it makes some number; converted to an integer, NaN would be undefined.
    """

    def generate(context, builder, signature, args):
        # n is in the last bits of the sum, and those before them are shifted out.
        total = builder.fadd(args[0], ir.FloatType()(WHOLE))
        bits = builder.bitcast(total, ir.IntType(32))
        bits = builder.shl(builder.add(bits, bits.type(127)), bits.type(23))
        return builder.bitcast(bits, ir.FloatType())

    return types.float32(types.float32), generate


@intrinsic
def _exponent(typing_context, x):
    """Return e of x = m 2^e, with m in [1/2, 1), for a normal x > 0.

    For NaN, infinity and negative numbers it is larger than that of any positive one.
    """

    def generate(context, builder, signature, args):
        bits = builder.bitcast(args[0], ir.IntType(32))
        exponent = builder.sub(builder.lshr(bits, bits.type(23)), bits.type(126))
        return builder.sitofp(exponent, ir.FloatType())

    return types.float32(types.float32), generate


@intrinsic
def _mantissa(typing_context, x):
    """Return m of x = m 2^e, with m in [1/2, 1), for a normal x > 0."""

    def generate(context, builder, signature, args):
        bits = builder.bitcast(args[0], ir.IntType(32))
        bits = builder.and_(bits, bits.type(0x007FFFFF))
        return builder.bitcast(builder.or_(bits, bits.type(0x3F000000)), ir.FloatType())

    return types.float32(types.float32), generate


@intrinsic
def larger(typing_context, x, y):
    """Return the larger of two numbers, and NaN if one of them is."""

    def generate(context, builder, signature, args):
        kind = ir.FunctionType(args[0].type, [args[0].type] * 2)
        maximum = builder.module.declare_intrinsic("llvm.maximum", kind.args[:1], kind)
        return builder.call(maximum, args)

    return x(x, x), generate


@intrinsic
def last_place(typing_context, x):
    """Return the distance from 1 to the next larger number of a number's type."""

    def generate(context, builder, signature, args):
        digits = 23 if signature.args[0] == types.float32 else 52
        return context.get_constant(signature.return_type, 2.0**-digits)

    return x(x), generate


# Reordering their terms would cost the polynomials their accuracy.
_exact = helper(fastmath={"contract"})


@_exact
def exp(x):
    """Compute e^x; in single precision, x is clipped to ±60."""
    if not _is_single(x):
        return math.exp(x)
    x = EXP_MIN if x < EXP_MIN else x
    x = EXP_MAX if x > EXP_MAX else x
    n = _round(x * LOG2_E)
    x = (x - n * LN_2_HIGH) - n * LN_2_LOW
    p = ((((EXP_5 * x + EXP_4) * x + EXP_3) * x + EXP_2) * x + EXP_1) * x + EXP_0
    return (p * x * x + x + ONE) * _power_of_two(n)


@_exact
def log(x):
    """Compute the natural logarithm of a positive number (that is not subnormal).

    In single precision, that of infinity and of negative numbers is NaN.
    """
    if not _is_single(x):
        return math.log(x)
    e, m = _exponent(x), _mantissa(x)
    e = NAN if e > LARGEST_EXPONENT else e
    below = m < SQRT_HALF
    e = e - ONE if below else e
    m = m + m - ONE if below else m - ONE
    p = (((LOG_8 * m + LOG_7) * m + LOG_6) * m + LOG_5) * m + LOG_4
    p = (((p * m + LOG_3) * m + LOG_2) * m + LOG_1) * m + LOG_0
    z = m * m
    return (m + ((p * m * z + LN_2_LOW * e) - HALF * z)) + LN_2_HIGH * e


@_exact
def tanh(x):
    """Compute the hyperbolic tangent."""
    if not _is_single(x):
        return math.tanh(x)
    z = x * x
    p = (((TANH_4 * z + TANH_3) * z + TANH_2) * z + TANH_1) * z + TANH_0
    small = p * z * x + x
    size = abs(x)
    large = ONE - TWO / (exp(size + size) + ONE)
    large = large if x > ZERO else -large
    return small if size < TANH_SMALL else large


@_exact
def sigmoid(x):
    """Compute 1 / (1 + e^-x), and of -inf exactly 0."""
    y = ONE / (ONE + exp(-x))
    return ZERO if x == MINUS_INFINITY else y


@_exact
def softplus(x):
    """Compute log(1 + e^x)."""
    if not _is_single(x):
        return x if x > TWENTY else math.log1p(math.exp(x))
    u = exp(x if x < ZERO else -x)
    v = ONE + u
    lost = v - ONE  # of u, in the sum's rounding
    small = log(v) * (u / lost) if lost > ZERO else u
    return small + (x if x > ZERO else ZERO)


@helper
def tanh_all(n, x):
    """Replace n numbers by their hyperbolic tangents."""
    for i in range(n):
        x[i] = tanh(x[i])


@helper
def sigmoid_all(n, x):
    """Replace n numbers by their logistic sigmoids."""
    for i in range(n):
        x[i] = sigmoid(x[i])


@helper
def tanh_backward(n, squashed, gradient):
    """Backpropagate through the hyperbolic tangents of n numbers, in place."""
    one = number(squashed, 1.0)
    for i in range(n):
        gradient[i] *= one - squashed[i] * squashed[i]


@helper
def sigmoid_backward(n, squashed, gradient):
    """Backpropagate through the logistic sigmoids of n numbers, in place."""
    one = number(squashed, 1.0)
    for i in range(n):
        gradient[i] *= squashed[i] * (one - squashed[i])


@helper
def clip(n, padded, limit, x, y):
    """Set y to n numbers clipped to ± a limit, followed by zeros up to ``padded``.

    NaN stays NaN.
    """
    zero, most = number(x, 0.0), number(x, limit)
    for i in range(n):
        z = x[i]
        z = -most if z < -most else z
        y[i] = most if z > most else z
    for i in range(n, padded):
        y[i] = zero


@helper
def clip_backward(n, limit, gradient, x):
    """Replace n numbers by the gradient with respect to them, 0 where they were clipped."""
    zero, most = number(x, 0.0), number(x, limit)
    unclipped = limit == math.inf  # and then NaN has a gradient, too
    for i in range(n):
        z = x[i]
        x[i] = gradient[i] if unclipped or (-most <= z and z <= most) else zero


@helper
def largest(n, values):
    """Return the largest of n numbers, and NaN if one of them is."""
    best = values[0]
    for i in range(n):
        best = larger(values[i], best)
    return best


@helper
def softmax(n, x, y):
    """Set y to the softmax of n numbers."""
    highest, total = largest(n, x), number(x, 0.0)
    for i in range(n):
        e = exp(x[i] - highest)
        y[i] = e
        total += e
    for i in range(n):
        y[i] /= total


@helper
def softmax_backward(n, y, d_y, d_x):
    """Set d_x to the gradient with respect to the arguments of a softmax.

    It may take the place of d_y.
    """
    mean = number(y, 0.0)
    for i in range(n):
        mean += d_y[i] * y[i]
    for i in range(n):
        d_x[i] = (d_y[i] - mean) * y[i]
