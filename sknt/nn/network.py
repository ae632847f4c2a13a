"""The whole network: sequences in, an output for every step out."""

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from sknt.memories import make_memory
from sknt.nn.cell import ControllerCell, MemoryCell
from sknt.nn.controllers import make_controller
from sknt.nn.fused import missing, run_fused, unsuitable, unsupported, warn_that_missing
from sknt.nn.unroll import Trace, unroll

BACKENDS = ("auto", "fused", "reference")
"""How sequences can be run."""


class SequenceNetwork(nn.Module):
    r"""A controller with an external memory, over sequences of unequal length.

    .. math::

        h_t &= \mathrm{controller}([x_t ; r_{t-1}]) \\
        r_t &= \mathrm{memory}(h_t) \\
        y_t &= W [h_t ; r_t] + b

    Parameters
    ----------
    n_inputs : int
        Number of features of a step.
    n_outputs : int
        Number of outputs of a step.
    memory : {"ntm"} or None, default="ntm"
        Kind of memory; None is the bare controller.
    memory_size : int, default=128
        Number of memory rows N.
    word_size : int, default=20
        Width W of a memory row.
    n_read_heads, n_write_heads : int, default=1
        Number of heads.
    controller : {"lstm", "gru", "feedforward"}, default="lstm"
        Kind of controller; feed-forward layers are of tanh units.
    hidden_size : int, default=100
        Number of units H of a controller's layer.
    n_layers : int, default=1
        Number of the controller's layers.
    memory_params : mapping or None, default=None
        Options of the memory alone, for the NTM ``shift_range``, ``memory_init`` and
        ``interface_clip`` (see :class:`sknt.memories.NTMMemory`).
    backend : {"auto", "fused", "reference"}, default="auto"
        How sequences are run: "reference" is step by step with torch's operations,
        "fused" in compiled kernels, many times faster and with the same results but for
        rounding; "auto" takes the kernels wherever there are some (an NTM on a CPU, with
        numba installed). Gradients of gradients need "reference".

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
        backend: str = "auto",
    ):
        super().__init__()
        n_inputs = _positive_integer("n_inputs", n_inputs)
        n_outputs = _positive_integer("n_outputs", n_outputs)
        memory_size = _positive_integer("memory_size", memory_size)
        word_size = _positive_integer("word_size", word_size)
        n_read_heads = _positive_integer("n_read_heads", n_read_heads)
        n_write_heads = _positive_integer("n_write_heads", n_write_heads)
        hidden_size = _positive_integer("hidden_size", hidden_size)
        n_layers = _positive_integer("n_layers", n_layers)

        self.n_inputs = n_inputs
        self.cell: MemoryCell | ControllerCell
        if memory is None:
            if memory_params:
                raise ValueError(
                    f"memory_params={dict(memory_params)!r} has no meaning with "
                    "memory=None; leave it out or choose a memory"
                )
            n_features = hidden_size
            self.cell = ControllerCell(
                make_controller(controller, n_inputs, hidden_size, n_layers)
            )
        else:
            n_read = n_read_heads * word_size
            n_features = hidden_size + n_read
            self.cell = MemoryCell(
                make_controller(controller, n_inputs + n_read, hidden_size, n_layers),
                make_memory(
                    memory,
                    hidden_size,
                    memory_size,
                    word_size,
                    n_read_heads,
                    n_write_heads,
                    memory_params=memory_params,
                ),
            )
        self.readout = nn.Linear(n_features, n_outputs)
        nn.init.xavier_uniform_(self.readout.weight)
        nn.init.normal_(self.readout.bias, std=0.01)

        self.backend = backend
        if backend not in BACKENDS:
            raise ValueError(
                f"backend={backend!r} is not known; choose from {sorted(BACKENDS)}"
            )
        if backend == "fused":
            if reason := unsupported(self.cell, self.readout):
                raise ValueError(f"backend='fused' cannot serve: {reason}; use 'auto'")
            if reason := missing():
                raise ImportError(f"backend='fused' cannot serve: {reason}; use 'auto'")

    def initial_state(self, batch_size: int) -> Any:
        """Return the learned state before the first step, one copy a sequence."""
        return self.cell.initial_state(batch_size)

    def forward(
        self,
        x: Tensor,
        lengths: Tensor | None = None,
        state: Any = None,
        return_states: bool | str = False,
    ) -> tuple[Any, ...]:
        """Run the network over a batch of sequences.

        Parameters
        ----------
        x : Tensor of shape (batch, n_timesteps, n_inputs)
            Sequences, each from step 0 on. What lies after a sequence's end is not read.
        lengths : Tensor of shape (batch,) or None, default=None
            Number of steps of each sequence, at least 1; None: all of them.
        state : nested NamedTuple or None, default=None
            State to start from, as returned by an earlier call; None: the learned one.
        return_states : bool or "heads", default=False
            Whether to return the trace as well; "heads" leaves the memories out of it,
            much the largest part: they have 0 rows then.

        Returns
        -------
        outputs : Tensor of shape (batch, n_timesteps, n_outputs)
            Zeros after a sequence's end.
        state : nested NamedTuple
            State after each sequence's last step.
        trace : Trace
            Only with ``return_states``: the states and interfaces of every step.

        Raises
        ------
        ValueError
            If the shape of x or the lengths do not fit, or return_states is not known.
        """
        if return_states not in (False, True, "heads"):
            raise ValueError(
                f"return_states={return_states!r} is not known; use False, True or 'heads'"
            )
        traces = (
            "heads" if return_states == "heads" else "states" if return_states else None
        )
        lengths = self._check_lengths(x, lengths)
        if state is not None:
            _check_batch_size(state, len(x))
        trace: Trace | None
        if self.backend_for(x) == "fused":
            outputs, state, trace = run_fused(
                self.cell, self.readout, x, lengths, state, traces=traces
            )
        else:
            outputs, state, trace = self._run_reference(x, lengths, state, traces)
        return (outputs, state, trace) if return_states else (outputs, state)

    @property
    def has_memory(self) -> bool:
        """Whether there is a memory beside the controller."""
        return isinstance(self.cell, MemoryCell)

    def penalty(self, trace: Trace) -> Tensor:
        """Return what the heads' effort adds to the loss, of shape (batch,).

        Parameters
        ----------
        trace : Trace
            As :meth:`forward` of a network with a memory returns it, with the memories or
            without.
        """
        cell: Any = self.cell
        return cell.memory.penalty(trace.interfaces)

    def backend_for(self, x: Tensor) -> str:
        """Return which path serves a batch, "fused" or "reference".

        Raises
        ------
        ValueError
            If ``backend="fused"`` and the kernels cannot take the batch.
        """
        if self.backend == "reference":
            return "reference"
        reason = unsupported(self.cell, self.readout) or unsuitable(
            self.cell, self.readout, x
        )
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
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
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

    def _check_lengths(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        if x.ndim != 3 or x.shape[-1] != self.n_inputs or 0 in x.shape:
            raise ValueError(
                f"x has shape {tuple(x.shape)}; expected "
                f"(batch, n_timesteps, n_inputs={self.n_inputs}), none of them 0"
            )
        if lengths is None:
            lengths = torch.full((len(x),), x.shape[1])
        lengths = torch.as_tensor(lengths).cpu()
        if lengths.shape != (len(x),) or lengths.is_floating_point():
            raise ValueError(
                f"lengths has shape {tuple(lengths.shape)} and dtype {lengths.dtype}; "
                f"expected ({len(x)},), one integer for each sequence of x"
            )
        if lengths.min() < 1 or lengths.max() > x.shape[1]:
            raise ValueError(
                f"lengths are from {lengths.min()} to {lengths.max()}; "
                f"x has {x.shape[1]} steps, so use 1 to {x.shape[1]}"
            )
        return lengths


def _check_batch_size(state: Any, batch_size: int) -> None:
    if not isinstance(state, Tensor):
        for part in state:
            _check_batch_size(part, batch_size)
    elif len(state) != batch_size:
        raise ValueError(
            f"state is of {len(state)} sequences, but x has {batch_size}; give the state "
            "of the same sequences, or None to start anew"
        )


def _positive_integer(name: str, size: Any) -> int:
    """Return a size as torch's layers take it: they refuse the integers of NumPy."""
    if not isinstance(size, Integral) or isinstance(size, bool) or size < 1:
        raise ValueError(f"{name}={size!r} is not a positive integer")
    return int(size)
