"""The differentiable neural computer's memory (Graves et al. 2016).

The functions that allocate, link, look up, read and write are in :mod:`sknt.ops`; here they
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
from sknt.memories._checks import check_clip, check_flag
from sknt.memories._heads import split_columns, weightings_of_heads
from sknt.ops.lookup import MASK_FLOOR

CONSTANT_FILL = 1e-6
"""Value of every element of a constant initial memory (Collier & Beel 2018)."""

READ_STRENGTH, CONTENT_MODE = 3.0, 1.0
"""Added to the initial biases of read strengths and modes: look up, and sharply."""

WRITE_GATE, ALLOCATION_GATE, FREE_GATE = 1.0, 2.0, -2.0
"""Added to the initial biases of gates: write, to free rows; do not free what is read."""

USUAL_SIZE = 128
"""With more rows, the strength begins higher by ln(N / 128): the focus is the same."""

WRITE_COST, STRENGTH_COST, SHARPNESS_COST, MODE_COST = 0.03, 0.001, 0.01, 0.3
"""Penalties in nats on writing, strength, sharpness and uncertainty about a read mode."""


class DNCState(NamedTuple):
    """What the memory carries from step to step."""

    memory: Tensor  # M (batch, memory_size, word_size)
    links: Tensor  # L (batch, n_write_heads, memory_size, memory_size): [i, j] from j to i
    usage: Tensor  # u (batch, memory_size), in [0, 1]
    precedence: Tensor  # p (batch, n_write_heads, memory_size)
    read_weights: Tensor  # wʳ (batch, n_read_heads, memory_size)
    write_weights: Tensor  # wʷ (batch, n_write_heads, memory_size)


class DNCInterface(NamedTuple):
    """What the heads receive from the controller; keys of read heads first.

    Fields of a repair that is turned off have a width of 0.
    """

    key: Tensor  # k (batch, n_heads, word_size)
    strength: Tensor  # β (batch, n_heads, 1), >= 1
    mask: Tensor  # m (batch, n_heads, word_size), in [μ, 1]
    modes: Tensor  # π (batch, n_read_heads, 1 + 2 * n_write_heads), on the simplex
    sharpness: Tensor  # s (batch, n_read_heads, 2), >= 1: backward, forward
    free_gate: Tensor  # f (batch, n_read_heads, 1), in [0, 1]
    allocation_gate: Tensor  # gᵃ (batch, n_write_heads, 1), in [0, 1]
    write_gate: Tensor  # gʷ (batch, n_write_heads, 1), in [0, 1]
    erase: Tensor  # e (batch, n_write_heads, word_size), in [0, 1]
    add: Tensor  # v (batch, n_write_heads, word_size)


class DNCMemory(Memory):
    """Memory matrix with allocation, temporal links and content lookup.

    Parameters
    ----------
    controller_size : int
        Number of units H of the controller's output.
    memory_size : int
        Number of rows N.
    word_size : int
        Width W of a row.
    n_read_heads, n_write_heads : int
        Number of heads. The write heads allocate and write in turn, before the reads. Each
        has links of its own, so the modes of a read head are: backward along the links of
        each write head, content, and forward along the links of each.
    masked_content : bool, default=True
        Whether keys come with a mask of the columns to compare [2]_.
    deallocate : bool, default=False
        Whether freeing a row also clears it, before the step's write [2]_.
    sharpen_links : bool, default=True
        Whether what links lead to is sharpened [2]_.
    memory_init : {"random", "constant", "learned"}, default="random"
        The memory before the first step: fixed numbers drawn from U(±1/√(N+W)), all
        1e-6, or a learned matrix (which starts as the random one).
    interface_clip : float or None, default=20.0
        The interface is clipped to ± this before its activations; None turns clipping off.

    Raises
    ------
    ValueError
        If an option is out of its range.

    Notes
    -----
    Usage, links, precedence and all weightings are 0 before the first step.

    Rows with the same usage are written in the order of their numbers. Where usages are
    equal but for rounding, that order may be another one with another backend. Outputs
    stay the same where such rows are alike, as with ``memory_init="constant"``.

    References
    ----------
    .. [1] Graves et al. (2016), "Hybrid computing using a neural network with dynamic
       external memory", Nature 538.
    .. [2] Csordás & Schmidhuber (2019), "Improving Differentiable Neural Computers Through
       Memory Masking, De-allocation, and Link Distribution Sharpness Control",
       arXiv:1904.10278.
    """

    bulky: ClassVar[tuple[str, ...]] = ("memory", "links")
    kernel: ClassVar[str | None] = "sknt.kernels.memories.dnc"
    interface_type: ClassVar[Any] = DNCInterface

    def __init__(
        self,
        controller_size: int,
        memory_size: int,
        word_size: int,
        n_read_heads: int,
        n_write_heads: int,
        *,
        masked_content: bool = True,
        deallocate: bool = False,
        sharpen_links: bool = True,
        memory_init: str = "random",
        interface_clip: float | None = 20.0,
    ):
        super().__init__()
        check_flag("masked_content", masked_content)
        check_flag("deallocate", deallocate)
        check_flag("sharpen_links", sharpen_links)
        check_choice("memory_init", memory_init, ("constant", "learned", "random"))
        check_clip(interface_clip)
        self.memory_size = memory_size
        self.word_size = word_size
        self.n_read_heads = n_read_heads
        self.n_write_heads = n_write_heads
        self.masked_content = bool(masked_content)  # NumPy's, if it comes from a grid
        self.deallocate = bool(deallocate)
        self.sharpen_links = bool(sharpen_links)
        self.interface_clip = interface_clip

        reads = [f"read head {head}" for head in range(n_read_heads)]
        writes = [f"write head {head}" for head in range(n_write_heads)]
        heads = reads + writes
        # Columns of the interface, in DNCInterface's order: whose they are, and how many.
        self._fields = {
            "key": (heads, word_size),
            "strength": (heads, 1),
            "mask": (heads, word_size if masked_content else 0),
            "modes": (reads, 1 + 2 * n_write_heads),
            "sharpness": (reads, 2 if sharpen_links else 0),
            "free_gate": (reads, 1),
            "allocation_gate": (writes, 1),
            "write_gate": (writes, 1),
            "erase": (writes, word_size),
            "add": (writes, word_size),
        }
        self._shapes = [(len(owners), width) for owners, width in self._fields.values()]
        n_columns = sum(count * width for count, width in self._shapes)
        self.projection = nn.Linear(controller_size, n_columns)
        nn.init.xavier_uniform_(self.projection.weight, gain=1.4)
        nn.init.normal_(self.projection.bias, std=0.01)
        self._initialize_heads()

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
    def _initialize_heads(self) -> None:
        """Initialise the heads: write each step to a free row, look up what was written.

        A read head looks for what the write head of the same number would add.
        """
        weights = self.split_interface(self.projection.weight.T)
        biases = self.split_interface(self.projection.bias)
        n_pairs = min(self.n_read_heads, self.n_write_heads)
        for part in (weights, biases):
            part.key[..., :n_pairs, :] = part.add[..., :n_pairs, :]
        # The logit that singles out one of N rows in a softmax grows with ln N.
        for_more_rows = max(0.0, math.log(self.memory_size / USUAL_SIZE))
        biases.strength[: self.n_read_heads] += READ_STRENGTH + for_more_rows
        biases.modes[:, self.n_write_heads] += CONTENT_MODE
        biases.free_gate.add_(FREE_GATE)
        biases.allocation_gate.add_(ALLOCATION_GATE)
        biases.write_gate.add_(WRITE_GATE)

    def initial_state(self, batch_size: int) -> DNCState:
        """Return M_0, with nothing used, linked, read or written, one copy per sequence."""
        n, reads, writes = self.memory_size, self.n_read_heads, self.n_write_heads
        zero = self.initial_memory.new_zeros(())

        def zeros(*shape: int) -> Tensor:
            return zero.expand(batch_size, *shape)

        return DNCState(
            memory=self.initial_memory.expand(batch_size, -1, -1),
            links=zeros(writes, n, n),
            usage=zeros(n),
            precedence=zeros(writes, n),
            read_weights=zeros(reads, n),
            write_weights=zeros(writes, n),
        )

    def interface(self, hidden: Tensor) -> DNCInterface:
        """Map the controller's output to keys, modes, gates and vectors of all heads."""
        raw = self.projection(hidden)
        if self.interface_clip is not None:
            raw = raw.clamp(-self.interface_clip, self.interface_clip)
        fields = self.split_interface(raw)
        return DNCInterface(
            key=fields.key,
            strength=_oneplus(fields.strength),
            mask=MASK_FLOOR + (1 - MASK_FLOOR) * torch.sigmoid(fields.mask),
            modes=torch.softmax(fields.modes, dim=-1),
            sharpness=_oneplus(fields.sharpness),
            free_gate=torch.sigmoid(fields.free_gate),
            allocation_gate=torch.sigmoid(fields.allocation_gate),
            write_gate=torch.sigmoid(fields.write_gate),
            erase=torch.sigmoid(fields.erase),
            add=fields.add,
        )

    def split_interface(self, columns: Tensor) -> DNCInterface:
        """Split the columns of an interface, (..., n_columns), into its fields."""
        return DNCInterface(*split_columns(columns, self._shapes))

    def step(self, interface: DNCInterface, state: DNCState) -> tuple[Tensor, DNCState]:
        """Allocate, write with each head in turn, link what was written, then read."""
        retention = ops.retention(interface.free_gate, state.read_weights)
        usage = ops.usage(state.usage, state.write_weights, retention)
        write_weights = self._place_writes(interface, state.memory, usage)
        memory = state.memory
        if self.deallocate:
            memory = memory * retention.unsqueeze(-1)
        for head in range(self.n_write_heads):
            memory = ops.write(
                memory,
                write_weights[:, head],
                interface.erase[:, head],
                interface.add[:, head],
            )

        links = ops.links(state.links, write_weights, state.precedence)
        precedence = ops.precedence(state.precedence, write_weights)
        read_weights = self._place_reads(interface, memory, links, state.read_weights)
        reads = ops.read(read_weights, memory)
        return reads, DNCState(
            memory, links, usage, precedence, read_weights, write_weights
        )

    def _place_writes(
        self, interface: DNCInterface, memory: Tensor, usage: Tensor
    ) -> Tensor:
        """Return where each write head writes: to free rows, or where the content is."""
        allocate, write = interface.allocation_gate, interface.write_gate
        allocated = ops.allocate_in_turn(usage, write * allocate)
        content = self._look_up(interface, memory, slice(self.n_read_heads, None))
        return write * ops.interpolate(allocated, content, allocate)

    def _place_reads(
        self, interface: DNCInterface, memory: Tensor, links: Tensor, previous: Tensor
    ) -> Tensor:
        """Return where each read head reads: by content, or along the links."""
        backward = ops.follow_backward(links, previous)
        forward = ops.follow_forward(links, previous)
        if self.sharpen_links:
            of_backward, of_forward = interface.sharpness.unsqueeze(-2).split(1, dim=-1)
            backward = ops.sharpen_followed(backward, of_backward)
            forward = ops.sharpen_followed(forward, of_forward)
        content = self._look_up(interface, memory, slice(self.n_read_heads))
        choices = torch.cat([backward, content.unsqueeze(2), forward], dim=2)
        return (interface.modes.unsqueeze(-2) @ choices).squeeze(-2)

    def _look_up(self, interface: DNCInterface, memory: Tensor, heads: slice) -> Tensor:
        """Return the content weightings of some of the heads."""
        mask = interface.mask[:, heads] if self.masked_content else None
        return ops.masked_content_weighting(
            interface.key[:, heads], interface.strength[:, heads], memory, mask
        )

    def weightings(self, trace: Trace) -> dict[str, Tensor]:
        """Return where each head wrote and read, and which rows were in use."""
        return weightings_of_heads(trace.states) | {"usage": trace.states.usage}

    def parts(self) -> dict[str, dict[str, slice]]:
        """Name the rows of the projection by head and field: "read head 0: free_gate"."""
        parts, start = {}, 0
        for field, (owners, width) in self._fields.items():
            for owner in owners if width else []:
                rows = slice(start, start + width)
                parts[f"{owner}: {field}"] = {
                    "projection.weight": rows,
                    "projection.bias": rows,
                }
                start += width
        return parts

    def penalty(self, trace: Trace) -> Tensor:
        r"""Penalise writing, strength, sharpness, and uncertainty about read modes.

        .. math::

            \sum_t 0.03 (g^w_t)^2 (\lVert e_t \rVert^2 + \lVert v_t \rVert^2)
            + 0.001 (\beta_t - 1)^2 + 0.01 (s_t - 1)^2
            + 0.3 \sum_i \pi_t(i) (1 - \pi_t(i))

        As in :meth:`NTMMemory.penalty`, it favours heads that do on sequences longer than
        those in training what they do in training: write only what is needed, find rows
        and follow links without needing to be sharp, and be certain of the mode.

        Parameters
        ----------
        trace : Trace
            Of this memory, with or without the bulky fields.

        Returns
        -------
        penalty : Tensor of shape (batch,)
            In nats.
        """
        told = trace.interfaces

        def total(values: Tensor) -> Tensor:
            return values.flatten(1).sum(1)

        writing = told.erase.square() + told.add.square()
        # relu: β and s are 0 after a sequence's end.
        return (
            WRITE_COST * total(told.write_gate.square() * writing)
            + STRENGTH_COST * total(torch.relu(told.strength - 1).square())
            + SHARPNESS_COST * total(torch.relu(told.sharpness - 1).square())
            + MODE_COST * total(told.modes * (1 - told.modes))
        )


def _oneplus(raw: Tensor) -> Tensor:
    return 1 + F.softplus(raw)
