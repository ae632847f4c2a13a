"""The kernels as one differentiable function of torch tensors.

Whole sequences go forward in one call and back in another. What the backward pass needs of
each step is kept where that is little (:data:`HISTORY_LIMIT`); otherwise only the states at
√T checkpoints are, and the steps between two of them are done again, so that the memory
taken grows with √T.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from sknt.kernels import _blocks, _buffers
from sknt.kernels._entries import load
from sknt.kernels.layout import Sizes, Weights, history_size, scratch_size, weight_shapes
from sknt.kernels.parameters import places

HISTORY_LIMIT = 64 * 2**20
"""Bytes of history up to which it is kept from the forward to the backward pass."""


class Batch(NamedTuple):
    """Which sequences there are, the longest first."""

    order: NDArray[np.int64]  # (B,), sequences by length
    rows: NDArray[np.int64]  # (T + 1,), steps of all sequences before step t


def make_batch(lengths: NDArray[np.int64]) -> Batch:
    """Sort sequences by their lengths."""
    order = np.argsort(-lengths, kind="stable")
    n_running = len(lengths) - np.searchsorted(
        lengths[order[::-1]], np.arange(lengths.max()), side="right"
    )
    return Batch(order, np.concatenate([[0], np.cumsum(n_running)]))


class FusedSequences(torch.autograd.Function):
    """Padded sequences through a controller, an NTM and a readout.

    ``apply(sizes, batch, keeps, traces, x, *state, *parameters)`` returns the outputs
    (B, T, O), the final state and, with ``traces``, the states and interfaces of every
    step, all of them in one flat tuple. ``keeps`` says whether there will be a backward
    pass. Each part of the state may have one row for all sequences.
    """

    @staticmethod
    def forward(ctx, sizes, batch, keeps, traces, x, *tensors):
        """Run all steps."""
        ctx.set_materialize_grads(False)
        parts, parameters = tensors[:5], tensors[5:]
        ctx.call = _Call(sizes, batch, [p.detach().numpy() for p in parameters], x)
        ctx.one_for_all = [len(part) == 1 for part in parts]
        ctx.save_for_backward(x, *parameters)
        state = _join(sizes, [part.detach().numpy() for part in parts], len(x), x)
        outputs = x.new_zeros(*x.shape[:2], sizes.outputs)
        n_traced = x.shape[:2] if traces else (0, 0)
        memories = x.new_zeros(*n_traced, sizes.width, sizes.rows)
        trace = x.new_zeros(*n_traced, sizes.state - sizes.memory + sizes.interface)
        arrays = [part.numpy() for part in (state, outputs, memories, trace)]
        ctx.call.forward(*arrays, keeps)
        return (
            outputs,
            *_split(sizes, state),
            *(_traced(sizes, memories, trace) if traces else ()),
        )

    @staticmethod
    @once_differentiable
    def backward(ctx, d_outputs, *gradients):
        """Lead the gradients back to the inputs, the first state and the weights."""
        x, sizes = ctx.saved_tensors[0], ctx.call.sizes  # raises if changed in place
        n_sequences, n_steps = x.shape[:2]
        if d_outputs is None:
            d_outputs = x.new_zeros(n_sequences, n_steps, sizes.outputs)
        carry = _join(sizes, [_array(part) for part in gradients[:5]], n_sequences, x)
        d_memories, *d_others = [_array(part) for part in gradients[5:]] or [None]
        d_memories = (
            x.new_zeros(0, 0, 0, 0).numpy()
            if d_memories is None
            else np.ascontiguousarray(d_memories.swapaxes(2, 3))
        )
        d_trace = x.new_zeros(0, 0, 0)
        if any(part is not None for part in d_others):
            d_trace = x.new_zeros(
                n_sequences, n_steps, sizes.state - sizes.memory + sizes.interface
            )
            for part, given in zip(_split_rest(sizes, d_trace), d_others, strict=True):
                if given is not None:
                    part.copy_(torch.from_numpy(given))
        d_x = (
            torch.zeros_like(x, memory_format=torch.contiguous_format)
            if ctx.needs_input_grad[4]
            else x.new_zeros(0, 0, 0)
        )
        d_weights = ctx.call.backward(
            carry.numpy(),
            d_x.numpy(),
            d_outputs.contiguous().numpy(),
            d_memories,
            d_trace.numpy(),
        )
        d_parameters = [torch.empty_like(part) for part in ctx.saved_tensors[1:]]
        arrays = [part.numpy() for part in d_parameters]
        for target, source in places(sizes, arrays, d_weights):
            target[...] = source
        d_state = [
            part.sum(0, keepdim=True) if one_for_all else part
            for part, one_for_all in zip(_split(sizes, carry), ctx.one_for_all, strict=True)
        ]
        return (
            *(None, None, None, None),
            d_x if ctx.needs_input_grad[4] else None,
            *d_state,
            *d_parameters,
        )


def _array(tensor: Tensor | None) -> Any:
    return None if tensor is None else tensor.detach().numpy()


def _split(sizes: Sizes, state: Tensor) -> tuple[Tensor, ...]:
    """Return a state's parts: memory, weightings, reads, hidden and cell state."""
    memory = state[..., : sizes.memory].unflatten(-1, (sizes.width, sizes.rows))
    return memory.transpose(-1, -2), *_split_rest(sizes, state[..., sizes.memory :])[:4]


def _split_rest(sizes: Sizes, rest: Tensor) -> list[Tensor]:
    ends = [sizes.weights_at, sizes.reads_at, sizes.hidden_at, sizes.cell_at, sizes.state]
    parts = rest.split(
        [*np.diff(ends).tolist(), rest.shape[-1] - (sizes.state - sizes.memory)], -1
    )
    shapes = [
        (sizes.heads, sizes.rows),
        (sizes.read_heads, sizes.width),
        (sizes.layers, sizes.hidden),
        (sizes.layers, sizes.hidden),
        (sizes.interface,),
    ]
    if parts[-1].shape[-1] == 0:
        parts, shapes = parts[:4], shapes[:4]
    return [
        part.unflatten(-1, shape) if len(shape) > 1 else part
        for part, shape in zip(parts, shapes, strict=True)
    ]


def _traced(sizes, memories, trace):
    return memories.transpose(-1, -2), *_split_rest(sizes, trace)


def _join(sizes: Sizes, parts: Any, n_sequences: int, like: Tensor) -> Tensor:
    """Lay out states, or gradients of which some may be missing, as the kernels do."""
    state = like.new_zeros(n_sequences, sizes.state)
    for target, part in zip(_split(sizes, state), parts, strict=True):
        if part is not None:
            target.numpy()[:] = part
    return state


class _Call:
    """What the two directions of a pass over a batch share."""

    def __init__(self, sizes: Sizes, batch: Batch, parameters: Any, x: Tensor):
        self.kernels = load(x.dtype)
        self.sizes, self.batch = sizes, batch
        self.x = x.detach().contiguous().numpy()
        self.weights = Weights(
            *(np.zeros(shape, self.x.dtype) for shape in weight_shapes(sizes))
        )
        for source, target in places(sizes, parameters, self.weights):
            target[...] = source
        self.n_steps, self.n_sequences = len(batch.rows) - 1, len(batch.order)
        self.interval = math.isqrt(self.n_steps - 1) + 1
        self.history: Any = None
        self.saved: Any = None

    def forward(self, state, outputs, memories, trace, keeps) -> None:
        """Run all steps; the state given becomes the last one."""
        n_kept, base, n_saved = self.n_sequences, -1, 0
        if keeps:
            n_saved, n_rows = -(-self.n_steps // self.interval), int(self.batch.rows[-1])
            if history_size(self.sizes, n_rows) * self.x.itemsize <= HISTORY_LIMIT:
                n_kept, base = n_rows, 0
        self.saved = self._take(n_saved * self.n_sequences * self.sizes.state)
        history = self._take(history_size(self.sizes, n_kept))
        interval = self.interval if keeps else 0
        self._run_forward(
            *(0, self.n_steps, base, interval, False),
            *(state, history, n_kept, outputs, memories, trace),
        )
        if base == 0:
            self.history = history

    def backward(self, carry, d_x, d_outputs, d_memories, d_trace) -> Weights:
        """Run all steps backward; ``carry`` becomes the gradient of the first state."""
        sizes, (order, rows) = self.sizes, self.batch
        # The backward pass writes over the history: a second one has to make it again.
        history, self.history = self.history, None
        replays = history is None
        spans = [(0, self.n_steps)]
        n_kept = int(rows[-1])
        if replays:
            starts = range(0, self.n_steps, self.interval)
            spans = [(t, min(t + self.interval, self.n_steps)) for t in starts]
            n_kept = max(int(rows[stop] - rows[begin]) for begin, stop in spans)
            history = self._take(history_size(sizes, n_kept))
            state = self._take(self.n_sequences * sizes.state)
            none = np.zeros((0, 0, 0), self.x.dtype)
        block = _blocks.largest(self.n_sequences)
        scratch = self._scratch(block)
        gradients = Weights(*(np.zeros_like(part) for part in self.weights))
        for begin, stop in reversed(spans):
            base = int(rows[begin])
            if replays:
                self._run_forward(
                    *(begin, stop, base, self.interval, True),
                    *(
                        state.array.reshape(self.n_sequences, -1),
                        history,
                        n_kept,
                        none,
                        none[None],
                        none,
                    ),
                )

            def lead_back(first, stride, worker, span=(begin, stop, base)):
                self.kernels.backward(
                    *(sizes, first, stride, order, rows, *span, self.interval),
                    *(*self.weights, d_x, d_outputs, carry, history.array, n_kept),
                    *(self.saved.array, d_memories, d_trace, scratch[worker].array, block),
                )

            def add_up(part, n_parts, worker, n_rows=int(rows[stop]) - base):
                self.kernels.weight_gradients(
                    *(sizes, n_rows, part, n_parts, history.array, n_kept, *gradients)
                )

            _blocks.run(self.n_sequences, lead_back)
            _blocks.run_parts(self.n_sequences, add_up)
        return gradients

    def _run_forward(
        self,
        begin,
        stop,
        base,
        interval,
        resumes,
        state,
        history,
        n_kept,
        outputs,
        memories,
        trace,
    ) -> None:
        order, rows = self.batch
        transposed = [np.ascontiguousarray(part.swapaxes(-1, -2)) for part in self.weights]
        scratch = self._scratch(0)

        def run(first, stride, worker):
            self.kernels.forward(
                *(self.sizes, first, stride, order, rows, begin, stop, base, interval),
                *(resumes, *transposed, self.x, outputs, state, history.array, n_kept),
                *(self.saved.array, memories, trace, scratch[worker].array),
            )

        _blocks.run(self.n_sequences, run)

    def _take(self, size: int) -> Any:
        return _buffers.take(size, self.x.dtype)

    def _scratch(self, block: int) -> list[Any]:
        """Return scratch for every thread."""
        size = scratch_size(self.sizes, block, self.interval)
        return [self._take(size) for _ in range(_blocks.n_workers(self.n_sequences))]
