"""The contract of a memory.

A memory maps what a controller says to what it reads, and carries a state from step to
step. Everything it is told in a step (its interface) and everything it remembers (its
state) is a NamedTuple of batch-first tensors: stacked over the steps, they are the trace.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class Memory(nn.Module):
    """Base class of the memories: what a cell, a trace and the checks rely on.

    A subclass takes ``(controller_size, memory_size, word_size, n_read_heads,
    n_write_heads)`` and, by keyword, options of its own, which become the keys of
    ``memory_params``. Nothing is assigned to ``self`` after ``__init__``.

    Attributes
    ----------
    n_read_heads, word_size : int
        A step reads ``n_read_heads`` vectors of ``word_size`` numbers.
    """

    n_read_heads: int
    word_size: int

    def initial_state(self, batch_size: int) -> NamedTuple:
        """State before the first step, one row a sequence."""
        raise NotImplementedError

    def interface(self, hidden: Tensor) -> NamedTuple:
        """Gates, keys and vectors of all heads, from the controller's output.

        Parameters
        ----------
        hidden : Tensor of shape (batch, controller_size)
        """
        raise NotImplementedError

    def step(self, interface: Any, state: Any) -> tuple[Tensor, NamedTuple]:
        """Address, read and write once.

        Returns
        -------
        reads : Tensor of shape (batch, n_read_heads, word_size)
        state : NamedTuple
            The new state; the one given is not changed.
        """
        raise NotImplementedError

    def penalty(self, interfaces: Any) -> Tensor:
        """Nats that the heads' effort adds to the loss while a task is consolidated.

        Parameters
        ----------
        interfaces : NamedTuple
            As :meth:`interface` gives them, but of shape (batch, n_timesteps, ...): those
            of a trace, 0 after a sequence's end.

        Returns
        -------
        penalty : Tensor of shape (batch,)
            Summed over the steps. Of a memory that knows none it is 0.
        """
        return torch.zeros(len(interfaces[0]), device=interfaces[0].device)
