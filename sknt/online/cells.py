"""A network's cell and readout, run over parts of sequences from a state to the next.

A state is never changed in place. Either it consists of rows of numbers, as the kernels
take them, or it is the NamedTuple of the reference path.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sknt._runtime import single_threaded
from sknt.nn.fused import flatten_state, lay_out, name_state
from sknt.nn.unroll import map_state
from sknt.training.prediction import copy_as, double_on


class KernelCell:
    """The compiled kernels, with the weights laid out once.

    Parameters
    ----------
    network : SequenceNetwork
        One that the kernels can serve. Later changes of its weights have no effect.
    """

    def __init__(self, network: Any):
        from sknt.kernels.onward import Onward

        self._plan, weights, _ = lay_out(network.cell, network.readout)
        self._onward = Onward(self._plan, weights)
        self._first = network.initial_state(1)
        self._cell = network.cell
        self._n_hops = getattr(getattr(network.cell, "memory", None), "n_hops", 1)
        self._dtype = weights.transposed.dtype

    def start(self, n_sequences: int) -> NDArray[Any]:
        """Return the state before the first step, of shape (n_sequences, n_numbers)."""
        return self.join(self._first, n_sequences)

    def join(self, state: Any, n_sequences: int) -> NDArray[Any]:
        """Lay out a named state, which the sequences may share, in rows."""
        from sknt.kernels.states import join_states

        plan = self._plan
        values = [part.numpy() for part in flatten_state(self._cell, plan, state)]
        return join_states(plan.parts, plan.sizes, values, n_sequences, self._dtype)

    def name(self, rows: NDArray[Any]) -> Any:
        """Return rows as a named state."""
        from sknt.kernels.states import split_states

        parts = split_states(self._plan.parts, torch.from_numpy(rows))
        return name_state(self._cell, self._first, *parts)

    def run(
        self, values: NDArray[np.float64], lengths: NDArray[np.int64], rows: NDArray[Any]
    ) -> tuple[NDArray[np.float64], NDArray[Any]]:
        """Run sequences from a state.

        Parameters
        ----------
        values : ndarray of shape (n_sequences, n_timesteps, n_features)
        lengths : ndarray of shape (n_sequences,)
            At least 1 each; the longest is n_timesteps.
        rows : ndarray of shape (n_sequences, n_numbers)

        Returns
        -------
        outputs : ndarray of shape (n_sequences, n_timesteps, n_outputs)
        rows : ndarray of shape (n_sequences, n_numbers)
        """
        x = values.astype(self._dtype)
        if self._n_hops > 1:
            x, lengths = x.repeat(self._n_hops, axis=1), self._n_hops * lengths
        outputs, rows = self._onward(x, lengths, rows)
        return outputs[:, self._n_hops - 1 :: self._n_hops].astype(np.float64), rows

    @staticmethod
    def take(state: NDArray[Any], which: NDArray[np.intp]) -> NDArray[Any]:
        """Return the states of some of the sequences."""
        return state[which]

    @staticmethod
    def put(
        state: NDArray[Any], which: NDArray[np.intp], part: NDArray[Any]
    ) -> NDArray[Any]:
        """Return the states with those of some sequences replaced."""
        state = state.copy()
        state[which] = part
        return state


class ReferenceCell:
    """torch's operations, in the precision in which the reference path predicts.

    Parameters
    ----------
    network : SequenceNetwork
    """

    def __init__(self, network: Any):
        self._device = next(network.parameters()).device
        self._dtype = double_on(self._device)
        self._network = copy_as(self._dtype, network)

    def start(self, n_sequences: int) -> Any:
        """Return the state before the first step."""
        return self._network.initial_state(n_sequences)

    def adopt(self, state: Any) -> Any:
        """Return a named state in the precision of this cell."""
        return map_state(lambda s: s.to(self._dtype) if s.is_floating_point() else s, state)

    @torch.no_grad()
    def run(
        self, values: NDArray[np.float64], lengths: NDArray[np.int64], state: Any
    ) -> tuple[NDArray[np.float64], Any]:
        """Run sequences from a state, as :meth:`KernelCell.run` does."""
        with single_threaded():
            return self._run(values, lengths, state)

    def _run(
        self, values: NDArray[np.float64], lengths: NDArray[np.int64], state: Any
    ) -> tuple[NDArray[np.float64], Any]:
        x = torch.from_numpy(values).to(self._device, self._dtype)
        if x.shape[1] == 1:  # without packing and unpacking
            features, state, _ = self._network.cell.step(x[:, 0], state)
            outputs = self._network.readout(features)[:, None]
        else:
            n_steps = torch.from_numpy(lengths)
            outputs, state, _ = self._network._run_reference(x, n_steps, state, None)
        return outputs.double().cpu().numpy(), state

    @staticmethod
    def take(state: Any, which: NDArray[np.intp]) -> Any:
        """Return the states of some of the sequences."""
        return map_state(lambda s: s[which], state)

    @staticmethod
    def put(state: Any, which: NDArray[np.intp], part: Any) -> Any:
        """Return the states with those of some sequences replaced."""

        def replaced(old: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
            old = old.clone()
            old[which] = new
            return old

        return map_state(replaced, state, part)
