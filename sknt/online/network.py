"""A network that takes sequences part by part: patches that have begun, running pooling."""

import copy
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sknt.online.cells import KernelCell, ReferenceCell

Array = NDArray[np.float64]
Counts = NDArray[np.int64]


class Pooled(NamedTuple):
    """What is known of the features of the patches so far, each (n_sequences, width)."""

    last: Array
    total: Array
    largest: Array


class OnlineState(NamedTuple):
    """What a network carries from one part of its sequences to the next."""

    cell: Any  # the cell's, after the last patch that is complete
    n_steps: Counts  # (n_sequences,), taken so far
    begun: (
        Array  # (n_sequences, patch_size - 1, n_inputs), steps of the patch that has begun
    )
    pooled: Pooled  # of the patches that are complete


class OnlineNetwork:
    """A copy of a network that takes sequences part by part.

    Parameters
    ----------
    network : SequenceNetwork
        Not a bidirectional one. It is copied: later changes of its weights have no effect.
    """

    def __init__(self, network: Any):
        self._set(copy.deepcopy(network).requires_grad_(False))

    def _set(self, network: Any) -> None:
        self._network = network
        self._cells: dict[str, Any] = {}
        head = network.head
        self._head = (
            None
            if head is None
            else [p.cpu().double().numpy() for p in (head.weight, head.bias)]
        )
        backend = network.backend_for(next(network.cell.controller.parameters()))
        self._has_kernels = backend == "fused"

    def __getstate__(self) -> Any:
        return self._network

    def __setstate__(self, network: Any) -> None:
        self._set(network)

    def start(self, n_sequences: int) -> OnlineState:
        """Return the state before the first step."""
        cell = self._kernels if self._has_kernels else self._reference
        return self._start_with(cell, n_sequences)

    def _start_with(self, cell: Any, n_sequences: int) -> OnlineState:
        network = self._network
        size, width = network.patch_size, network.readout.out_features
        features = np.zeros((n_sequences, width))
        return OnlineState(
            cell.start(n_sequences),
            np.zeros(n_sequences, np.int64),
            np.zeros((n_sequences, size - 1, network.n_inputs)),
            Pooled(features, features, features - np.inf),
        )

    def advance(
        self, values: Array, lengths: Counts, state: OnlineState
    ) -> tuple[Array, OnlineState]:
        """Take the next steps of all sequences.

        Parameters
        ----------
        values : ndarray of shape (n_sequences, n_timesteps, n_inputs)
            Packed to the left; n_timesteps is the largest of the lengths.
        lengths : ndarray of shape (n_sequences,)
            At least 0 each.
        state : OnlineState
            It stays as it is.

        Returns
        -------
        outputs : ndarray of shape (n_sequences, n_timesteps, n_outputs)
            With pooling, of shape (n_sequences, n_outputs): the outputs if the sequences
            ended now.
        state : OnlineState
        """
        network = self._network
        n_steps = state.n_steps + lengths
        if network.pooling is None:
            outputs, cell = self._run(values, lengths, state.cell)
            return outputs, state._replace(cell=cell, n_steps=n_steps)
        size = network.patch_size
        whole, n_whole, begun = _to_patches(state, values, lengths, size)
        features, cell = self._run(whole, n_whole, state.cell)
        pooled = _add(state.pooled, features, n_whole)
        has_begun = np.asarray(n_steps % size > 0, np.int64)
        now = pooled
        if has_begun.any():  # the rest of a last patch is zeros
            last = np.pad(begun, ((0, 0), (0, 1), (0, 0)))
            features, _ = self._run(last.reshape(len(last), 1, -1), has_begun, cell)
            now = _add(pooled, features, has_begun)
        outputs = self._read(now, n_steps // size + has_begun)
        return outputs, OnlineState(cell, n_steps, begun, pooled)

    def _run(self, values: Array, lengths: Counts, state: Any) -> tuple[Array, Any]:
        """Run the cell over the sequences that have steps, all others stay as they are."""
        cell = self._cell_of(state)
        if lengths.all():
            outputs, after = cell.run(values, lengths, state)
        else:
            outputs = np.zeros((*values.shape[:2], self._network.readout.out_features))
            after, which = state, np.flatnonzero(lengths)
            if len(which):
                part = cell.take(state, which)
                outputs[which], part = cell.run(values[which], lengths[which], part)
                after = cell.put(state, which, part)
        if isinstance(state, np.ndarray) and not np.isfinite(outputs).all():
            # As in predict, what overflows in the kernels runs in double precision.
            named = self._reference.adopt(self._kernels.name(state))
            return self._run(values, lengths, named)
        return outputs, after

    def _cell_of(self, state: Any) -> Any:
        """Return the cell that a state belongs to."""
        return self._kernels if isinstance(state, np.ndarray) else self._reference

    def _read(self, pooled: Pooled, n_patches: Counts) -> Array:
        """Return the outputs of sequences of so many patches; any numbers for none."""
        pooling, n = self._network.pooling, n_patches[:, np.newaxis]
        parts = []
        if pooling in ("last", "concat"):
            parts.append(pooled.last)
        if pooling in ("mean", "concat"):
            parts.append(pooled.total / np.maximum(n, 1))
        if pooling in ("max", "concat"):
            parts.append(np.where(n > 0, pooled.largest, 0.0))
        joined = np.concatenate(parts, axis=1)
        if self._head is None:
            return joined
        weight, bias = self._head
        return joined @ weight.T + bias

    def reset(self, state: OnlineState, which: NDArray[np.intp]) -> OnlineState:
        """Return a state in which some of the sequences start anew."""
        cell = self._cell_of(state.cell)
        first = self._start_with(cell, len(which))

        def put(old: Any, new: Any) -> Any:
            return KernelCell.put(old, which, new)

        return OnlineState(
            cell.put(state.cell, which, first.cell),
            put(state.n_steps, first.n_steps),
            put(state.begun, first.begun),
            Pooled(*map(put, state.pooled, first.pooled)),
        )

    def runs_in_kernels(self, state: OnlineState) -> bool:
        """Return whether the kernels take the next steps."""
        return isinstance(state.cell, np.ndarray)

    def named(self, state: OnlineState) -> OnlineState:
        """Return a state that does not depend on how the kernels lay it out."""
        if not self.runs_in_kernels(state):
            return state
        return state._replace(cell=self._kernels.name(state.cell))

    def adopted(self, named: OnlineState, *, in_kernels: bool) -> OnlineState:
        """Return what :meth:`named` returned as it was before, or as it can be here."""
        if in_kernels and self._has_kernels:
            return named._replace(cell=self._kernels.join(named.cell, len(named.n_steps)))
        return named._replace(cell=self._reference.adopt(named.cell))

    # Made when they are first needed

    @property
    def _kernels(self) -> KernelCell:
        if "fused" not in self._cells:
            self._cells["fused"] = KernelCell(self._network)
        return self._cells["fused"]

    @property
    def _reference(self) -> ReferenceCell:
        if "reference" not in self._cells:
            self._cells["reference"] = ReferenceCell(self._network)
        return self._cells["reference"]


def _to_patches(
    state: OnlineState, values: Array, lengths: Counts, size: int
) -> tuple[Array, Counts, Array]:
    """Join new steps to the patches that have begun.

    Returns
    -------
    whole : ndarray of shape (n_sequences, n_patches, size * n_inputs)
        The patches that are now complete.
    n_whole : ndarray of shape (n_sequences,)
    begun : ndarray of shape (n_sequences, size - 1, n_inputs)
        The steps that are left, and zeros after them.
    """
    if size == 1:
        return values, lengths, state.begun
    n_begun = state.n_steps % size
    n_joined = n_begun + lengths
    n_whole, n_left = n_joined // size, n_joined % size
    both = np.concatenate([state.begun, values], axis=1)

    def steps(places: NDArray[np.int64]) -> Array:
        """Return the steps at some places of the joined sequences."""
        after = places >= n_begun[:, np.newaxis]
        places = places + after * (size - 1 - n_begun)[:, np.newaxis]
        places = np.minimum(places, both.shape[1] - 1)
        return np.take_along_axis(both, places[..., np.newaxis], axis=1)

    n, n_patches = len(both), int(n_whole.max())
    places = np.broadcast_to(np.arange(n_patches * size), (n, n_patches * size))
    whole = steps(places).reshape(n, n_patches, size * both.shape[2])
    of_left = np.arange(size - 1)
    begun = steps(n_whole[:, np.newaxis] * size + of_left)
    begun[of_left >= n_left[:, np.newaxis]] = 0
    return whole, n_whole, begun


def _add(pooled: Pooled, features: Array, lengths: Counts) -> Pooled:
    """Take the features of further patches into account."""
    if not features.shape[1]:
        return pooled
    present = (np.arange(features.shape[1]) < lengths[:, np.newaxis])[..., np.newaxis]
    last = features[np.arange(len(features)), lengths - 1]
    return Pooled(
        np.where(lengths[:, np.newaxis] > 0, last, pooled.last),
        pooled.total + np.where(present, features, 0.0).sum(axis=1),
        np.maximum(pooled.largest, np.where(present, features, -np.inf).max(axis=1)),
    )
