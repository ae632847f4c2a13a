"""Memories that share nothing with the NTM except the contract."""

from typing import NamedTuple

import torch
from torch import nn

from sknt.memories import Memory


class Register(NamedTuple):
    cells: torch.Tensor  # (batch, memory_size, word_size)
    clock: torch.Tensor  # (batch,), integers: how many words there were


class Order(NamedTuple):
    word: torch.Tensor  # (batch, word_size)
    look: torch.Tensor  # (batch, n_read_heads, memory_size)


class ShiftRegister(Memory):
    """Only what a memory must define: each word moves the others on by one cell."""

    def __init__(
        self,
        controller_size,
        memory_size,
        word_size,
        n_read_heads,
        n_write_heads,
        *,
        decay=1.0,
    ):
        super().__init__()
        self.n_read_heads, self.word_size, self.decay = n_read_heads, word_size, decay
        self.speak = nn.Linear(controller_size, word_size)
        self.attend = nn.Linear(controller_size, n_read_heads * memory_size)
        self.blank = nn.Parameter(torch.randn(memory_size, word_size))

    def initial_state(self, batch_size):
        clock = torch.zeros(batch_size, dtype=torch.int64, device=self.blank.device)
        return Register(self.blank.expand(batch_size, -1, -1), clock)

    def interface(self, hidden):
        look = self.attend(hidden).unflatten(-1, (self.n_read_heads, -1))
        return Order(torch.tanh(self.speak(hidden)), look.softmax(-1))

    def step(self, interface, state):
        cells = self.decay * state.cells[:, :-1]
        cells = torch.cat([interface.word.unsqueeze(1), cells], dim=1)
        return interface.look @ cells, Register(cells, state.clock + 1)


class Pile(NamedTuple):
    sheets: torch.Tensor  # (batch, memory_size, word_size)
    top: torch.Tensor  # (batch, memory_size), where the pile ends


class Deed(NamedTuple):
    push: torch.Tensor  # (batch, 1), in [0, 1]; otherwise the pile's top moves back
    sheet: torch.Tensor  # (batch, word_size)


class Stack(Memory):
    """Everything that a memory can define, with names of its own."""

    bulky = ("sheets",)

    def __init__(
        self, controller_size, memory_size, word_size, n_read_heads, n_write_heads
    ):
        super().__init__()
        self.n_read_heads, self.word_size = n_read_heads, word_size
        self.control = nn.Linear(controller_size, 1 + word_size)
        self.floor = nn.Parameter(torch.randn(memory_size, word_size))

    def initial_state(self, batch_size):
        top = torch.zeros_like(self.floor[:, 0])
        top[0] = 1
        floor = self.floor.expand(batch_size, -1, -1)
        return Pile(floor, top.expand(batch_size, -1))

    def interface(self, hidden):
        push, sheet = self.control(hidden).split([1, self.word_size], dim=-1)
        return Deed(torch.sigmoid(push), torch.tanh(sheet))

    def step(self, interface, state):
        push = interface.push
        top = push * state.top.roll(1, -1) + (1 - push) * state.top.roll(-1, -1)
        place = (push * top).unsqueeze(-1)
        sheets = state.sheets + place * (interface.sheet.unsqueeze(1) - state.sheets)
        reads = (top.unsqueeze(1) @ sheets).expand(-1, self.n_read_heads, -1)
        return reads, Pile(sheets, top)

    def weightings(self, trace):
        return {"top of the pile": trace.states.top, "read head 0": trace.states.top}

    def parts(self):
        places = {"push": slice(0, 1), "sheet": slice(1, None)}
        return {
            name: {"control.weight": rows, "control.bias": rows}
            for name, rows in places.items()
        }

    def penalty(self, trace):
        return 0.1 * trace.interfaces.push.flatten(1).sum(1)


FOREIGN = {"shift register": ShiftRegister, "stack": Stack}
