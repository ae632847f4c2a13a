"""The kernels as one differentiable function of torch tensors.

The forward pass over whole sequences is one call, the backward pass another. What the
backward pass needs of each step is kept while it is small (:data:`HISTORY_LIMIT`).
Otherwise only the states at √T checkpoints are kept and the steps in between recomputed, so
that memory use grows with √T.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import compress
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sknt._private import unflatten_dense_tensors
from sknt.kernels import blocks, buffers, driver, guards
from sknt.kernels.contract import Kernel
from sknt.kernels.gradients import common_sizes, weight_gradients
from sknt.kernels.layout import (
    Network,
    Sizes,
    gaps,
    history_shapes,
    make_sizes,
    place,
    place_history,
    place_scratch,
    scratch_shapes,
)
from sknt.kernels.parameters import Places, find_places, gather
from sknt.kernels.states import (
    Parts,
    are_blank,
    find_parts,
    join_states,
    join_trace,
    make_trace,
    no_trace,
    split_states,
    split_trace,
)

HISTORY_LIMIT = 64 * 2**20
"""Largest history, in bytes, that is kept from the forward to the backward pass."""

Array = NDArray[Any]


class Batch(NamedTuple):
    """The sequences of a batch, longest first."""

    order: NDArray[np.int64]  # (B,), sequences by length
    rows: NDArray[np.int64]  # (T + 1,), steps of all sequences before step t


def make_batch(lengths: NDArray[np.int64]) -> Batch:
    """Sort sequences by their lengths."""
    order = np.argsort(-lengths, kind="stable")
    n_ended = np.bincount(lengths)[:-1].cumsum()  # of a length of t or less
    rows = np.zeros(len(n_ended) + 1, np.int64)
    np.cumsum(len(lengths) - n_ended, out=rows[1:])
    return Batch(order, rows)


class Plan(NamedTuple):
    """A network's structure, as the kernels need it."""

    kernel: Kernel
    sizes: Sizes
    parts: Parts
    places: Places


@lru_cache(maxsize=64)
def make_plan(
    network: Network, kernel: Kernel, memory: Any, shapes: tuple[tuple[int, ...], ...]
) -> Plan:
    """Work out a network's structure, once for all networks that have it.

    Parameters
    ----------
    network : Network
    kernel : Kernel
    memory : NamedTuple
        The memory's own sizes.
    shapes : tuple of tuple
        Those of the parameters, in the order of :func:`sknt.kernels.parameters.places`.
    """
    sizes = make_sizes(network, kernel, memory)
    if (n_columns := shapes[-4][0]) != sizes.interface:
        raise TypeError(
            f"the kernel {kernel.name} has {sizes.interface} columns of an interface; the "
            f"projection has {n_columns}"
        )
    parts, places = find_parts(kernel, sizes), find_places(sizes, shapes)
    return Plan(kernel, sizes, parts, places)


class Weights:
    """A network's weights, laid out for the kernels.

    Parameters
    ----------
    places : Places
    parameters : sequence of Tensor
        As :func:`sknt.kernels.parameters.places` takes them; they are copied.

    Attributes
    ----------
    matrices, transposed : ndarray
        The weights of :mod:`sknt.kernels.layout`, one after the other, as the backward pass
        takes them, and each matrix transposed, as the forward pass takes them.
    """

    def __init__(self, places: Places, parameters: Sequence[Tensor]):
        flat = [part.detach().reshape(-1) for part in parameters]
        joined = buffers.take(len(places.gradients), flat[0].numpy().dtype)
        torch.cat(flat, out=torch.from_numpy(joined))
        both = buffers.take(len(places.weights), joined.dtype)
        gather(joined, places.weights, both)
        self.matrices, self.transposed = both.reshape(2, -1)


class Pass:
    """A forward pass over a batch, kept for its backward pass.

    Parameters
    ----------
    plan : Plan
    batch : Batch
    x : Tensor of shape (batch, n_timesteps, n_inputs)
    state, parameters : sequence of Tensor
        As :meth:`Call.run` and :class:`Weights` take them.
    """

    def __init__(
        self,
        plan: Plan,
        batch: Batch,
        x: Tensor,
        state: Sequence[Tensor],
        parameters: Sequence[Tensor],
    ):
        self.n_first = [len(part) for part in state]
        # Kernels that never replay keep no copy of a state, but may have to start again.
        self.first = () if plan.kernel.replays else state
        self.parameters = parameters
        self.call = Call(plan, batch, Weights(plan.places, parameters), x)

    def backward(
        self,
        d_outputs: Tensor | None,
        d_states: Tensor | None,
        d_steps: Sequence[Tensor | None],
        needs_x: bool,
        needs_state: Sequence[bool],
    ) -> tuple[Tensor | None, list[Tensor | None], list[Tensor]]:
        """Backpropagate to the inputs, the first state and the parameters.

        Parameters
        ----------
        d_outputs, d_states, d_steps
            Gradients with respect to the outputs, the final states and the parts of the
            trace; None for zeros.
        needs_x : bool
            Whether the gradient with respect to the inputs is wanted.
        needs_state : sequence of bool
            Whether that with respect to each part of the first state is wanted.

        Returns
        -------
        d_x : Tensor or None
        d_state : list of Tensor or None
            For a part of the first state that all sequences share, the sum of their
            gradients. What nobody wants is not computed: a sum over a large memory would
            take longer than the steps of one that is sparse.
        d_parameters : list of Tensor
        """
        (_, sizes, parts, places), x = self.call.plan, self.call.x
        if d_outputs is None:
            d_outputs = torch.from_numpy(np.zeros((*x.shape[:2], sizes.outputs), x.dtype))
        carry = buffers.zeros((len(x), sizes.state), x.dtype)
        if d_states is not None:
            carry[...] = d_states.numpy()
        if guards.ENABLED:
            guards.fill_gaps(carry, parts.gaps)
        d_trace = no_trace(x.dtype)
        if any(part is not None for part in d_steps):
            given = [None if part is None else part.numpy() for part in d_steps]
            d_trace = join_trace(parts, sizes, given, x.shape[:2], x.dtype)
        d_x = np.zeros(x.shape if needs_x else (0, 0, 0), x.dtype)
        d_outputs = d_outputs.contiguous()
        d_weights = self.call.backward(self.first, carry, d_x, d_outputs.numpy(), *d_trace)
        d_parameters = buffers.take(len(places.gradients), x.dtype)
        gather(d_weights, places.gradients, d_parameters)
        d_each = unflatten_dense_tensors(torch.from_numpy(d_parameters), self.parameters)
        d_state = [
            None if not is_needed else d if len(d) == n else d.sum(0, keepdim=True)
            for d, n, is_needed in zip(
                split_states(parts, torch.from_numpy(carry)),
                self.n_first,
                needs_state,
                strict=True,
            )
        ]
        return torch.from_numpy(d_x) if needs_x else None, d_state, [*d_each]


class FusedSequences(torch.autograd.Function):
    """Padded sequences through a controller, a memory and a readout, with gradients.

    ``apply(plan, batch, traces, x, *state, *parameters)`` returns the outputs, the final
    states in rows and the parts of the trace.
    """

    @staticmethod
    def forward(ctx, plan, batch, traces, x, *tensors):
        """Run all steps."""
        ctx.set_materialize_grads(False)
        n = len(plan.parts.states())
        state, parameters = tensors[:n], tensors[n:]
        ctx.kept = Pass(plan, batch, x, state, parameters)
        first = ctx.kept.first or compress(state, ctx.needs_input_grad[4:])
        ctx.save_for_backward(x, *first, *parameters)
        outputs, states, steps = ctx.kept.call.run(state, traces, keeps=True)
        return outputs, states, *steps

    @staticmethod
    def backward(ctx, *d_results):
        """Backpropagate to the inputs, the first state and the weights."""
        saved = ctx.saved_tensors  # raises if one was changed in place
        needs_x, *needs = ctx.needs_input_grad[3:]
        d_outputs, d_states, *d_steps = (d if d is None else d.detach() for d in d_results)
        with torch.no_grad():
            d_x, d_state, d_parameters = ctx.kept.backward(
                d_outputs, d_states, d_steps, needs_x, needs[: len(ctx.kept.n_first)]
            )
        gradients = [d_x, *d_state, *d_parameters]
        if torch.is_grad_enabled():  # with create_graph=True
            sources = [t for t in (*saved, *d_results) if t is not None and t.requires_grad]
            gradients = [
                d if d is None else FirstOrder.apply(d, *sources) for d in gradients
            ]
        return None, None, None, *gradients


class FirstOrder(torch.autograd.Function):
    """A gradient whose own gradients are not known: asking for one raises.

    ``apply(gradient, *sources)`` returns it, with what it depends on.
    """

    @staticmethod
    def forward(ctx, gradient, *sources):
        """Return the gradient."""
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx, _):
        """Say what to do instead."""
        raise RuntimeError(
            "the kernels compute no gradients of gradients; use a network with "
            "backend='reference'"
        )


class Call:
    """What the forward and the backward pass over a batch share."""

    def __init__(self, plan: Plan, batch: Batch, weights: Weights, x: Tensor):
        self.plan, self.sizes = plan, plan.sizes
        self.batch, self.weights = batch, weights
        self.x = np.ascontiguousarray(x.detach().numpy())
        self.n_sequences, self.n_steps = len(batch.order), len(batch.rows) - 1
        self.interval = math.isqrt(self.n_steps - 1) + 1
        if not plan.kernel.replays:
            self.interval = self.n_steps
        self.history: Array | None = None
        self.saved: Array

    def run(
        self, state: Sequence[Tensor], traces: str | None, keeps: bool
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Run all steps.

        Parameters
        ----------
        state : sequence of Tensor
            Parts of the first state: the memory's, reads, hidden and cell. All sequences
            share one of length 1.
        traces : {"states", "heads"} or None
            Which trace to return: with "states", the states and interfaces of every step;
            with "heads", the same without the bulky parts, which then have no rows.
        keeps : bool
            Whether there will be a backward pass.

        Returns
        -------
        outputs : Tensor of shape (batch, n_timesteps, n_outputs)
        states : Tensor of shape (batch, state)
            The final states in rows, as :func:`sknt.kernels.states.split_states` takes
            them.
        steps : list of Tensor
            With a trace, the parts of its states and of its interfaces.
        """
        sizes = self.sizes
        dtype, axes = self.x.dtype, self.x.shape[:2]
        final, blank = self._join(state)
        outputs = np.zeros((*axes, sizes.outputs), dtype)
        trace = no_trace(dtype)
        if traces is not None:
            trace = make_trace(sizes, axes, dtype, with_bulky=traces == "states")
        self.forward(final, blank, outputs, *trace, keeps)
        steps: list[Tensor] = []
        if traces is not None:
            steps = split_trace(self.plan.parts, *map(torch.from_numpy, trace))
        return torch.from_numpy(outputs), torch.from_numpy(final), steps

    def _join(self, state: Sequence[Tensor]) -> tuple[Array, bool]:
        """Lay out states, and tell whether their bulky parts are known to be zeros."""
        parts, values = self.plan.parts, [part.detach().numpy() for part in state]
        rows = join_states(parts, self.sizes, values, self.n_sequences, self.x.dtype)
        return rows, are_blank(parts, values)

    def forward(
        self,
        state: Array,
        blank: bool,
        outputs: Array,
        bulky: Array,
        trace: Array,
        keeps: bool,
    ) -> None:
        """Run all steps; ``state`` is overwritten by the final state."""
        n_kept, base, n_saved, interval = self.n_sequences, -1, 0, 0
        kept = place_history(self.sizes, n_kept)
        if keeps:
            n_rows, replays = int(self.batch.rows[-1]), self.plan.kernel.replays
            if replays:
                interval = self.interval
                n_saved = -(-self.n_steps // interval)
            whole = place_history(self.sizes, n_rows)
            if whole.size * self.x.itemsize <= HISTORY_LIMIT or not replays:
                n_kept, base, kept = n_rows, 0, whole
        self.saved = self._take(n_saved * self.n_sequences * self.sizes.state)
        history = self._take(kept.size)
        partition = blocks.make_partition(self.n_sequences)
        span = driver.Span(0, self.n_steps, base, interval, n_kept, kept.starts)
        self._run(partition, span, False, state, blank, history, outputs, bulky, trace)
        if base == 0:
            self.history = history

    def backward(
        self,
        first: Sequence[Tensor],
        carry: Array,
        d_x: Array,
        d_outputs: Array,
        d_bulky: Array,
        d_trace: Array,
    ) -> Array:
        """Backpropagate through all steps; ``carry`` becomes the first state's gradient.

        Parameters
        ----------
        first : sequence of Tensor
            The parts of the first state, if the kernel never replays.
        carry, d_x, d_outputs, d_bulky, d_trace : ndarray
            Gradients.

        Returns
        -------
        d_weights : ndarray
            The gradients with respect to the transposed weights.
        """
        kernel, sizes, (order, rows) = self.plan.kernel, self.sizes, self.batch
        # The backward pass overwrites the history, so a second one has to recompute it.
        history, self.history = self.history, None
        runs_again = history is None
        spans, n_kept = [(0, self.n_steps)], int(rows[-1])
        if history is None:
            starts = range(0, self.n_steps, self.interval)
            spans = [(t, min(t + self.interval, self.n_steps)) for t in starts]
            n_kept = max(int(rows[stop] - rows[begin]) for begin, stop in spans)
        kept_at, size = place_history(sizes, n_kept)
        if history is None:
            history = self._take(size)
            if kernel.replays:
                state, blank = self._take(self.n_sequences * sizes.state), False
                state = state.reshape(self.n_sequences, sizes.state)
            else:
                state, blank = self._join(first)
            no_outputs = d_outputs[:0], *no_trace(self.x.dtype)
        partition = blocks.make_partition(self.n_sequences)
        room, scratch = self._scratch(partition.n_threads, partition.block)
        d_weights = buffers.take(len(self.weights.transposed), self.x.dtype)
        d_weights[:] = 0
        for begin, stop in reversed(spans):
            base = int(rows[begin])
            span = driver.Span(begin, stop, base, self.interval, n_kept, kept_at)
            if runs_again:
                again = span if kernel.replays else span._replace(interval=0)
                self._run(
                    *(partition, again, kernel.replays, state, blank, history, *no_outputs)
                )

            def backpropagate(block, n_blocks, thread, span=span):
                kernel.backward(
                    *(sizes, driver.Block(block, n_blocks, order, rows, room), span),
                    *(self.weights.matrices, d_x, d_outputs, carry, history, self.saved),
                    *(d_bulky, d_trace, scratch[thread]),
                )

            def sum_gradients(part, n_parts, thread, n_rows=int(rows[stop]) - span.base):
                weight_gradients(
                    *(common_sizes(sizes), n_rows, part, n_parts),
                    *(history, n_kept, kept_at, d_weights),
                )

            blocks.run(partition.n_blocks, partition.n_threads, backpropagate)
            if guards.ENABLED:
                self._check(scratch, partition.block, history, n_kept, carry)
            blocks.run(partition.n_threads, partition.n_threads, sum_gradients)
        return d_weights

    def _run(
        self,
        partition: blocks.Partition,
        span: driver.Span,
        resumes: bool,
        state: Array,
        blank: bool,
        history: Array,
        *results: Array,
    ) -> None:
        """Run the forward pass over a span of steps."""
        room, scratch = self._scratch(partition.n_threads, 0)
        outputs, bulky, trace = results
        private = buffers.zeros((self.n_sequences * self.sizes.private,), self.x.dtype)

        def run_block(first, stride, thread):
            self.plan.kernel.forward(
                *(self.sizes, driver.Block(first, stride, *self.batch, room)),
                *(span, resumes),
                *(self.weights.transposed, self.x, outputs, state, private, blank),
                *(history, self.saved, bulky, trace, scratch[thread]),
            )

        blocks.run(partition.n_blocks, partition.n_threads, run_block)
        if guards.ENABLED:
            self._check(scratch, 0, history, span.n_kept, state)

    def _take(self, size: int) -> Array:
        array = buffers.take(size, self.x.dtype)
        return guards.fill(array) if guards.ENABLED else array

    def _scratch(self, threads: int, block: int) -> tuple[tuple[int, ...], list[Array]]:
        """Return the places of the parts of a scratch, and one array per thread."""
        room = place_scratch(self.sizes, *self._scratch_size(block))
        return room.starts, [self._take(room.size) for _ in range(threads)]

    def _scratch_size(self, block: int) -> tuple[int, int]:
        return block, self.interval if self.plan.kernel.replays else 0

    def _check(
        self, scratch: list[Array], block: int, history: Array, n_kept: int, states: Array
    ) -> None:
        """Check that nothing was written between the parts of arrays."""
        kernel, sizes = self.plan.kernel, self.sizes
        kept = history_shapes(sizes, n_kept)
        room = scratch_shapes(sizes, *self._scratch_size(block))
        first = dict(zip(kept, place(kept).starts, strict=True))["memory"]
        of_steps = history[first : first + n_kept * sizes.history]
        of_steps = of_steps.reshape(n_kept, sizes.history)
        d = sizes.memory
        for rows, shapes, what in (
            (history, kept, "history of all"),
            (of_steps, kernel.history(d), "history of a step"),
            (states, kernel.state(d), "state"),
            *((array, room, "scratch of a thread") for array in scratch),
            *((array, kernel.scratch(d), "scratch") for array in scratch),
        ):
            guards.check(rows, gaps(shapes), f"the {what} in {kernel.name}")
