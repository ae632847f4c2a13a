"""The Neural Turing Machine's memory (Graves, Wayne & Danihelka 2014).

The functions that address, read and write are in :mod:`sknt.ops.addressing`; here they
are combined, with the parameters of the heads and the initial state.
"""

import math
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sknt import ops
from sknt.data.choices import check_choice
from sknt.memories._base import Memory, Trace
from sknt.memories._checks import check_clip, check_shift_range
from sknt.memories._heads import split_columns, weightings_of_heads

CONSTANT_FILL = 1e-6
"""Value of every element of a constant initial memory (Collier & Beel 2018)."""

FIRST_ROW_LOGIT = 10.0
"""Heads start on row 0: the learned logits of w_0 begin as this there, 0 elsewhere."""

READ_GATE, READ_STRENGTH, WRITE_GATE, WRITE_SHIFT = 2.0, 3.0, -2.0, 2.0
"""Added to the initial biases of read gates and strengths, write gates and shift by +1."""

USUAL_SIZE = 128
"""With more rows, logit and strength begin higher by ln(N / 128): the focus is the same."""

ACTIVATIONS = ("tanh", "linear")
"""Activations of keys and add vectors."""

WRITE_COST, STRENGTH_COST, GAMMA_COST, SHIFT_COST = 0.03, 0.001, 0.01, 0.3
"""Penalties in nats on writing, strength, sharpening and uncertainty about a shift."""


class NTMState(NamedTuple):
    """What the memory carries from step to step."""

    memory: Tensor  # (batch, memory_size, word_size)
    read_weights: Tensor  # (batch, n_read_heads, memory_size)
    write_weights: Tensor  # (batch, n_write_heads, memory_size)


class NTMInterface(NamedTuple):
    """What the heads receive from the controller: read heads first, then write heads."""

    key: Tensor  # k (batch, n_heads, word_size), in [-1, 1] unless it is linear
    strength: Tensor  # β (batch, n_heads, 1), >= 0
    gate: Tensor  # g (batch, n_heads, 1), in [0, 1]
    shift: Tensor  # s (batch, n_heads, 2 * shift_range + 1), on the simplex
    gamma: Tensor  # γ (batch, n_heads, 1), >= 1
    erase: Tensor  # e (batch, n_write_heads, word_size), in [0, 1]
    add: Tensor  # a (batch, n_write_heads, word_size), in [-1, 1] unless it is linear


class NTMMemory(Memory):
    """Memory matrix with content and location addressing, NTM section 3.

    Parameters
    ----------
    controller_size : int
        Number of units H of the controller's output.
    memory_size : int
        Number of rows N.
    word_size : int
        Width W of a row.
    n_read_heads, n_write_heads : int
        Number of heads. Reads see the memory before the step's writes, and the write
        heads write in turn.
    shift_range : int, default=1
        Heads can move by -shift_range ... +shift_range rows in a step.
    memory_init : {"random", "constant", "learned"}, default="random"
        The memory before the first step: fixed numbers drawn from U(±1/√(N+W)), all
        1e-6 [2]_, or a learned matrix (which starts as the random one).
    interface_clip : float or None, default=20.0
        The interface is clipped to ± this before its activations [2]_; None turns
        clipping off.
    key_activation, add_activation : {"tanh", "linear"}, default="tanh"
        Activations of keys and add vectors. Some other implementations of the NTM have
        linear ones, which their weights depend on.

    Raises
    ------
    ValueError
        If an option is out of its range, or there are more shifts than rows.

    References
    ----------
    .. [1] Graves, Wayne & Danihelka (2014), "Neural Turing Machines", arXiv:1410.5401.
    .. [2] Collier & Beel (2018), "Implementing Neural Turing Machines",
       arXiv:1807.08518.
    """

    bulky: ClassVar[tuple[str, ...]] = ("memory",)
    kernel: ClassVar[str | None] = "sknt.kernels.memories.ntm"
    interface_type: ClassVar[Any] = NTMInterface

    def __init__(
        self,
        controller_size: int,
        memory_size: int,
        word_size: int,
        n_read_heads: int,
        n_write_heads: int,
        *,
        shift_range: int = 1,
        memory_init: str = "random",
        interface_clip: float | None = 20.0,
        key_activation: str = "tanh",
        add_activation: str = "tanh",
    ):
        super().__init__()
        check_shift_range(shift_range, memory_size)
        check_choice("memory_init", memory_init, ("constant", "learned", "random"))
        check_clip(interface_clip)
        check_choice("key_activation", key_activation, ACTIVATIONS)
        check_choice("add_activation", add_activation, ACTIVATIONS)
        shift_range = int(shift_range)  # NumPy's, if it comes from a search's grid
        self.memory_size = memory_size
        self.word_size = word_size
        self.n_read_heads = n_read_heads
        self.n_write_heads = n_write_heads
        self.shift_range = shift_range
        self.interface_clip = interface_clip
        self.key_activation = key_activation
        self.add_activation = add_activation

        n_heads = n_read_heads + n_write_heads
        n_shifts = 2 * shift_range + 1
        # Columns of the interface in NTMInterface's order: (count, width) of each field.
        self._fields = (
            (n_heads, word_size),
            (n_heads, 1),
            (n_heads, 1),
            (n_heads, n_shifts),
            (n_heads, 1),
            (n_write_heads, word_size),
            (n_write_heads, word_size),
        )
        n_columns = sum(count * width for count, width in self._fields)
        self.projection = nn.Linear(controller_size, n_columns)
        nn.init.xavier_uniform_(self.projection.weight, gain=1.4)
        nn.init.normal_(self.projection.bias, std=0.01)
        # The logit that singles out one of N rows in a softmax grows with ln N.
        for_more_rows = max(0.0, math.log(memory_size / USUAL_SIZE))
        self._initialize_heads(READ_STRENGTH + for_more_rows)

        logits = torch.zeros(n_heads, memory_size)
        logits[:, 0] = FIRST_ROW_LOGIT + for_more_rows
        self.initial_logits = nn.Parameter(logits)
        memory = torch.empty(memory_size, word_size)
        if memory_init == "constant":
            memory.fill_(CONSTANT_FILL)
        else:
            bound = 1 / math.sqrt(memory_size + word_size)
            memory.uniform_(-bound, bound)
        if memory_init == "learned":
            self.initial_memory = nn.Parameter(memory)
        else:
            self.register_buffer("initial_memory", memory)

    @torch.no_grad()
    def _initialize_heads(self, read_strength: float) -> None:
        """Initialise the heads as a tape: write row after row, look up what was written.

        A read head looks for what the write head of the same number would add, and prefers
        lookup to moving. A write head prefers its previous place, and moves on by a row.
        """
        weights = self.split_interface(self.projection.weight.T)
        biases = self.split_interface(self.projection.bias)
        n_pairs = min(self.n_read_heads, self.n_write_heads)
        for part in (weights, biases):
            part.key[..., :n_pairs, :] = part.add[..., :n_pairs, :]
        reads, writes = slice(self.n_read_heads), slice(self.n_read_heads, None)
        biases.gate[reads] += READ_GATE
        biases.strength[reads] += read_strength
        biases.gate[writes] += WRITE_GATE
        if self.shift_range:
            biases.shift[writes, self.shift_range + 1] += WRITE_SHIFT

    def initial_state(self, batch_size: int) -> NTMState:
        """Return M_0 and the learned w_0 of every head, one copy per sequence."""
        weights = torch.softmax(self.initial_logits, dim=-1).expand(batch_size, -1, -1)
        return NTMState(
            self.initial_memory.expand(batch_size, -1, -1),
            weights[:, : self.n_read_heads],
            weights[:, self.n_read_heads :],
        )

    def interface(self, hidden: Tensor) -> NTMInterface:
        """Map the controller's output to keys, gates and vectors of all heads."""
        raw = self.projection(hidden)
        if self.interface_clip is not None:
            raw = raw.clamp(-self.interface_clip, self.interface_clip)
        fields = self.split_interface(raw)
        return NTMInterface(
            key=_activate(self.key_activation, fields.key),
            strength=F.softplus(fields.strength),
            gate=torch.sigmoid(fields.gate),
            shift=torch.softmax(fields.shift, dim=-1),
            gamma=1 + F.softplus(fields.gamma),
            erase=torch.sigmoid(fields.erase),
            add=_activate(self.add_activation, fields.add),
        )

    def split_interface(self, columns: Tensor) -> NTMInterface:
        """Split the columns of an interface, (..., n_columns), into its fields."""
        return NTMInterface(*split_columns(columns, self._fields))

    def step(self, interface: NTMInterface, state: NTMState) -> tuple[Tensor, NTMState]:
        """Address with all heads, read, then write with each write head in turn."""
        previous = torch.cat([state.read_weights, state.write_weights], dim=1)
        content = ops.content_weighting(  # NTM eq. 5-6
            interface.key, interface.strength, state.memory
        )
        gated = ops.interpolate(content, previous, interface.gate)  # NTM eq. 7
        shifted = ops.shift(gated, interface.shift)  # NTM eq. 8
        weights = ops.sharpen(shifted, interface.gamma)  # NTM eq. 9
        read_weights = weights[:, : self.n_read_heads]
        write_weights = weights[:, self.n_read_heads :]

        reads = ops.read(read_weights, state.memory)  # NTM eq. 2
        memory = state.memory
        for head in range(self.n_write_heads):
            memory = ops.write(  # NTM eq. 3-4
                memory,
                write_weights[:, head],
                interface.erase[:, head],
                interface.add[:, head],
            )
        return reads, NTMState(memory, read_weights, write_weights)

    def weightings(self, trace: Trace) -> dict[str, Tensor]:
        """Return where each write head wrote and each read head read."""
        return weightings_of_heads(trace.states)

    def parts(self) -> dict[str, dict[str, slice]]:
        """Name the rows of the projection by head and field: "read head 0: gate"."""
        parts, start = {}, 0
        for field, (n_heads, width) in zip(NTMInterface._fields, self._fields, strict=True):
            n_read = n_heads - self.n_write_heads  # 0 for the erase and add vectors
            for head in range(n_heads):
                number = head - n_read
                owner = f"write head {number}" if number >= 0 else f"read head {head}"
                rows = slice(start, start + width)
                parts[f"{owner}: {field}"] = {
                    "projection.weight": rows,
                    "projection.bias": rows,
                }
                start += width
        return parts

    def penalty(self, trace: Trace) -> Tensor:
        r"""Penalise writing, strength, sharpening, and uncertainty about where to shift.

        .. math::

            \sum_t 0.03 (\lVert e_t \rVert^2 + \lVert a_t \rVert^2)
            + 0.001 \beta_t^2 + 0.01 (\gamma_t - 1)^2 + 0.3 \sum_i s_t(i) (1 - s_t(i))

        Heads that write only what is needed do not overwrite it later, on sequences longer
        than those in training. Keys that find their row with little strength still single
        it out among more rows than were used in training. Weightings that are sharpened
        little have to be found by content, in one step, and not by where the head was
        before. Shifts that are nearly certain stay so on sequences unlike those in
        training.

        Parameters
        ----------
        trace : Trace
            Of this memory, with or without the memory matrices.

        Returns
        -------
        penalty : Tensor of shape (batch,)
            In nats.
        """
        interfaces = trace.interfaces
        writing = interfaces.erase.square().flatten(1).sum(1)
        writing = writing + interfaces.add.square().flatten(1).sum(1)
        looking_up = interfaces.strength.square().flatten(1).sum(1)
        # relu: γ is 0 after a sequence's end.
        sharpening = torch.relu(interfaces.gamma - 1).square().flatten(1).sum(1)
        uncertainty = (interfaces.shift * (1 - interfaces.shift)).flatten(1).sum(1)
        return (
            WRITE_COST * writing
            + STRENGTH_COST * looking_up
            + GAMMA_COST * sharpening
            + SHIFT_COST * uncertainty
        )


def _activate(name: str, raw: Tensor) -> Tensor:
    return torch.tanh(raw) if name == "tanh" else raw
