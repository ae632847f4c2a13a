"""Matrix products inside the kernels, in vector registers.

A BLAS would start threads of its own, and its result for one sample would depend on how
many others are multiplied along with it. Here every element is summed in one fixed order,
so it is the same to the bit in every batch and with every number of threads.
"""

import itertools
from collections.abc import Iterable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from sknt.kernels._compile import cgutils, stage
from sknt.kernels.pointers import VECTOR_BYTES, at, lanes_of

_int32 = ir.IntType(32)


class Vectors:
    """Instructions on vectors of one type of number."""

    def __init__(self, context: Any, builder: Any, dtype: Any):
        self.builder = builder
        self.size = context.get_value_type(types.intp)
        self.bytes = dtype.bitwidth // 8
        self.lanes = VECTOR_BYTES // self.bytes
        self.vector = ir.VectorType(context.get_data_type(dtype), self.lanes)
        self.zero = ir.Constant(self.vector, [0.0] * self.lanes)

    def splat(self, number: Any, kind: Any = None) -> Any:
        """Return a vector of one number."""
        undefined = ir.Constant(kind or self.vector, ir.Undefined)
        first = self.builder.insert_element(undefined, number, _int32(0))
        zeros = ir.Constant(ir.VectorType(_int32, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(first, undefined, zeros)

    def first(self, n_used: Any) -> Any:
        """Return the mask of the first n_used elements of a vector."""
        indices = ir.VectorType(self.size, self.lanes)
        lane = ir.Constant(indices, list(range(self.lanes)))
        return self.builder.icmp_signed("<", lane, self.splat(n_used, indices))

    def load(self, start: Any, at: Any, mask: Any = None) -> Any:
        """Load a vector from element ``at`` on; with a mask, zeros outside it."""
        address = self._address(start, at)
        if mask is None:
            return self.builder.load(address, align=self.bytes)
        arguments = [address, _int32(self.bytes), mask, self.zero]
        return self._call("llvm.masked.load", self.vector, arguments)

    def store(self, value: Any, start: Any, at: Any, mask: Any = None) -> None:
        """Store a vector from element ``at`` on; with a mask, only inside it."""
        address = self._address(start, at)
        if mask is None:
            self.builder.store(value, address, align=self.bytes)
        else:
            arguments = [value, address, _int32(self.bytes), mask]
            self._call("llvm.masked.store", ir.VoidType(), arguments)

    def multiply_add(self, left: Any, right: Any, total: Any) -> Any:
        """Return total + left * right, as a single instruction where the CPU has one."""
        product = self.builder.fmul(left, right, flags=("contract",))
        return self.builder.fadd(total, product, flags=("contract",))

    def accumulate(self, n: Any, n_totals: int, advance: Any) -> list[Any]:
        """Build a loop over n elements that adds to vectors, which are zeros at first.

        ``advance(at, totals, mask)`` returns the totals with what the elements from ``at``
        on add to them; a mask is there only for the last elements.
        """
        builder, size, lanes = self.builder, self.size, self.size(self.lanes)
        whole = builder.mul(builder.sdiv(n, lanes), lanes)
        before = builder.block
        loop, body, end, rest, after = (
            builder.append_basic_block(f"accumulate.{part}")
            for part in ("loop", "body", "end", "rest", "after")
        )
        builder.branch(loop)
        builder.position_at_end(loop)
        at = builder.phi(size)
        totals = [builder.phi(self.vector) for _ in range(n_totals)]
        builder.cbranch(builder.icmp_signed("<", at, whole), body, end)
        builder.position_at_end(body)
        at.add_incoming(size(0), before)
        at.add_incoming(builder.add(at, lanes), body)
        for total, more in zip(totals, advance(at, totals), strict=True):
            total.add_incoming(self.zero, before)
            total.add_incoming(more, body)
        builder.branch(loop)
        builder.position_at_end(end)
        builder.cbranch(builder.icmp_signed("<", whole, n), rest, after)
        builder.position_at_end(rest)
        last = advance(whole, totals, self.first(builder.sub(n, whole)))
        builder.branch(after)
        builder.position_at_end(after)
        results = [builder.phi(self.vector) for _ in range(n_totals)]
        for result, total, more in zip(results, totals, last, strict=True):
            result.add_incoming(total, end)
            result.add_incoming(more, rest)
        return results

    def sum(self, vector: Any) -> Any:
        """Return the sum of a vector's elements."""
        number = self.vector.element
        suffix = f"v{self.lanes}f{self.bytes * 8}"
        kind = ir.FunctionType(number, [number, self.vector])
        function = cgutils.get_or_insert_function(
            self.builder.module, kind, f"llvm.vector.reduce.fadd.{suffix}"
        )
        return self.builder.call(function, [number(0.0), vector], fastmath=("reassoc",))

    def sums(self, vectors: list[Any]) -> Any:
        """Return the sums of four vectors' elements, added in the order of :meth:`sum`."""
        lanes = self.lanes
        while lanes > 4:
            lanes //= 2
            vectors = [self._fold(v, v, range(lanes), lanes) for v in vectors]
        a, b, c, d = vectors
        first, second = (self._fold(*pair, (0, 1, 4, 5), 2) for pair in ((a, b), (c, d)))
        return self._fold(first, second, (0, 2, 4, 6), 1)

    def store_sums(self, four: list[Any], start: Any, adds: Any) -> None:
        """Store, or add, the sums of four vectors' elements from ``start`` on."""
        result = self._fence(self.sums(four))
        address = self.builder.bitcast(start, result.type.as_pointer())
        zeros = ir.Constant(result.type, [0.0] * 4)
        old = self.builder.load(address, align=self.bytes)
        old = self.builder.select(adds, old, zeros)
        self.builder.store(self.builder.fadd(old, result), address, align=self.bytes)

    def _fence(self, vector: Any) -> Any:
        """Return a vector whose sum is not evaluated in another order."""
        kind = ir.FunctionType(vector.type, [vector.type])
        name = f"llvm.arithmetic.fence.v{vector.type.count}f{self.bytes * 8}"
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, [vector])

    def _fold(self, x: Any, y: Any, elements: Iterable[int], distance: int) -> Any:
        """Add to some elements of two vectors those that are so far behind them."""
        parts = []
        for shift in (0, distance):
            mask = [_int32(i + shift) for i in elements]
            mask = ir.Constant(ir.VectorType(_int32, len(mask)), mask)
            parts.append(self.builder.shuffle_vector(x, y, mask))
        return self.builder.fadd(*parts)

    def _address(self, start: Any, at: Any) -> Any:
        element = self.builder.gep(start, [at])
        return self.builder.bitcast(element, self.vector.as_pointer())

    def _call(self, name: str, result: Any, arguments: list[Any]) -> Any:
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        name = f"{name}.v{self.lanes}f{self.bytes * 8}.p0"
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, arguments)


def _tile(n_rows: int, n_vectors: int, masked: bool = False) -> Any:
    """Build ``C[:n_rows, :n_vectors vectors] (+)= A B``, computed in registers.

    A masked tile is one vector wide, and uses ``n_columns`` elements of it.
    """

    @intrinsic
    def tile(typing_context, k, a, a_row, a_column, b, b_row, c, c_row, adds, n_columns):
        size = types.intp
        arguments = [size, a, size, size, b, size, c, size, types.boolean, size]

        def generate(context, builder, signature, args):
            k, a, a_row, a_column, b, b_row, c, c_row, adds, n_columns = args
            vectors = Vectors(context, builder, signature.args[1].dtype)
            size = vectors.size
            mask = vectors.first(n_columns) if masked else None
            columns = [size(v * vectors.lanes) for v in range(n_vectors)]

            before = builder.block
            loop = builder.append_basic_block("product")
            after = builder.append_basic_block("product.end")
            builder.branch(loop)
            builder.position_at_end(loop)
            p = builder.phi(size)
            p.add_incoming(size(0), before)
            totals = [[builder.phi(vectors.vector) for _ in columns] for _ in range(n_rows)]
            a_p = builder.gep(a, [builder.mul(p, a_column)])
            b_p = builder.gep(b, [builder.mul(p, b_row)])
            right = [vectors.load(b_p, column, mask) for column in columns]
            for i, row in enumerate(totals):
                address = builder.gep(a_p, [builder.mul(a_row, size(i))])
                left = vectors.splat(builder.load(address))
                for v, total in enumerate(row):
                    row[v] = vectors.multiply_add(left, right[v], total)
                    total.add_incoming(vectors.zero, before)
                    total.add_incoming(row[v], loop)
            p_next = builder.add(p, size(1))
            p.add_incoming(p_next, loop)
            builder.cbranch(builder.icmp_signed("<", p_next, k), loop, after)
            builder.position_at_end(after)

            with builder.if_else(adds) as (to_c, instead_of_c):
                for branch, adding in [(to_c, True), (instead_of_c, False)]:
                    with branch:
                        for i, row in enumerate(totals):
                            c_i = builder.gep(c, [builder.mul(c_row, size(i))])
                            for column, total in zip(columns, row, strict=True):
                                if adding:
                                    old = vectors.load(c_i, column, mask)
                                    total = builder.fadd(old, total)
                                vectors.store(total, c_i, column, mask)
            return context.get_dummy_value()

        return types.void(*arguments), generate

    return tile


def _inner_tile(n_rows: int, n_columns: int) -> Any:
    """Build ``C[:n_rows, :n_columns] (+)= A Bᵀ``, computed in registers."""

    @intrinsic
    def tile(typing_context, k, a, a_row, b, b_row, c, c_row, adds):
        size = types.intp
        arguments = [size, a, size, b, size, c, size, types.boolean]

        def generate(context, builder, signature, args):
            k, a, a_row, b, b_row, c, c_row, adds = args
            vectors = Vectors(context, builder, signature.args[1].dtype)
            size = vectors.size
            left_rows, right_rows = (
                [builder.gep(start, [builder.mul(stride, size(i))]) for i in range(n)]
                for start, stride, n in ((a, a_row, n_rows), (b, b_row, n_columns))
            )

            def advance(p, totals, mask=None):
                left, right = (
                    [vectors.load(row, p, mask) for row in rows]
                    for rows in (left_rows, right_rows)
                )
                pairs = itertools.product(left, right)
                return [
                    vectors.multiply_add(x, y, total)
                    for (x, y), total in zip(pairs, totals, strict=True)
                ]

            results = vectors.accumulate(k, n_rows * n_columns, advance)
            for i in range(n_rows):
                row = results[i * n_columns : (i + 1) * n_columns]
                c_i = builder.gep(c, [builder.mul(c_row, size(i))])
                if n_columns == 4:
                    vectors.store_sums(row, c_i, adds)
                    continue
                for j, total in enumerate(row):
                    address, result = builder.gep(c_i, [size(j)]), vectors.sum(total)
                    old = builder.select(adds, builder.load(address), result.type(0.0))
                    builder.store(builder.fadd(old, result), address)
            return context.get_dummy_value()

        return types.void(*arguments), generate

    return tile


_sizes = 6, 4, 2, 1
_wide_6, _wide_4, _wide_2, _wide_1 = (_tile(n, 2) for n in _sizes)
_narrow_6, _narrow_4, _narrow_2, _narrow_1 = (_tile(n, 1) for n in _sizes)
_last_6, _last_4, _last_2, _last_1 = (_tile(n, 1, masked=True) for n in _sizes)
_row, _two_rows = _tile(1, 8), _tile(2, 4)
_inner_2_4, _inner_1_4, _inner_1_1 = _inner_tile(2, 4), _inner_tile(1, 4), _inner_tile(1, 1)


# Too large to inline.


@stage
def multiply(m, n, k, a, a_row, a_column, b, b_row, c, c_row, adds):
    """Compute ``C = A B``, or ``C += A B`` with ``adds``.

    A is (m, k) and has any strides, so that it may be a transpose; B is (k, n) and C is
    (m, n), with adjacent columns. ``a``, ``b`` and ``c`` point to their first elements;
    ``*_row`` and ``*_column`` are the strides, in elements, from one row or column to the
    next. k must not be 0.
    """
    lanes = lanes_of(c)
    j = 0
    if m == 1:
        while n - j >= 8 * lanes:
            _row(k, a, 0, a_column, at(b, j), b_row, at(c, j), 0, adds, 0)
            j += 8 * lanes
    elif m == 2:
        while n - j >= 4 * lanes:
            _two_rows(k, a, a_row, a_column, at(b, j), b_row, at(c, j), c_row, adds, 0)
            j += 4 * lanes
    while j < n:
        left = n - j
        y = at(b, j)
        i = 0
        while i < m:
            x, z = at(a, i * a_row), at(c, i * c_row + j)
            if left >= 2 * lanes:
                if m - i >= 6:
                    _wide_6(k, x, a_row, a_column, y, b_row, z, c_row, adds, 0)
                    i += 6
                elif m - i >= 4:
                    _wide_4(k, x, a_row, a_column, y, b_row, z, c_row, adds, 0)
                    i += 4
                elif m - i >= 2:
                    _wide_2(k, x, a_row, a_column, y, b_row, z, c_row, adds, 0)
                    i += 2
                else:
                    _wide_1(k, x, a_row, a_column, y, b_row, z, c_row, adds, 0)
                    i += 1
            elif left >= lanes:
                if m - i >= 6:
                    _narrow_6(k, x, a_row, a_column, y, b_row, z, c_row, adds, 0)
                    i += 6
                elif m - i >= 4:
                    _narrow_4(k, x, a_row, a_column, y, b_row, z, c_row, adds, 0)
                    i += 4
                elif m - i >= 2:
                    _narrow_2(k, x, a_row, a_column, y, b_row, z, c_row, adds, 0)
                    i += 2
                else:
                    _narrow_1(k, x, a_row, a_column, y, b_row, z, c_row, adds, 0)
                    i += 1
            else:
                if m - i >= 6:
                    _last_6(k, x, a_row, a_column, y, b_row, z, c_row, adds, left)
                    i += 6
                elif m - i >= 4:
                    _last_4(k, x, a_row, a_column, y, b_row, z, c_row, adds, left)
                    i += 4
                elif m - i >= 2:
                    _last_2(k, x, a_row, a_column, y, b_row, z, c_row, adds, left)
                    i += 2
                else:
                    _last_1(k, x, a_row, a_column, y, b_row, z, c_row, adds, left)
                    i += 1
        j += 2 * lanes if left >= 2 * lanes else lanes


@stage
def multiply_transposed(m, n, k, a, a_row, b, b_row, c, c_row, adds):
    """Compute ``C = A Bᵀ``, or ``C += A Bᵀ`` with ``adds``, for few rows of A.

    A is (m, k), B is (n, k) and C is (m, n), all with adjacent columns. The rest is as in
    :func:`multiply`.
    """
    i = 0
    while i < m:
        x, z = at(a, i * a_row), at(c, i * c_row)
        j, rows = 0, 2 if m - i >= 2 else 1
        while n - j >= 4:
            y = at(b, j * b_row)
            if rows == 2:
                _inner_2_4(k, x, a_row, y, b_row, at(z, j), c_row, adds)
            else:
                _inner_1_4(k, x, a_row, y, b_row, at(z, j), c_row, adds)
            j += 4
        for row in range(rows):
            x_row, z_row = at(x, row * a_row), at(z, row * c_row)
            for last in range(j, n):
                y = at(b, last * b_row)
                _inner_1_1(k, x_row, a_row, y, b_row, at(z_row, last), c_row, adds)
        i += rows
