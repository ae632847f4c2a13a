"""The whole network: sequences in, outputs for every step or for each sequence out."""

from collections.abc import Mapping
from functools import partial
from numbers import Integral
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from sknt.memories import Memory, Trace, make_memory
from sknt.nn.cell import ControllerCell, MemoryCell
from sknt.nn.checks import check_inputs, check_lengths, check_state, refuse_lengths
from sknt.nn.controllers import make_controller
from sknt.nn.fused import missing, run_fused, warn_that_missing
from sknt.nn.pooling import (
    N_POOLED,
    POOLINGS,
    pool,
    reverse_steps,
    step_mask,
    to_patches,
)
from sknt.nn.prepared import PreparedNetwork
from sknt.nn.scanned import scan_steps
from sknt.nn.sizes import check_network_sizes, check_state_size
from sknt.nn.structure import structure_of
from sknt.nn.tape import Tape
from sknt.nn.unroll import unroll

BACKENDS = ("auto", "fused", "reference")
"""How sequences can be run."""


class Directions(NamedTuple):
    """States or traces of both directions of a bidirectional network, in training."""

    forward: Any
    reverse: Any


class SequenceNetwork(nn.Module):
    r"""A controller with an external memory, over sequences of unequal length.

    .. math::

        h_t &= \mathrm{controller}([x_t ; r_{t-1}]) \\
        r_t &= \mathrm{memory}(h_t) \\
        y_t &= W [h_t ; r_t] + b

    With ``pooling``, there is one output for each sequence: y_t are then 64 features of a
    step, pooled over the steps and followed by a linear layer (with "last", the outputs
    themselves at the last step).

    Parameters
    ----------
    n_inputs : int
        Number of features per step.
    n_outputs : int
        Number of outputs per step, or with ``pooling`` per sequence.
    memory : str or None, default="ntm"
        Kind of memory, a key of ``sknt.memories.MEMORIES``; None is the bare controller.
    memory_size : int, default=128
        Number of memory rows N.
    word_size : int, default=20
        Width W of a memory row.
    n_read_heads, n_write_heads : int, default=1
        Number of heads.
    controller : {"lstm", "gru", "feedforward"}, default="lstm"
        Kind of controller; feed-forward layers have tanh units.
    hidden_size : int, default=100
        Number of units H in each layer of the controller.
    n_layers : int, default=1
        Number of layers of the controller.
    memory_params : mapping or None, default=None
        Options specific to the memory; for the NTM see :class:`sknt.memories.NTMMemory`.
    patch_size : int, default=1
        Number of successive steps that controller and memory see as one. More than 1 needs
        ``pooling``, because a step's output would depend on later steps.
    pooling : {"last", "mean", "max", "concat"} or None, default=None
        How a sequence's outputs are read; "concat" is last, mean and max side by side. None
        is an output for every step.
    bidirectional : bool, default=False
        Whether a second controller and memory run over each sequence from its end to its
        beginning, and the outputs of a step are the sum of both.
    backend : {"auto", "fused", "reference"}, default="auto"
        How sequences are run: "reference" goes step by step with torch's operations;
        "fused" uses compiled kernels, which are many times faster and give the same
        results up to rounding; "auto" uses the kernels wherever they are available (for
        an NTM on a CPU, with numba installed). Gradients of gradients need "reference".

    Raises
    ------
    ValueError
        If a size is not positive, or a name or an option is not known, or there are no
        kernels for what ``backend="fused"`` is asked for.
    ImportError
        If ``backend="fused"`` and numba cannot be loaded.

    References
    ----------
    .. [1] Graves, Wayne & Danihelka (2014), "Neural Turing Machines", arXiv:1410.5401.

    Examples
    --------
    >>> import torch
    >>> from sknt.nn import SequenceNetwork
    >>> network = SequenceNetwork(n_inputs=3, n_outputs=2, memory_size=16)
    >>> outputs, state = network(torch.zeros(4, 7, 3), lengths=torch.tensor([7, 2, 5, 1]))
    >>> outputs.shape
    torch.Size([4, 7, 2])
    >>> state.memory.memory.shape
    torch.Size([4, 16, 20])
    """

    def __init__(
        self,
        n_inputs: int,
        n_outputs: int,
        *,
        memory: str | None = "ntm",
        memory_size: int = 128,
        word_size: int = 20,
        n_read_heads: int = 1,
        n_write_heads: int = 1,
        controller: str = "lstm",
        hidden_size: int = 100,
        n_layers: int = 1,
        memory_params: Mapping[str, Any] | None = None,
        patch_size: int = 1,
        pooling: str | None = None,
        bidirectional: bool = False,
        backend: str = "auto",
    ):
        super().__init__()
        self.patch_size = _check_patch_size(patch_size, pooling)
        self.pooling = pooling
        width = n_outputs if pooling in (None, "last") else N_POOLED
        sizes = check_network_sizes(
            memory is not None,
            n_inputs=n_inputs,
            n_outputs=n_outputs,
            memory_size=memory_size,
            word_size=word_size,
            n_read_heads=n_read_heads,
            n_write_heads=n_write_heads,
            hidden_size=hidden_size,
            n_layers=n_layers,
        )
        self.n_inputs = sizes.n_inputs
        n_features = sizes.n_inputs * self.patch_size
        n_reads, shape = 0, (sizes.hidden_size, sizes.n_layers)
        self.cell: MemoryCell | ControllerCell
        if memory is None:
            if memory_params:
                raise ValueError(
                    f"memory_params={dict(memory_params)!r} has no meaning with "
                    "memory=None; leave it out or choose a memory"
                )
            self.cell = ControllerCell(make_controller(controller, n_features, *shape))
        else:
            n_reads = sizes.n_read_heads * sizes.word_size
            self.cell = MemoryCell(
                make_controller(controller, n_features + n_reads, *shape),
                make_memory(
                    memory,
                    sizes.hidden_size,
                    sizes.memory_size,
                    sizes.word_size,
                    sizes.n_read_heads,
                    sizes.n_write_heads,
                    memory_params=memory_params,
                    n_inputs=n_features,
                ),
            )
            check_state_size(self.cell.memory.initial_state(1), sizes.memory_size)
        self.readout = _make_linear(sizes.hidden_size + n_reads, width)
        self.head: nn.Linear | None = None
        if pooling not in (None, "last"):
            n_pooled = 3 * N_POOLED if pooling == "concat" else N_POOLED
            self.head = _make_linear(n_pooled, sizes.n_outputs)
        self.reverse: SequenceNetwork | None = None
        if bidirectional:
            self.reverse = SequenceNetwork(
                n_features,
                width,
                memory=memory,
                memory_size=memory_size,
                word_size=word_size,
                n_read_heads=n_read_heads,
                n_write_heads=n_write_heads,
                controller=controller,
                hidden_size=hidden_size,
                n_layers=n_layers,
                memory_params=memory_params,
                backend=backend,
            )

        self.backend = backend
        if backend not in BACKENDS:
            raise ValueError(
                f"backend={backend!r} is not known; choose from {sorted(BACKENDS)}"
            )
        if backend == "fused":
            if reason := structure_of(self.cell, self.readout).why_unsupported():
                raise ValueError(f"backend='fused' cannot serve: {reason}; use 'auto'")
            if reason := missing():
                raise ImportError(f"backend='fused' cannot serve: {reason}; use 'auto'")

    def initial_state(self, batch_size: int) -> Any:
        """Return the learned state before the first step, one copy per sequence."""
        return self.cell.initial_state(batch_size)

    @property
    def has_training_state(self) -> bool:
        """Whether training batches start from another state than others."""
        if not isinstance(self.cell, MemoryCell):
            return False
        return type(self.cell.memory).training_state is not Memory.training_state

    def training_state(self, batch_size: int, seed: int, n_updates: int) -> Any:
        """Return the state to start a training batch from, for :meth:`forward`.

        Parameters
        ----------
        batch_size : int
        seed : int
            Of the memory's random choices, at least 0: another one in each update.
        n_updates : int
            Updates of the weights so far.

        Returns
        -------
        state : nested NamedTuple or None
            None if it is the one of any batch. Of a bidirectional network, the states of
            both directions; :meth:`forward` then returns the states and traces of both.
        """
        if not isinstance(self.cell, MemoryCell) or not self.has_training_state:
            return None
        if self.reverse is None:
            return self.cell.training_state(batch_size, seed, n_updates)
        return Directions(
            self.cell.training_state(batch_size, 2 * seed, n_updates),
            self.reverse.training_state(batch_size, 2 * seed + 1, n_updates),
        )

    def forward(
        self,
        x: Tensor,
        lengths: Any = None,
        state: Any = None,
        return_states: bool | str = False,
    ) -> tuple[Any, ...]:
        """Run the network over a batch of sequences.

        Parameters
        ----------
        x : Tensor of shape (batch, n_timesteps, n_inputs)
            Sequences, each starting at step 0, in the network's dtype and on its device.
            Nothing after a sequence's end is read.
        lengths : Tensor or array-like of shape (batch,) or None, default=None
            Number of steps of each sequence, integers of at least 1; None means all steps.
        state : nested NamedTuple or None, default=None
            State to start from, as returned by an earlier call; None means the learned
            one.
        return_states : bool or "heads", default=False
            Whether to return the trace as well; "heads" leaves out the bulky part, by far
            the largest: the memories then have 0 rows.

        Returns
        -------
        outputs : Tensor of shape (batch, n_timesteps, n_outputs)
            Zeros after a sequence's end. With ``pooling``, of shape (batch, n_outputs).
        state : nested NamedTuple
            State after each sequence's last step.
        trace : Trace
            Only with ``return_states``: the states and interfaces of every step, or of
            every patch. State and trace of a bidirectional network are those of its
            forward direction.

        Raises
        ------
        ValueError
            If shape, dtype or device of x, or the lengths, or the state do not fit, or
            return_states is not known; or a state is given to a bidirectional network. A
            program made by ``torch.export`` cannot check lengths: outputs are NaN then.
        TypeError
            If x is not a tensor.

        Notes
        -----
        Training and evaluation mode make no difference: nothing in the network depends on
        ``training``.
        """
        if torch.compiler.is_exporting():
            return self._run_open(x, lengths, state, return_states)
        return self._run(x, lengths, state, return_states, None)

    def prepare(self) -> PreparedNetwork:
        """Prepare for a pass over many batches, without gradients.

        Returns
        -------
        prepared : PreparedNetwork
            It is called like the network. The path is chosen and the weights are laid out
            once, for all batches: prepare again after the weights have changed.

        Examples
        --------
        >>> import torch
        >>> from sknt.nn import SequenceNetwork
        >>> prepared = SequenceNetwork(n_inputs=3, n_outputs=2, memory_size=16).prepare()
        >>> batches = torch.zeros(8, 7, 3).split(2)
        >>> outputs = torch.cat([prepared(batch)[0] for batch in batches])
        >>> outputs.shape
        torch.Size([8, 7, 2])
        """
        # What a subclass or a hook does in a forward pass must not be bypassed.
        return PreparedNetwork(self, self.is_plain)

    def start_tape(self) -> Tape | None:
        """Return a tape to run a batch in training with, for :meth:`run_on_tape`.

        Returns
        -------
        tape : Tape or None
            None where autograd has to see the network itself.
        """
        is_plain = self.is_plain and (self.reverse is None or self.reverse.is_plain)
        if not is_plain or not torch.is_grad_enabled() or torch.is_anomaly_enabled():
            return None
        return Tape()

    def run_on_tape(
        self,
        tape: Tape,
        x: Tensor,
        lengths: Any = None,
        state: Any = None,
        return_states: bool | str = False,
    ) -> tuple[Any, ...]:
        """Run a batch as :meth:`forward` does, but let a tape compute the gradients.

        After the backward pass from the outputs and the trace, ``tape.backward()`` adds the
        gradients of the parameters. There is none of x, and where the kernels run, no state
        is returned.
        """
        return self._run(x, lengths, state, return_states, None, tape)

    @property
    def is_plain(self) -> bool:
        """Whether nothing would be bypassed by a way around the forward method."""
        hooks = self._forward_hooks or self._forward_pre_hooks
        hooks = hooks or self._backward_hooks or self._backward_pre_hooks
        is_ours = type(self).forward is SequenceNetwork.forward
        return is_ours and "forward" not in vars(self) and not hooks

    def _run(
        self,
        x: Tensor,
        lengths: Any,
        state: Any,
        return_states: bool | str,
        prepared: PreparedNetwork | None,
        tape: Tape | None = None,
    ) -> tuple[Any, ...]:
        """Check a batch and run it, with the prepared weights if there are any."""
        if return_states not in (False, True, "heads"):
            raise ValueError(
                f"return_states={return_states!r} is not known; use False, True or 'heads'"
            )
        traces = (
            "heads" if return_states == "heads" else "states" if return_states else None
        )
        check_inputs(x, self.n_inputs, next(self.cell.controller.parameters()))
        lengths = check_lengths(lengths, x)
        if isinstance(state, Directions) and self.reverse is not None:
            return self._run_from(state, x, lengths, traces, tape)
        if state is not None:
            if self.reverse is not None:
                raise ValueError(
                    "a bidirectional network reads whole sequences, so it cannot start "
                    "from a state; leave state out or use bidirectional=False"
                )
            check_state(state, self.initial_state(1), len(x))
            if isinstance(self.cell, MemoryCell):
                self.cell.memory.check_state(state.memory)
        if self.patch_size > 1:
            x, lengths = to_patches(x, lengths, self.patch_size)
        outputs, state, trace = self._run_forward(x, lengths, state, traces, prepared, tape)
        if self.reverse is not None:
            run: Any = self.reverse if prepared is None else prepared.reverse
            if tape is not None:
                run = partial(self.reverse.run_on_tape, tape)
            backward = run(reverse_steps(x, lengths), lengths)[0]
            outputs = outputs + reverse_steps(backward, lengths)
        if self.pooling is not None:
            outputs = self._pool(outputs, lengths, in_double=prepared is not None)
        return (outputs, state, trace) if return_states else (outputs, state)

    def _run_from(
        self,
        states: Directions,
        x: Tensor,
        lengths: Tensor,
        traces: str | None,
        tape: Tape | None,
    ) -> tuple[Any, ...]:
        """Run both directions of a checked batch from states, such as those in training."""
        assert self.reverse is not None
        for state in states:
            check_state(state, self.initial_state(1), len(x))
        if self.patch_size > 1:
            x, lengths = to_patches(x, lengths, self.patch_size)
        outputs, *forward = self._run_forward(
            x, lengths, states.forward, traces, None, tape
        )
        backward, *reverse = self.reverse._run_forward(
            reverse_steps(x, lengths), lengths, states.reverse, traces, None, tape
        )
        outputs = outputs + reverse_steps(backward, lengths)
        if self.pooling is not None:
            outputs = self._pool(outputs, lengths, in_double=False)
        state, trace = map(Directions, forward, reverse)
        return (outputs, state, trace) if traces else (outputs, state)

    def _run_forward(
        self,
        x: Tensor,
        lengths: Tensor,
        state: Any,
        traces: str | None,
        prepared: PreparedNetwork | None,
        tape: Tape | None,
    ) -> tuple[Tensor, Any, Trace | None]:
        """Run cell and readout over a checked batch."""
        backend = self.backend_for(x) if prepared is None else prepared.backend
        if traces is not None and not self.has_memory:
            backend = "reference"  # such a trace is only to be looked at
        if backend != "fused":
            return self._run_reference(x, lengths, state, traces)
        if state is None and type(self).initial_state is not SequenceNetwork.initial_state:
            state = self.initial_state(len(x))
        return run_fused(
            self.cell,
            self.readout,
            x,
            lengths,
            state,
            traces=traces,
            laid_out=None if prepared is None else prepared.laid_out,
            tape=tape,
        )

    def _pool(self, outputs: Tensor, lengths: Tensor, *, in_double: bool) -> Tensor:
        """Return the outputs of whole sequences.

        In double precision they do not depend on the rest of the batch, beyond rounding.
        """
        assert self.pooling is not None
        if in_double:
            outputs = outputs.double()
        pooled = pool(outputs, lengths, self.pooling)
        if self.head is None:
            return pooled
        weight, bias = (p.to(pooled.dtype) for p in (self.head.weight, self.head.bias))
        return nn.functional.linear(pooled, weight, bias)

    @property
    def has_memory(self) -> bool:
        """Whether there is a memory besides the controller."""
        return isinstance(self.cell, MemoryCell)

    def penalty(self, trace: Trace) -> Tensor:
        """Return the penalty on the heads that is added to the loss, of shape (batch,).

        Parameters
        ----------
        trace : Trace
            As :meth:`forward` of a network with a memory returns it, with or without the
            bulky part.

        Raises
        ------
        ValueError
            If there is no memory (see :attr:`has_memory`).
        """
        if not isinstance(self.cell, MemoryCell):
            raise ValueError("memory=None has no heads, so there is no penalty on them")
        if isinstance(trace, Directions):
            trace = trace.forward
        return self.cell.memory.penalty(self.cell.memory_trace(trace))

    @property
    def has_auxiliary_loss(self) -> bool:
        """Whether :meth:`auxiliary_loss` belongs to the loss in training."""
        return isinstance(self.cell, MemoryCell) and self.cell.memory.has_auxiliary_loss

    def auxiliary_loss(self, trace: Any, log_likelihood: Tensor) -> Tensor:
        """Return what the memory adds to each sequence's loss in training, in nats.

        Parameters
        ----------
        trace : Trace
            As :meth:`forward` returns it from a :meth:`training_state`, of both directions
            if there are two, with or without the bulky part.
        log_likelihood : Tensor of shape (batch,)
            Minus the loss of each sequence, without a gradient.

        Returns
        -------
        loss : Tensor of shape (batch,)

        Raises
        ------
        ValueError
            If there is none (see :attr:`has_auxiliary_loss`).
        """
        if not (isinstance(self.cell, MemoryCell) and self.has_auxiliary_loss):
            raise ValueError("the memory of this network has no auxiliary loss")
        if isinstance(trace, Directions):
            assert self.reverse is not None
            reverse = self.reverse.auxiliary_loss(trace.reverse, log_likelihood)
            return self.auxiliary_loss(trace.forward, log_likelihood) + reverse
        memory = self.cell.memory
        return memory.auxiliary_loss(self.cell.memory_trace(trace), log_likelihood)

    def weightings(self, trace: Trace) -> dict[str, Tensor]:
        """Return the weightings that the memory has to show, such as "read head 0".

        Parameters
        ----------
        trace : Trace
            As :meth:`forward` returns it, with or without the bulky part.

        Returns
        -------
        weightings : dict of str to Tensor of shape (batch, n_timesteps, n_rows)
            See :meth:`sknt.memories.Memory.weightings`; empty without a memory.
        """
        if not isinstance(self.cell, MemoryCell):
            return {}
        return self.cell.memory.weightings(self.cell.memory_trace(trace))

    def backend_for(self, x: Tensor) -> str:
        """Return which path serves a batch, "fused" or "reference".

        Parameters
        ----------
        x : Tensor of shape (batch, n_timesteps, n_inputs)

        Raises
        ------
        ValueError
            If ``backend="fused"`` and the kernels cannot take the batch.
        """
        if self.backend == "reference" or torch.compiler.is_exporting():
            return "reference"
        structure = structure_of(self.cell, self.readout)
        reason = structure.why_unsupported() or structure.why_unsuitable(x)
        if reason and self.backend == "fused":
            raise ValueError(f"backend='fused' cannot serve: {reason}; use backend='auto'")
        if reason:
            return "reference"
        if reason := missing():
            warn_that_missing(reason)
            return "reference"
        return "fused"

    def _run_reference(
        self, x: Tensor, lengths: Tensor, state: Any, traces: str | None
    ) -> tuple[Tensor, Any, Trace | None]:
        if torch.compiler.is_exporting():
            return self._run_exported(x, lengths, state, traces)
        # Sequences that are already sorted, such as a single one, need no reordering.
        is_sorted = bool((lengths[1:] <= lengths[:-1]).all())
        packed = pack_padded_sequence(x, lengths, True, enforce_sorted=is_sorted)
        if state is None:
            state = self.initial_state(len(x))
        trace = None
        if isinstance(self.cell, ControllerCell) and traces is None:
            features, state = self.cell.controller.run(packed, state)
        else:
            features, state, trace = unroll(
                self.cell,
                packed,
                state,
                traces=traces,
                n_timesteps=x.shape[1],
            )
        outputs, _ = pad_packed_sequence(
            features._replace(data=self.readout(features.data)),
            batch_first=True,
            total_length=x.shape[1],
        )
        return outputs, state, trace

    def _run_open(
        self, x: Tensor, lengths: Any, state: Any, return_states: bool | str
    ) -> tuple[Any, ...]:
        """Run a batch whose lengths are open; outputs are NaN where they are impossible."""
        lengths, n_steps = check_lengths(lengths, x), x.shape[1]
        results = self._run(x, lengths.clamp(1, n_steps), state, return_states, None)
        return refuse_lengths(results[0], lengths, n_steps), *results[1:]

    def _run_exported(
        self, x: Tensor, lengths: Tensor, state: Any, traces: str | None
    ) -> tuple[Tensor, Any, Trace | None]:
        if state is None:
            state = self.initial_state(x.shape[0])
        features, state, trace = scan_steps(self.cell, x, lengths, state, traces=traces)
        present = step_mask(lengths, x.shape[1]).to(x.device)
        return torch.where(present, self.readout(features), 0), state, trace


def _check_patch_size(patch_size: Any, pooling: str | None) -> int:
    """Check how steps are taken in and outputs are read."""
    if pooling is not None and pooling not in POOLINGS:
        raise ValueError(
            f"pooling={pooling!r} is not known; choose from {sorted(POOLINGS)} or None"
        )
    is_integer = isinstance(patch_size, Integral) and not isinstance(patch_size, bool)
    if not is_integer or int(patch_size) < 1:
        raise ValueError(f"patch_size={patch_size!r} is not a positive integer")
    if patch_size > 1 and pooling is None:
        raise ValueError(
            f"patch_size={patch_size} needs pooling: with an output for every step, it "
            "would depend on later steps of its patch; use patch_size=1 or a pooling"
        )
    return int(patch_size)


def _make_linear(n_inputs: int, n_outputs: int) -> nn.Linear:
    layer = nn.Linear(n_inputs, n_outputs)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.normal_(layer.bias, std=0.01)
    return layer
