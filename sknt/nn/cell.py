"""One time step of a network: controller, interface and memory together."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sknt.memories import Memory, Trace
from sknt.nn.controllers import initialize_for_memory
from sknt.nn.unroll import map_state


class CellState(NamedTuple):
    """What a memory cell carries from step to step."""

    controller: Any  # the controller's NamedTuple
    reads: Tensor  # what the heads read last, (batch, n_read_heads, word_size)
    memory: Any  # the memory's NamedTuple


class Known:
    """What was found out about a cell, for as long as it holds; copies know nothing yet."""

    structure: Any = None

    def __reduce__(self) -> tuple[type["Known"], tuple[()]]:
        """Leave all of it out of copies and files."""
        return Known, ()


class NoInterface(NamedTuple):
    """The interface of a cell without a memory."""


class MemoryCell(nn.Module):
    """A controller that reads and writes a memory.

    Parameters
    ----------
    controller : Module
        Takes ``[x_t ; r_{t-1}]``, the inputs and the last reads.
    memory : Memory
    """

    def __init__(self, controller: Any, memory: Memory):
        super().__init__()
        self.controller: Any = controller
        self.memory = memory
        self.initial_reads = nn.Parameter(
            torch.zeros(memory.n_read_heads, memory.word_size)
        )
        initialize_for_memory(controller)
        self.known = Known()

    def initial_state(self, batch_size: int) -> CellState:
        """Return the learned state before the first step, one copy per sequence."""
        return CellState(
            self.controller.initial_state(batch_size),
            self.initial_reads.expand(batch_size, -1, -1),
            map_state(self._convert, self.memory.initial_state(batch_size)),
        )

    def training_state(self, batch_size: int, seed: int, n_updates: int) -> CellState:
        """Return the state before the first step of a batch in training."""
        memory = self.memory.training_state(batch_size, seed, n_updates)
        first = self.initial_state(batch_size)
        return first._replace(memory=map_state(self._convert, memory))

    def _convert(self, part: Tensor) -> Tensor:
        """Give a part of a memory's state the device of the parameters, and their dtype."""
        like = self.initial_reads
        dtype = like.dtype if part.is_floating_point() else part.dtype
        if part.dtype == dtype and part.device == like.device:
            return part
        return part.to(like.device, dtype)

    def step(self, inputs: Tensor, state: CellState) -> tuple[Tensor, CellState, Any]:
        """Advance one step, in as many hops as the memory asks for.

        Parameters
        ----------
        inputs : Tensor of shape (batch, n_inputs)
        state : CellState

        Returns
        -------
        features : Tensor of shape (batch, hidden_size + n_read_heads * word_size)
            ``[h_t ; r_t]``, from which the output is read.
        state : CellState
        interface : NamedTuple
            The controller's output as the memory takes it, in the last hop.
        """
        for _ in range(self.memory.n_hops - 1):
            _, state, _ = self._hop(inputs, state)
        return self._hop(inputs, state)

    def _hop(self, inputs: Tensor, state: CellState) -> tuple[Tensor, CellState, Any]:
        """Run the controller and then the memory once."""
        hidden, controller_state = self.controller.step(
            torch.cat([inputs, state.reads.flatten(1)], dim=-1), state.controller
        )
        seen = (hidden, inputs) if self.memory.uses_inputs else (hidden,)
        interface = self.memory.interface(*seen)
        reads, memory_state = self.memory.step(interface, state.memory)
        features = torch.cat([hidden, reads.flatten(1)], dim=-1)
        return features, CellState(controller_state, reads, memory_state), interface

    def slim(self, state: CellState) -> CellState:
        """Leave out the memory's bulky fields, by far the largest part of a state."""
        return state._replace(memory=self.memory.slim(state.memory))

    @staticmethod
    def memory_trace(trace: Trace) -> Trace:
        """Return the memory's own part of a trace of the cell."""
        return Trace(trace.states.memory, trace.interfaces)


class ControllerCell(nn.Module):
    """The bare controller, the baseline for every memory.

    Parameters
    ----------
    controller : Module
        Takes ``x_t``.
    """

    def __init__(self, controller: Any):
        super().__init__()
        self.controller: Any = controller
        self.known = Known()

    def initial_state(self, batch_size: int) -> Any:
        """Return the controller's state before the first step."""
        return self.controller.initial_state(batch_size)

    def step(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any, NoInterface]:
        """Advance one step: features are the controller's output."""
        hidden, state = self.controller.step(inputs, state)
        return hidden, state, NoInterface()

    def slim(self, state: Any) -> Any:
        """Return the state as it is: it has no memory."""
        return state
