"""Sparse access memory (Rae et al. 2016): each step reads and writes a few rows alone.

The functions that select, read and write rows are in :mod:`sknt.ops.sparse`; here they
are combined, with the parameters of the heads and the initial state.
"""

from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sknt import ops
from sknt.memories._base import Memory, Trace
from sknt.memories._checks import check_clip, check_n_nearest, check_rows_of_heads
from sknt.memories._heads import split_columns

USUAL_N_NEAREST = 8
"""Number of rows that a head reads, unless the memory has fewer."""

ACCESSED = 0.005
"""A row counts as accessed when more than this was written and read there, as weights."""

READ_STRENGTH, WRITE_GATE, INTERPOLATION_GATE = 12.0, 1.0, -2.0
"""Added to the initial biases of strengths, write gates and interpolation gates.

A head finds a row by its key alone, so it takes much strength to tell similar rows apart.
"""

WRITE_COST, STRENGTH_COST = 0.03, 0.001
"""Penalties in nats on writing and strength, as for the NTM."""


class SAMState(NamedTuple):
    """What the memory carries from step to step.

    Rows and steps are whole numbers held in floats, exact in single precision up to 2²⁴.
    """

    memory: Tensor  # (batch, memory_size, word_size)
    last_access: Tensor  # (batch, memory_size): the step of each row's last access, or 0
    read_rows: Tensor  # (batch, n_read_heads, n_nearest), nearest first
    read_weights: Tensor  # (batch, n_read_heads, n_nearest), on the simplex after a step
    write_rows: Tensor  # (batch, n_write_heads, n_nearest + 1), the wiped row last
    write_weights: Tensor  # (batch, n_write_heads, n_nearest + 1)
    step: Tensor  # (batch, 1): how many steps there were


class SAMInterface(NamedTuple):
    """What the heads receive from the controller."""

    key: Tensor  # q (batch, n_read_heads, word_size), in [-1, 1]
    strength: Tensor  # β (batch, n_read_heads, 1), >= 0
    write_gate: Tensor  # α (batch, n_write_heads, 1), in [0, 1]
    interpolation_gate: Tensor  # γ (batch, n_write_heads, 1), in [0, 1]
    add: Tensor  # a (batch, n_write_heads, word_size), in [-1, 1]


class SAMMemory(Memory):
    """Memory of which each step reads and writes a few rows, SAM section 3.

    A read head blends the K rows nearest to its key. A write head writes where a read head
    read in the step before, or to the row whose last access is longest ago, which is wiped
    first, or to both.

    Parameters
    ----------
    controller_size : int
        Number of units H of the controller's output.
    memory_size : int
        Number of rows N, at least ``n_write_heads`` and at most 2²⁴.
    word_size : int
        Width W of a row.
    n_read_heads, n_write_heads : int
        Number of heads. The write heads share out the least recently accessed rows: the
        first head gets the least recent one, the second the next, and so on. Write head i
        also writes where read head i (modulo their number) read in the step before.
    n_nearest : int or None, default=None
        Number of rows K that a read head reads. None is 8, or all rows of a smaller
        memory; the paper has 4.
    interface_clip : float or None, default=20.0
        The interface is clipped to ± this before its activations; None turns clipping
        off.

    Raises
    ------
    ValueError
        If an option is out of its range, or there are more write heads than rows.

    Notes
    -----
    The order within a step is the paper's [1]_: the heads write first, and the reads
    r_t see the new memory M_t. All heads' rows are wiped before the first head adds its
    vector. A row counts as accessed in a step when the weights of all heads there add up
    to more than 0.005.

    All rows are zeros before the first step, as if they had just been wiped. Rows that
    were never written are then equal, and which are nearest to a key, or least recently
    accessed, is decided by their numbers alone (the lowest first): a step's cost does not
    have to depend on how many there are.

    A vector that is written to several rows of zeros, with different weights, makes these
    rows equally near to any key. Cosines that are equal but for rounding therefore count as
    equal, and the lowest row is the nearest.

    Nothing links a row to the next one. To read what was written after something else, a
    network must write a code of what came before into each row, and give it in the key.
    Codes of similar sequences are easier to tell apart in wider rows: with a `word_size` of
    64 to 128 and an estimator's ``learning_rate=0.005``, such tasks are learned more
    reliably than with 20 numbers and 0.01.

    References
    ----------
    .. [1] Rae et al. (2016), "Scaling Memory-Augmented Neural Networks with Sparse Reads
       and Writes", arXiv:1610.09027.
    """

    bulky: ClassVar[tuple[str, ...]] = ("memory", "last_access")
    kernel: ClassVar[str | None] = "sknt.kernels.memories.sam"
    interface_type: ClassVar[Any] = SAMInterface

    def __init__(
        self,
        controller_size: int,
        memory_size: int,
        word_size: int,
        n_read_heads: int,
        n_write_heads: int,
        *,
        n_nearest: int | None = None,
        interface_clip: float | None = 20.0,
    ):
        super().__init__()
        check_rows_of_heads(n_write_heads, memory_size)
        check_n_nearest(n_nearest, memory_size)
        check_clip(interface_clip)
        if n_nearest is None:
            n_nearest = min(USUAL_N_NEAREST, memory_size)
        self.memory_size = memory_size
        self.word_size = word_size
        self.n_read_heads = n_read_heads
        self.n_write_heads = n_write_heads
        self.n_nearest = int(n_nearest)  # NumPy's, if it comes from a search's grid
        self.interface_clip = interface_clip

        # Columns of the interface in SAMInterface's order: (count, width) of each field.
        self._fields = (
            (n_read_heads, word_size),
            (n_read_heads, 1),
            (n_write_heads, 1),
            (n_write_heads, 1),
            (n_write_heads, word_size),
        )
        n_columns = sum(count * width for count, width in self._fields)
        self.projection = nn.Linear(controller_size, n_columns)
        nn.init.xavier_uniform_(self.projection.weight, gain=1.4)
        nn.init.normal_(self.projection.bias, std=0.01)
        self._initialize_heads()

    @torch.no_grad()
    def _initialize_heads(self) -> None:
        """Initialise the heads to write a new row in each step, and look up what is there.

        A read head looks for what the write head of the same number would add.
        """
        weights = self._split(self.projection.weight.T)
        biases = self._split(self.projection.bias)
        n_pairs = min(self.n_read_heads, self.n_write_heads)
        for part in (weights, biases):
            part.key[..., :n_pairs, :] = part.add[..., :n_pairs, :]
        biases.strength.add_(READ_STRENGTH)
        biases.write_gate.add_(WRITE_GATE)
        biases.interpolation_gate.add_(INTERPOLATION_GATE)

    def check_state(self, state: SAMState) -> None:
        """Refuse numbers of rows that there are not."""
        n = self.memory_size
        for name in ("read_rows", "write_rows"):
            rows = getattr(state, name)
            if not bool(((rows >= 0) & (rows < n) & (rows == rows.floor())).all()):
                raise ValueError(
                    f"state.memory.{name} holds numbers that are no rows; give whole "
                    f"numbers from 0 to {n - 1}, such as a network returns them"
                )

    def initial_state(self, batch_size: int) -> SAMState:
        """Return rows of zeros, of which none has been accessed, one copy per sequence."""
        zero = self.projection.weight.new_zeros(())

        def zeros(*shape: int) -> Tensor:
            return zero.expand(batch_size, *shape)

        reads = (self.n_read_heads, self.n_nearest)
        writes = (self.n_write_heads, self.n_nearest + 1)
        return SAMState(
            memory=zeros(self.memory_size, self.word_size),
            last_access=zeros(self.memory_size),
            read_rows=zeros(*reads),
            read_weights=zeros(*reads),
            write_rows=zeros(*writes),
            write_weights=zeros(*writes),
            step=zeros(1),
        )

    def interface(self, hidden: Tensor) -> SAMInterface:
        """Map the controller's output to keys, gates and vectors of all heads."""
        raw = self.projection(hidden)
        if self.interface_clip is not None:
            raw = raw.clamp(-self.interface_clip, self.interface_clip)
        fields = self._split(raw)
        return SAMInterface(
            key=torch.tanh(fields.key),
            strength=F.softplus(fields.strength),
            write_gate=torch.sigmoid(fields.write_gate),
            interpolation_gate=torch.sigmoid(fields.interpolation_gate),
            add=torch.tanh(fields.add),
        )

    def _split(self, columns: Tensor) -> SAMInterface:
        """Split the columns of an interface, (..., n_columns), into its fields."""
        return SAMInterface(*split_columns(columns, self._fields))

    def step(self, interface: SAMInterface, state: SAMState) -> tuple[Tensor, SAMState]:
        """Write with all heads, then read the new memory."""
        unused = ops.least_recent_rows(state.last_access, self.n_write_heads)
        write_rows, write_weights = self._address_writes(interface, state, unused)
        memory = ops.wipe_rows(state.memory, unused)  # M ∘ (1 - 1_LRA 1ᵀ)
        memory = ops.sparse_add(memory, write_rows, write_weights, interface.add)  # + wᵂ aᵀ

        read_rows = ops.nearest_rows(interface.key, memory, self.n_nearest)
        contents = ops.gather_rows(memory, read_rows)
        read_weights = ops.sparse_content_weighting(
            interface.key, interface.strength, contents
        )
        reads = ops.sparse_read(read_weights, contents)

        step = state.step + 1
        accessed = self._accessed((write_rows, write_weights), (read_rows, read_weights))
        return reads, SAMState(
            memory=memory,
            last_access=torch.where(accessed, step, state.last_access),
            read_rows=read_rows.to(memory),
            read_weights=read_weights,
            write_rows=write_rows.to(memory),
            write_weights=write_weights,
            step=step,
        )

    def _address_writes(
        self, interface: SAMInterface, state: SAMState, unused: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the write heads' rows, and ``α (γ wᴿ_{t-1} + (1 - γ) 1_LRA)`` there."""
        owners = [head % self.n_read_heads for head in range(self.n_write_heads)]
        # One by one: an index would be a constant in the step, which no scan takes.
        read_rows, read_weights = (
            torch.stack([part[:, owner] for owner in owners], dim=1)
            for part in (state.read_rows, state.read_weights)
        )
        previous = interface.interpolation_gate * read_weights
        rows = torch.cat([read_rows.long(), unused.unsqueeze(-1)], dim=-1)
        weights = torch.cat([previous, 1 - interface.interpolation_gate], dim=-1)
        return rows, interface.write_gate * weights

    @torch.no_grad()
    def _accessed(self, *weightings: tuple[Tensor, Tensor]) -> Tensor:
        """Return which rows were written and read enough, by all heads together."""
        rows = torch.cat([rows.flatten(1) for rows, _ in weightings], dim=1)
        weights = torch.cat([weights.flatten(1) for _, weights in weightings], dim=1)
        return ops.spread(rows, weights, self.memory_size) > ACCESSED

    def weightings(self, trace: Trace) -> dict[str, Tensor]:
        """Return where each write head wrote and each read head read, over all rows."""
        states = trace.states
        kinds = {
            "write": (states.write_rows, states.write_weights),
            "read": (states.read_rows, states.read_weights),
        }
        return {
            f"{kind} head {head}": ops.spread(
                rows[:, :, head].long(), weights[:, :, head], self.memory_size
            )
            for kind, (rows, weights) in kinds.items()
            for head in range(rows.shape[2])
        }

    def parts(self) -> dict[str, dict[str, slice]]:
        """Name the rows of the projection by head and field: "read head 0: key"."""
        parts, start = {}, 0
        for field, (n_heads, width) in zip(SAMInterface._fields, self._fields, strict=True):
            kind = "read" if field in ("key", "strength") else "write"
            for head in range(n_heads):
                rows = slice(start, start + width)
                parts[f"{kind} head {head}: {field}"] = {
                    "projection.weight": rows,
                    "projection.bias": rows,
                }
                start += width
        return parts

    def penalty(self, trace: Trace) -> Tensor:
        r"""Penalise writing and strength.

        .. math::

            \sum_t 0.03 \lVert \alpha_t a_t \rVert^2 + 0.001 \beta_t^2

        Heads that write only what is needed leave more rows as they are on sequences
        longer than those in training. Keys that find their row with little strength are
        close to it.

        Parameters
        ----------
        trace : Trace
            Of this memory, with or without the bulky fields.

        Returns
        -------
        penalty : Tensor of shape (batch,)
            In nats.
        """
        interfaces = trace.interfaces
        writing = (interfaces.write_gate * interfaces.add).square().flatten(1).sum(1)
        looking_up = interfaces.strength.square().flatten(1).sum(1)
        return WRITE_COST * writing + STRENGTH_COST * looking_up
