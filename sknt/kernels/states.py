"""States and traces: torch's tensors on one side, the kernels' rows on the other.

The rows are those of :mod:`sknt.kernels.layout`. A trace consists of two arrays: the bulky
parts of the states, (B, T, bulky) or empty, and the rest of each state followed by the
interface.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sknt.kernels import buffers, guards
from sknt.kernels.contract import Kernel
from sknt.kernels.layout import Sizes, gaps

Array = NDArray[Any]


class Part(NamedTuple):
    """A part of a state or an interface."""

    start: int
    stop: int
    shape: tuple[int, ...]  # in the kernels
    transposed: bool  # whether torch has the last two axes the other way round
    torch_shape: tuple[int, ...]
    torch_strides: tuple[int, ...]

    def view(self, rows: Tensor, origin: int) -> Tensor:
        """Return the part of rows of numbers which begin at ``origin``, as torch has it."""
        *axes, _ = rows.shape
        *strides, _ = rows.stride()
        return rows.as_strided(
            (*axes, *self.torch_shape), (*strides, *self.torch_strides), self.start - origin
        )

    def put(self, part: Any, rows: Array, origin: int) -> None:
        """Copy a part, as torch has it, into rows of numbers which begin at ``origin``."""
        target = rows[..., self.start - origin : self.stop - origin]
        target = target.reshape(*rows.shape[:-1], *self.shape)
        target[...] = part.swapaxes(-1, -2) if self.transposed else part

    def without_rows(self, rows: Tensor) -> Tensor:
        """Return the part with a second axis of length 0, as torch has it."""
        return rows.new_zeros(*rows.shape[:-1], 0, *self.torch_shape[1:])


def _make_part(start: int, shape: tuple[int, ...], transposed: bool = False) -> Part:
    strides = tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))
    of_torch = [
        (*axes[:-2], *axes[:-3:-1]) if transposed else axes for axes in (shape, strides)
    ]
    return Part(start, start + math.prod(shape), shape, transposed, *of_torch)


class Parts(NamedTuple):
    """The parts of the states and interfaces of a network."""

    bulky: list[Part]
    rest: list[Part]
    interface: list[Part]
    gaps: dict[str, slice]  # after each part of a memory's state

    def states(self) -> list[Part]:
        """All parts of a state, in the order of the kernels and of torch."""
        return self.bulky + self.rest


def find_parts(kernel: Kernel, sizes: Sizes) -> Parts:
    """Return where the parts of a network's states and interfaces are."""
    state = [
        _make_part(start, shape, name in kernel.transposed)
        for start, (name, shape) in zip(
            sizes.state_at, kernel.state(sizes.memory).items(), strict=True
        )
    ]
    n_heads = sizes.read_heads
    width = sizes.reads // max(n_heads, 1)
    state.append(_make_part(sizes.reads_at, (n_heads, width)))
    for start in (sizes.hidden_at, sizes.cell_at):
        state.append(_make_part(start, (sizes.layers, sizes.hidden)))
    interface = [
        _make_part(sizes.state + start, shape)
        for start, shape in zip(
            sizes.interface_at, kernel.interface(sizes.memory).values(), strict=True
        )
    ]
    between = gaps(kernel.state(sizes.memory))
    return Parts(state[: kernel.bulky], state[kernel.bulky :], interface, between)


def split_states(parts: Parts, states: Tensor) -> list[Tensor]:
    """Return views of the parts of states: the memory's, reads, hidden and cell."""
    return [part.view(states, 0) for part in parts.states()]


def split_trace(parts: Parts, bulky: Tensor, rest: Tensor) -> list[Tensor]:
    """Return views of the parts of a trace: those of the states and of the interfaces."""
    origin = parts.rest[0].start
    views = [
        part.view(bulky, 0) if bulky.shape[-1] else part.without_rows(bulky)
        for part in parts.bulky
    ]
    return views + [part.view(rest, origin) for part in parts.rest + parts.interface]


def join_states(
    parts: Parts, sizes: Sizes, values: Sequence[Any], n_sequences: int, dtype: Any
) -> Array:
    """Lay out states, or gradients (some may be None), as the kernels take them."""
    states = buffers.zeros((n_sequences, sizes.state), dtype)
    if guards.ENABLED:
        guards.fill_gaps(states, parts.gaps)
    for part, value in _given(parts.states(), values):
        if not _is_zero(value):  # fresh memory takes no room until it is written to
            part.put(value, states, 0)
    return states


def are_blank(parts: Parts, values: Sequence[Any]) -> bool:
    """Tell whether the bulky parts of states are known to be zeros.

    They are if they are the same zero at different places, as in a new state.
    """
    bulky = values[: len(parts.bulky)]
    return bool(bulky) and all(value.size and _is_zero(value) for value in bulky)


def _is_zero(value: Any) -> bool:
    """Tell whether an array is one zero, seen at all places."""
    steps = [s for s, n in zip(value.strides, value.shape, strict=True) if n > 1]
    return not any(steps) and not value.flat[0]


def no_trace(dtype: Any) -> tuple[Array, Array]:
    """Return the two arrays of a trace that is not kept."""
    return np.zeros((0, 0, 0), dtype), np.zeros((0, 0, 0), dtype)


def make_trace(sizes: Sizes, axes: Any, dtype: Any, *, with_bulky: bool) -> tuple[Any, Any]:
    """Return the two arrays of a trace, yet without contents."""
    n_rest = sizes.state - sizes.bulky + sizes.interface
    bulky = np.zeros((*axes, sizes.bulky if with_bulky else 0), dtype)
    return bulky, np.zeros((*axes, n_rest), dtype)


def join_trace(
    parts: Parts, sizes: Sizes, values: Sequence[Any], axes: Any, dtype: Any
) -> tuple[Array, Array]:
    """Lay out the gradients with respect to a trace as the kernels take them."""
    n_bulky = len(parts.bulky)
    of_bulky = [*_given(parts.bulky, values[:n_bulky])]
    bulky, rest = make_trace(sizes, axes, dtype, with_bulky=bool(of_bulky))
    for part, value in of_bulky:
        part.put(value, bulky, 0)
    for part, value in _given(parts.rest + parts.interface, values[n_bulky:]):
        part.put(value, rest, sizes.bulky)
    return bulky if of_bulky else no_trace(dtype)[0], rest


def _given(parts: list[Part], values: Sequence[Any]) -> Iterator[tuple[Part, Any]]:
    """Pair parts with their values, without those that are absent or empty."""
    for part, value in zip(parts, values, strict=True):
        if value is not None and value.size:
            yield part, value
