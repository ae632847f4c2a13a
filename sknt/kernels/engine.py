"""The kernels as one differentiable function of torch tensors.

Whole sequences go forward in one call and back in another. What the backward pass needs of
each step is kept where that is little (:data:`HISTORY_LIMIT`); otherwise only the states at
√T checkpoints are, and the steps between two of them are done again, so that the memory
taken grows with √T.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from sknt.kernels import blocks, buffers, sequences
from sknt.kernels.layout import Sizes, history_size, scratch_size, weight_shapes
from sknt.kernels.parameters import places

HISTORY_LIMIT = 64 * 2**20
"""Bytes of history up to which it is kept from the forward to the backward pass."""

Array = NDArray[Any]


class Batch(NamedTuple):
    """Which sequences there are, the longest first."""

    order: NDArray[np.int64]  # (B,), sequences by length
    rows: NDArray[np.int64]  # (T + 1,), steps of all sequences before step t


def make_batch(lengths: NDArray[np.int64]) -> Batch:
    """Sort sequences by their lengths."""
    order = np.argsort(-lengths, kind="stable")
    n_ended = np.bincount(lengths)[:-1].cumsum()  # after so many steps
    rows = np.zeros(len(n_ended) + 1, np.int64)
    np.cumsum(len(lengths) - n_ended, out=rows[1:])
    return Batch(order, rows)


class FusedSequences(torch.autograd.Function):
    """Padded sequences through a controller, an NTM and a readout.

    ``apply(sizes, batch, keeps, traces, shared, x, *state, *parameters)`` returns the
    outputs (B, T, O), the final state and a trace, all of them in one flat tuple. The trace
    is, with ``traces="states"``, the states and interfaces of every step, with "heads" the
    same without the memories (of which no row is left), and with None there is none.
    ``keeps`` says whether there will be a backward pass, and ``shared`` whether the first
    state is one for all sequences, without the axis of the batch.
    """

    @staticmethod
    def forward(ctx, sizes, batch, keeps, traces, shared, x, *tensors):
        """Run all steps."""
        ctx.set_materialize_grads(False)
        ctx.shared = shared
        ctx.save_for_backward(x, *tensors[5:])
        n_sequences, n_steps = x.shape[:2]
        arrays = [tensor.detach().numpy() for tensor in (x, *tensors)]
        ctx.call = _Call(sizes, batch, np.ascontiguousarray(arrays[0]), arrays[6:])
        state = _join(sizes, arrays[1:6], n_sequences, arrays[0].dtype)
        outputs = x.new_zeros(n_sequences, n_steps, sizes.outputs)
        memories, trace = _no_trace(arrays[0].dtype)
        if traces is not None:
            n_memory = sizes.memory if traces == "states" else 0
            memories = np.zeros((n_sequences, n_steps, n_memory), memories.dtype)
            n_rest = sizes.state - sizes.memory + sizes.interface
            trace = np.zeros((n_sequences, n_steps, n_rest), memories.dtype)
        ctx.call.forward(state, outputs.numpy(), memories, trace, keeps)
        final = _split(sizes, torch.from_numpy(state))
        if traces is None:
            return outputs, *final
        both = _split(sizes, torch.from_numpy(memories), torch.from_numpy(trace))
        return outputs, *final, *both

    @staticmethod
    @once_differentiable
    def backward(ctx, d_outputs, *gradients):
        """Lead the gradients back to the inputs, the first state and the weights."""
        x, *parameters = ctx.saved_tensors  # raises if one was changed in place
        sizes, dtype = ctx.call.sizes, ctx.call.x.dtype
        if d_outputs is None:
            d_outputs = x.new_zeros(*x.shape[:2], sizes.outputs)
        given = [None if part is None else part.numpy() for part in gradients]
        carry = _join(sizes, given[:5], len(x), dtype)
        d_memories, d_trace = _no_trace(dtype)
        if any(part is not None for part in given[5:]):
            d_memories, d_trace = _join_trace(sizes, given[5:], x.shape, dtype)
        d_x = np.zeros(x.shape if ctx.needs_input_grad[5] else (0, 0, 0), dtype)
        d_weights = ctx.call.backward(
            carry, d_x, d_outputs.contiguous().numpy(), d_memories, d_trace
        )
        d_parameters = [np.empty(part.shape, dtype) for part in parameters]
        for target, source in places(sizes, d_parameters, d_weights):
            target[...] = source
        d_state = [
            part.sum(0) if ctx.shared and needed else part
            for part, needed in zip(
                _split(sizes, torch.from_numpy(carry)),
                ctx.needs_input_grad[6:11],
                strict=True,
            )
        ]
        return (
            *(None, None, None, None, None),
            torch.from_numpy(d_x) if ctx.needs_input_grad[5] else None,
            *d_state,
            *map(torch.from_numpy, d_parameters),
        )


def _fields(sizes: Sizes) -> list[tuple[int, tuple[int, ...]]]:
    """Return where the parts of a state after its memory begin, and their shapes."""
    return [
        (sizes.weights_at, (sizes.heads, sizes.rows)),
        (sizes.reads_at, (sizes.read_heads, sizes.width)),
        (sizes.hidden_at, (sizes.layers, sizes.hidden)),
        (sizes.cell_at, (sizes.layers, sizes.hidden)),
        (sizes.state, (1, sizes.interface)),
    ]


def _split(sizes: Sizes, states: Tensor, rest: Tensor | None = None) -> list[Tensor]:
    """Return views of the parts of states: memory, weightings, reads, hidden and cell.

    Given the memories and the rest of a trace, also those of the interface.
    """
    before = states.shape[:-1]
    strides = states.stride()[:-1]
    n_rows = sizes.rows if states.shape[-1] else 0  # a trace may be without memories
    memory = states.as_strided((*before, n_rows, sizes.width), (*strides, 1, n_rows), 0)
    fields, origin = _fields(sizes), sizes.memory
    if rest is None:
        rest, fields, origin = states, fields[:-1], 0
    strides = rest.stride()[:-1]
    return [
        memory,
        *(
            rest.as_strided((*before, *shape), (*strides, shape[1], 1), at - origin)
            for at, shape in fields
        ),
    ]


def _join(sizes: Sizes, parts: Sequence[Any], n_sequences: int, dtype: Any) -> Array:
    """Lay out states, or gradients of which some may be missing, as the kernels do."""
    states = np.zeros((n_sequences, sizes.state), dtype)
    memory, *rest = parts
    if memory is not None:
        target = states[:, : sizes.memory].reshape(n_sequences, sizes.width, sizes.rows)
        target[...] = memory.swapaxes(-1, -2)
    for (at, shape), part in zip(_fields(sizes)[:-1], rest, strict=True):
        if part is not None:
            n = shape[0] * shape[1]
            states[:, at : at + n].reshape(n_sequences, *shape)[...] = part
    return states


def _no_trace(dtype: Any) -> tuple[Array, Array]:
    return np.zeros((0, 0, 0), dtype), np.zeros((0, 0, 0), dtype)


def _join_trace(
    sizes: Sizes, parts: Sequence[Any], shape: Any, dtype: Any
) -> tuple[Array, Array]:
    """Lay out the gradients with respect to a trace."""
    n_sequences, n_steps = shape[:2]
    memory, *rest = parts
    memories, _ = _no_trace(dtype)
    if memory is not None and memory.size:
        memories = np.ascontiguousarray(memory.swapaxes(-1, -2))
        memories = memories.reshape(n_sequences, n_steps, sizes.memory)
    n_rest = sizes.state - sizes.memory + sizes.interface
    trace = np.zeros((n_sequences, n_steps, n_rest), dtype)
    for (at, (n, m)), part in zip(_fields(sizes), rest, strict=True):
        if part is not None:
            at -= sizes.memory
            trace[..., at : at + n * m] = part.reshape(n_sequences, n_steps, n * m)
    return memories, trace


class _Call:
    """What the two directions of a pass over a batch share."""

    def __init__(self, sizes: Sizes, batch: Batch, x: Array, parameters: Sequence[Array]):
        self.sizes, self.batch, self.x = sizes, batch, x
        self.n_sequences, self.n_steps = len(batch.order), len(batch.rows) - 1
        self.interval = math.isqrt(self.n_steps - 1) + 1
        self.weights = [np.zeros(shape, x.dtype) for shape in weight_shapes(sizes)]
        for source, target in places(sizes, parameters, self.weights):
            target[...] = source
        self.history: Any = None
        self.saved: Any = None

    def forward(
        self, state: Array, outputs: Array, memories: Array, trace: Array, keeps: bool
    ) -> None:
        """Run all steps; the state given becomes the last one."""
        n_kept, base, n_saved, interval = self.n_sequences, -1, 0, 0
        if keeps:
            interval, n_rows = self.interval, int(self.batch.rows[-1])
            n_saved = -(-self.n_steps // interval)
            if history_size(self.sizes, n_rows) * self.x.itemsize <= HISTORY_LIMIT:
                n_kept, base = n_rows, 0
        self.saved = self._take(n_saved * self.n_sequences * self.sizes.state)
        history = self._take(history_size(self.sizes, n_kept))
        plan = blocks.make_plan(self.n_sequences)
        span = 0, self.n_steps, base, interval, False
        self._run(plan, span, state, history, n_kept, outputs, memories, trace)
        if base == 0:
            self.history = history

    def backward(
        self, carry: Array, d_x: Array, d_outputs: Array, d_memories: Array, d_trace: Array
    ) -> list[Array]:
        """Run all steps backward; ``carry`` becomes the gradient of the first state."""
        sizes, (order, rows) = self.sizes, self.batch
        # The backward pass writes over the history: a second one has to make it again.
        history, self.history = self.history, None
        replays = history is None
        spans, n_kept = [(0, self.n_steps)], int(rows[-1])
        if replays:
            starts = range(0, self.n_steps, self.interval)
            spans = [(t, min(t + self.interval, self.n_steps)) for t in starts]
            n_kept = max(int(rows[stop] - rows[begin]) for begin, stop in spans)
            history = self._take(history_size(sizes, n_kept))
            state = np.empty((self.n_sequences, sizes.state), self.x.dtype)
            no_outputs = d_outputs[:0], *_no_trace(self.x.dtype)
        plan = blocks.make_plan(self.n_sequences)
        scratch = self._scratch(plan.n_threads, plan.block)
        d_weights = [
            np.zeros(part.swapaxes(-1, -2).shape, part.dtype) for part in self.weights
        ]
        for begin, stop in reversed(spans):
            base = int(rows[begin])
            if replays:
                span = begin, stop, base, self.interval, True
                self._run(plan, span, state, history, n_kept, *no_outputs)

            def lead_back(first, stride, thread, span=(begin, stop, base)):
                sequences.backward(
                    *(sizes, first, stride, order, rows, *span, self.interval),
                    *(*self.weights, d_x, d_outputs, carry, history.array, n_kept),
                    *(
                        self.saved.array,
                        d_memories,
                        d_trace,
                        scratch[thread].array,
                        plan.block,
                    ),
                )

            def add_up(part, n_parts, thread, n_rows=int(rows[stop]) - base):
                sequences.weight_gradients(
                    sizes, n_rows, part, n_parts, history.array, n_kept, *d_weights
                )

            blocks.run(plan.n_blocks, plan.n_threads, lead_back)
            blocks.run(plan.n_threads, plan.n_threads, add_up)
        return [part.swapaxes(-1, -2) for part in d_weights]

    def _run(
        self,
        plan: blocks.Plan,
        span: Any,
        state: Array,
        history: Any,
        n_kept: int,
        *results: Array,
    ) -> None:
        """Run the steps of a span forward."""
        order, rows = self.batch
        transposed = [np.ascontiguousarray(part.swapaxes(-1, -2)) for part in self.weights]
        scratch = self._scratch(plan.n_threads, 0)
        outputs, memories, trace = results

        def advance(first, stride, thread):
            sequences.forward(
                *(self.sizes, first, stride, order, rows, *span, *transposed, self.x),
                *(outputs, state, history.array, n_kept, self.saved.array),
                *(memories, trace, scratch[thread].array),
            )

        blocks.run(plan.n_blocks, plan.n_threads, advance)

    def _take(self, size: int) -> Any:
        return buffers.take(size, self.x.dtype)

    def _scratch(self, threads: int, block: int) -> list[Any]:
        """Return scratch for every thread."""
        size = scratch_size(self.sizes, block, self.interval)
        return [self._take(size) for _ in range(threads)]
