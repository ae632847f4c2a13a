"""Batches that go on from states as the kernels have them, in rows, without gradients.

One step of a few sequences takes less time than its preparation. What does not depend on
the numbers is therefore prepared once.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sknt.kernels import driver, guards
from sknt.kernels.blocks import BLOCK
from sknt.kernels.engine import Call, Plan, Weights, make_batch
from sknt.kernels.layout import place_history, place_scratch
from sknt.kernels.states import no_trace

Array = NDArray[Any]


class Onward:
    """A network's kernels, with the weights laid out.

    Parameters
    ----------
    plan : Plan
    weights : Weights
    """

    def __init__(self, plan: Plan, weights: Weights):
        self._plan, self._weights = plan, weights
        self._steps: dict[int, _Step] = {}  # by their number of sequences

    def __call__(
        self, x: Array, lengths: NDArray[np.int64], rows: Array
    ) -> tuple[Array, Array]:
        """Run sequences to their ends.

        Parameters
        ----------
        x : ndarray of shape (batch, n_timesteps, n_inputs)
        lengths : ndarray of shape (batch,)
            At least 1 each; the longest is n_timesteps.
        rows : ndarray of shape (batch, state)
            The states to start from. They are not changed.

        Returns
        -------
        outputs : ndarray of shape (batch, n_timesteps, n_outputs)
        rows : ndarray of shape (batch, state)
        """
        n, n_steps, _ = x.shape
        rows = rows.copy()
        outputs = np.zeros((n, n_steps, self._plan.sizes.outputs), x.dtype)
        if n_steps == 1 and n <= BLOCK and not guards.ENABLED:
            if n not in self._steps:
                self._steps[n] = _Step(self._plan, self._weights, n)
            self._steps[n].run(x, outputs, rows)
        else:
            call = Call(self._plan, make_batch(lengths), self._weights, torch.from_numpy(x))
            call.forward(rows, False, outputs, *no_trace(x.dtype), keeps=False)
        return outputs, rows


class _Step:
    """One step of a block of sequences: the call of the kernel, and nothing around it."""

    def __init__(self, plan: Plan, weights: Weights, n_sequences: int):
        sizes = plan.sizes
        dtype = weights.transposed.dtype
        history, room = place_history(sizes, n_sequences), place_scratch(sizes, 0, 0)
        batch = make_batch(np.ones(n_sequences, np.int64))
        self._forward = plan.kernel.forward
        self._head = (
            sizes,
            driver.Block(0, 1, *batch, room.starts),
            driver.Span(0, 1, -1, 0, n_sequences, history.starts),
            False,
            weights.transposed,
        )
        self._n_history, self._n_scratch = history.size, room.size
        self._n_private = n_sequences * sizes.private
        self._saved, self._trace = np.empty(0, dtype), no_trace(dtype)

    def run(self, x: Array, outputs: Array, rows: Array) -> None:
        """Fill the outputs and overwrite the states."""
        dtype = x.dtype
        self._forward(
            *self._head,
            *(np.ascontiguousarray(x), outputs, rows, np.zeros(self._n_private, dtype)),
            *(False, np.empty(self._n_history, dtype), self._saved, *self._trace),
            np.empty(self._n_scratch, dtype),
        )
