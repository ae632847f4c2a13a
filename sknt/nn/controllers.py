"""Controllers: the recurrent or feed-forward networks that drive a memory.

Each is built from torch's own layers, so that the weights of a ``torch.nn.LSTM`` or
``torch.nn.GRU`` can be loaded as they are. States are batch-first NamedTuples of shape
(batch, n_layers, hidden_size), and the state before the first step is learned.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence


class LSTMState(NamedTuple):
    """Hidden and cell state, each of shape (batch, n_layers, hidden_size)."""

    hidden: Tensor
    cell: Tensor


class GRUState(NamedTuple):
    """Hidden state of shape (batch, n_layers, hidden_size)."""

    hidden: Tensor


class NoState(NamedTuple):
    """The state of a controller that remembers nothing."""


def _layer_first(state: Tensor) -> Tensor:
    return state.transpose(0, 1).contiguous()


def _batch_first(state: Tensor) -> Tensor:
    return state.transpose(0, 1)


class LSTMController(nn.LSTM):
    """Long short-term memory with a learned initial state.

    Parameters
    ----------
    input_size, hidden_size, n_layers : int
    """

    def __init__(self, input_size: int, hidden_size: int, n_layers: int = 1):
        super().__init__(input_size, hidden_size, n_layers)
        self.initial_hidden = nn.Parameter(torch.zeros(n_layers, hidden_size))
        self.initial_cell = nn.Parameter(torch.zeros(n_layers, hidden_size))

    def initial_state(self, batch_size: int) -> LSTMState:
        """Return the learned h_0 and c_0, one copy per sequence."""
        return LSTMState(
            self.initial_hidden.expand(batch_size, -1, -1),
            self.initial_cell.expand(batch_size, -1, -1),
        )

    def step(self, inputs: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        """Advance one step: inputs (batch, input_size) -> output (batch, hidden_size)."""
        hiddens, cells = [], []
        for layer in range(self.num_layers):
            weight_ih, weight_hh, bias_ih, bias_hh = self.all_weights[layer]
            gates = F.linear(inputs, weight_ih, bias_ih) + F.linear(
                state.hidden[:, layer], weight_hh, bias_hh
            )
            write, keep, candidate, output = gates.chunk(4, dim=-1)
            cell = torch.sigmoid(keep) * state.cell[:, layer]
            cell = torch.addcmul(cell, torch.sigmoid(write), torch.tanh(candidate))
            inputs = torch.sigmoid(output) * torch.tanh(cell)
            hiddens.append(inputs)
            cells.append(cell)
        return inputs, LSTMState(torch.stack(hiddens, 1), torch.stack(cells, 1))

    def run(
        self, packed: PackedSequence, state: LSTMState
    ) -> tuple[PackedSequence, LSTMState]:
        """Advance through whole sequences in one call of torch's own LSTM."""
        initial = (_layer_first(state.hidden), _layer_first(state.cell))
        outputs, final = self.forward(packed, initial)
        return outputs, LSTMState(*map(_batch_first, final))


class GRUController(nn.GRU):
    """Gated recurrent unit with a learned initial state.

    Parameters
    ----------
    input_size, hidden_size, n_layers : int
    """

    def __init__(self, input_size: int, hidden_size: int, n_layers: int = 1):
        super().__init__(input_size, hidden_size, n_layers)
        self.initial_hidden = nn.Parameter(torch.zeros(n_layers, hidden_size))

    def initial_state(self, batch_size: int) -> GRUState:
        """Return the learned h_0, one copy per sequence."""
        return GRUState(self.initial_hidden.expand(batch_size, -1, -1))

    def step(self, inputs: Tensor, state: GRUState) -> tuple[Tensor, GRUState]:
        """Advance one step: inputs (batch, input_size) -> output (batch, hidden_size)."""
        hiddens = []
        for layer in range(self.num_layers):
            weight_ih, weight_hh, bias_ih, bias_hh = self.all_weights[layer]
            hidden = state.hidden[:, layer]
            from_input = F.linear(inputs, weight_ih, bias_ih).chunk(3, dim=-1)
            from_hidden = F.linear(hidden, weight_hh, bias_hh).chunk(3, dim=-1)
            reset = torch.sigmoid(from_input[0] + from_hidden[0])
            keep = torch.sigmoid(from_input[1] + from_hidden[1])
            candidate = torch.tanh(from_input[2] + reset * from_hidden[2])
            inputs = torch.lerp(candidate, hidden, keep)
            hiddens.append(inputs)
        return inputs, GRUState(torch.stack(hiddens, 1))

    def run(
        self, packed: PackedSequence, state: GRUState
    ) -> tuple[PackedSequence, GRUState]:
        """Advance through whole sequences in one call of torch's own GRU."""
        outputs, final = self.forward(packed, _layer_first(state.hidden))
        return outputs, GRUState(_batch_first(final))


class FeedForwardController(nn.Sequential):
    """Layers of tanh units without state: all memory is outside the controller.

    Parameters
    ----------
    input_size, hidden_size, n_layers : int
    """

    def __init__(self, input_size: int, hidden_size: int, n_layers: int = 1):
        layers: list[nn.Module] = []
        for layer in range(n_layers):
            layers += [
                nn.Linear(hidden_size if layer else input_size, hidden_size),
                nn.Tanh(),
            ]
        super().__init__(*layers)

    def initial_state(self, batch_size: int) -> NoState:
        """Return the empty state."""
        return NoState()

    def step(self, inputs: Tensor, state: NoState) -> tuple[Tensor, NoState]:
        """Map inputs (batch, input_size) to output (batch, hidden_size)."""
        return self(inputs), state

    def run(self, packed: PackedSequence, state: NoState) -> tuple[PackedSequence, NoState]:
        """Map every step of whole sequences at once."""
        return packed._replace(data=self(packed.data)), state


CONTROLLERS: dict[str, Any] = {
    "lstm": LSTMController,
    "gru": GRUController,
    "feedforward": FeedForwardController,
}
"""Names of the controllers."""

WEIGHT_GAIN = 1.5
"""Recurrent controllers with a memory start from U(±1.5/√(inputs + units)).

Of the gains tried, this one learns recall most reliably, and is as good as any at
recognising speakers: see ``docs/training.md``.
"""


def make_controller(
    name: str, input_size: int, hidden_size: int, n_layers: int
) -> nn.Module:
    """Build a controller by its name, with torch's own initialisation.

    Raises
    ------
    ValueError
        If the name is not known.
    """
    if not isinstance(name, str) or name not in CONTROLLERS:
        raise ValueError(
            f"controller={name!r} is not known; choose from {sorted(CONTROLLERS)}"
        )
    return CONTROLLERS[name](input_size, hidden_size, n_layers)


def initialize_for_memory(controller: nn.Module) -> None:
    """Initialise a recurrent controller as was measured to learn fastest with a memory.

    Weights are larger than torch's and all biases are 0, even that of the forget gate. A
    feed-forward controller stays as it is.
    """
    if not isinstance(controller, nn.RNNBase):
        return
    for weight_ih, weight_hh, *biases in controller.all_weights:
        bound = WEIGHT_GAIN / math.sqrt(weight_ih.shape[1] + weight_hh.shape[1])
        nn.init.uniform_(weight_ih, -bound, bound)
        nn.init.uniform_(weight_hh, -bound, bound)
        for bias in biases:
            nn.init.zeros_(bias)
