"""The contract of a memory.

A memory maps the controller's output to what it reads, and carries a state from step to
step. What it receives in a step (its interface) and what it remembers (its state) are
NamedTuples of batch-first tensors. Stacked over the steps, they are the trace.
"""

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn


class Trace(NamedTuple):
    """What happened at every step, stacked over the steps and differentiable.

    Every tensor is of shape (batch, n_timesteps, ...), with zeros after a sequence's end.
    """

    states: Any  # the states of a cell, or of its memory alone, after each step
    interfaces: Any  # what the memory received from the controller in each step


class Memory(nn.Module):
    """Base class of the memories: what networks, traces and checks rely on.

    A subclass takes ``(controller_size, memory_size, word_size, n_read_heads,
    n_write_heads)`` and, by keyword, options of its own, which become the keys of
    ``memory_params``. It has to define :meth:`initial_state`, :meth:`interface` and
    :meth:`step`; the rest has defaults that work for any memory. Nothing is assigned to
    ``self`` after ``__init__``: everything that changes from step to step is in the state.

    Attributes
    ----------
    n_read_heads, word_size : int
        A step reads ``n_read_heads`` vectors of ``word_size`` numbers. The subclass sets
        both to the values given to it.
    bulky : tuple of str
        Fields of the state that are large. A trace of the heads (``return_states="heads"``)
        leaves them out, and so does training while a penalty is on. Each has a second axis
        besides the batch. Empty by default.
    uses_inputs : bool
        Whether the memory sees the inputs of a step besides the controller's output. Its
        constructor then takes the keyword ``n_inputs``, their number, and
        :meth:`interface` takes them as a second argument. False by default.
    n_hops : int
        How often the network takes each step, with the same inputs. Outputs, states and
        traces of a step are those after the last time. 1 by default.
    has_auxiliary_loss : bool
        Whether :meth:`auxiliary_loss` is added to the loss in training. False by default.
    kernel : str or None
        The module with the memory's compiled kernel (see :mod:`sknt.kernels.contract`);
        None, if there is none. A subclass does not inherit it.
    interface_type : type or None
        With a kernel: the NamedTuple that :meth:`interface` returns.
    """

    n_read_heads: int
    word_size: int
    kernel: ClassVar[str | None] = None
    interface_type: ClassVar[Any] = None
    bulky: ClassVar[tuple[str, ...]] = ()
    uses_inputs: ClassVar[bool] = False
    n_hops: int = 1
    has_auxiliary_loss: bool = False

    def initial_state(self, batch_size: int) -> Any:
        """Return the state before the first step, one row per sequence.

        Returns
        -------
        state : NamedTuple of Tensor
            Each of shape (batch_size, ...), of any dtype, and the same for each sequence.
        """
        raise NotImplementedError

    def training_state(self, batch_size: int, seed: int, n_updates: int) -> Any:
        """Return the state before the first step of a batch in training.

        A memory that makes random choices in training keeps the key of a counter-based
        generator in its state, as whole numbers below 2**24, which single precision holds
        exactly. A step is then a function of interface and state alone. Torch's own
        generators are not used.

        Parameters
        ----------
        batch_size : int
        seed : int
            Of this batch's choices, at least 0: another one in each update.
        n_updates : int
            Updates of the weights so far.

        Returns
        -------
        state : NamedTuple of Tensor
            As :meth:`initial_state` returns it, which is the default.
        """
        return self.initial_state(batch_size)

    def interface(self, hidden: Tensor) -> Any:
        """Return the keys, gates and vectors of all heads, from the controller's output.

        Parameters
        ----------
        hidden : Tensor of shape (batch, controller_size)
        inputs : Tensor of shape (batch, n_inputs)
            The step's inputs: a second argument with ``uses_inputs``, and none without.

        Returns
        -------
        interface : NamedTuple of Tensor
            Each of shape (batch, ...).
        """
        raise NotImplementedError

    def step(self, interface: Any, state: Any) -> tuple[Tensor, Any]:
        """Address, read and write once.

        Returns
        -------
        reads : Tensor of shape (batch, n_read_heads, word_size)
        state : NamedTuple of Tensor
            The new state, with the types, shapes and dtypes of the one given, which is not
            changed. No sequence's part depends on another sequence.
        """
        raise NotImplementedError

    def check_state(self, state: Any) -> None:
        """Refuse a state that no step returns, though its shapes are right.

        It is called with states that are given to a network. By default, all are accepted;
        a memory whose state has numbers of rows must see to it that there are such rows.

        Raises
        ------
        ValueError
            Names the field, and what it should hold.
        """

    def slim(self, state: Any) -> Any:
        """Leave the bulky fields out of a state: their second axis then has length 0."""
        fields = {name: getattr(state, name) for name in self.bulky}
        # New tensors: a view would keep the whole field alive.
        empty = {
            name: field.new_zeros(len(field), 0, *field.shape[2:])
            for name, field in fields.items()
        }
        return state._replace(**empty)

    def weightings(self, trace: Trace) -> dict[str, Tensor]:
        """Return the weightings over the memory's rows that are worth showing, by name.

        Parameters
        ----------
        trace : Trace
            Of this memory's own states and interfaces; the bulky fields may be left out.

        Returns
        -------
        weightings : dict of str to Tensor of shape (batch, n_timesteps, n_rows)
            Those of heads are called "write head 0", "read head 0" and so on in every
            memory, and are shown first, write heads before read heads. The others follow
            in their own order. Empty by default: there is nothing to show.
        """
        return {}

    def parts(self) -> dict[str, dict[str, slice]]:
        """Name parts of the parameters, so that gradients can be attributed to them.

        Returns
        -------
        parts : dict of str to dict of str to slice
            For each part's name, such as "read head 0: gate", its rows of parameters, by
            the parameters' names in this module: ``{"projection.weight": slice(9),
            "projection.bias": slice(9)}``. No row is in two parts. Parameters or rows in no
            part go by the parameter's own name; by default, this is all of them.
        """
        return {}

    def penalty(self, trace: Trace) -> Tensor:
        """Return the penalty on the heads, in nats, added to the loss in a consolidation.

        Parameters
        ----------
        trace : Trace
            Of this memory's own states, without the bulky fields, and interfaces. They are
            all 0 after a sequence's end, where the penalty has to be 0 as well.

        Returns
        -------
        penalty : Tensor of shape (batch,)
            Summed over the steps; 0 by default.
        """
        first = next(_tensors(trace))
        return torch.zeros(len(first), device=first.device)

    def auxiliary_loss(self, trace: Trace, log_likelihood: Tensor) -> Tensor:
        """Return what is added to each sequence's loss in training, in nats.

        It is called once in an update, with ``has_auxiliary_loss`` alone. Running
        statistics that it keeps are buffers.

        Parameters
        ----------
        trace : Trace
            Of this memory's own states, without the bulky fields, and interfaces, from a
            :meth:`training_state` on. They are all 0 after a sequence's end.
        log_likelihood : Tensor of shape (batch,)
            Minus the loss of each sequence, without a gradient.

        Returns
        -------
        loss : Tensor of shape (batch,)
        """
        raise NotImplementedError


def _tensors(tree: Any) -> Iterator[Tensor]:
    """Yield the tensors of nested NamedTuples."""
    if isinstance(tree, Tensor):
        yield tree
    else:
        for part in tree:
            yield from _tensors(part)
