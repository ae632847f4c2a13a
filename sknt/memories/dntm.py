"""The Dynamic Neural Turing Machine's memory (Gulcehre, Chandar, Cho & Bengio 2016).

Rows have a learned address beside their content, and heads avoid the rows that they used
last. How choices of rows are drawn and trained is in :mod:`sknt.ops.draws` and
:mod:`sknt.memories._reinforce`.
"""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sknt import ops
from sknt.data.choices import check_choice
from sknt.memories._base import Memory, Trace
from sknt.memories._checks import (
    check_clip,
    check_cost,
    check_count,
    check_flag,
    check_shift_range,
)
from sknt.memories._dntm_fields import DNTMInterface, DNTMState, make_fields
from sknt.memories._dntm_start import (
    FIRST_ROW_LOGIT,
    initialize_allocation,
    initialize_choices,
    initialize_lookup,
    initialize_tape,
    random_addresses,
    spread_addresses,
)
from sknt.memories._heads import weightings_of_heads
from sknt.memories._reinforce import RewardStatistics, reinforce_loss
from sknt.ops.addressing import EPSILON
from sknt.ops.draws import LIMIT, choose, make_keys, most_probable, scramble, uniforms

ADDRESS_SHARE = 0.4
"""Part of a row that is its address, unless ``address_size`` says otherwise."""

WRITE_COST, STRENGTH_COST, GAMMA_COST, SHIFT_COST = 0.03, 0.001, 0.01, 0.3
"""Penalties in nats on writing, strength, sharpening and uncertainty about a shift."""

SOFT, ARGMAX = -1.0, 0.0
"""Keys of a draw that stand for soft weightings and for the most probable row."""


class DNTMMemory(Memory):
    """Memory with learned addresses and least-recently-used addressing, D-NTM section 3.

    Parameters
    ----------
    controller_size : int
        Number of units H of the controller's output.
    memory_size : int
        Number of rows N, the one without effect included.
    word_size : int
        Width W of a row, its address included: what a head reads.
    n_read_heads, n_write_heads : int
        Number of heads. Reads see the memory before the step's writes, and the write
        heads write in turn.
    n_inputs : int
        Number of features of a step.
    address_size : int or None, default=None
        Width of a row's address; None means 40 % of the row. Addresses are learned only for
        rows that are used in training: on longer sequences, narrow ones do less harm.
    addressing : {"soft", "hard"}, default="soft"
        Whether heads blend rows, or choose one each. In training they then draw it at
        random, and learn by REINFORCE (see :meth:`auxiliary_loss`); otherwise they choose
        the most probable one.
    curriculum : bool, default=False
        With hard addressing: whether a batch in training is soft with probability
        1 / √(1 + t), where t is the number of updates so far.
    entropy_cost : float, default=0.01
        With hard addressing: weight of the entropy of what rows are drawn from, which keeps
        the heads trying.
    nop : bool, default=True
        Whether the last row has an address alone: nothing is written to it, and it reads as
        zeros. A head that addresses it does nothing.
    n_hops : int, default=1
        How often controller and memory take each step, with the same inputs.
    shift_range : int, default=0
        If it is more than 0, heads then interpolate with their last weighting, move by
        -shift_range ... +shift_range rows and sharpen, as those of the NTM do, and begin as
        those do. Tasks that look contents up are then learned from fewer sequences.
    interface_clip : float or None, default=20.0
        The interface is clipped to ± this before its activations; None turns clipping off.

    Raises
    ------
    ValueError
        If an option is out of its range, or a row or the memory is too small.

    References
    ----------
    .. [1] Gulcehre, Chandar, Cho & Bengio (2016), "Dynamic Neural Turing Machine with Soft
       and Hard Addressing Schemes", arXiv:1607.00036.
    """

    bulky: ClassVar[tuple[str, ...]] = ("memory",)
    kernel: ClassVar[str | None] = "sknt.kernels.memories.dntm"
    interface_type: ClassVar[Any] = DNTMInterface
    uses_inputs: ClassVar[bool] = True
    usage_decay: ClassVar[float] = 0.1  # what is left of a head's usage after a step
    acts: Tensor  # 1 for each row with an effect, (memory_size,)

    def __init__(
        self,
        controller_size: int,
        memory_size: int,
        word_size: int,
        n_read_heads: int,
        n_write_heads: int,
        *,
        n_inputs: int,
        address_size: int | None = None,
        addressing: str = "soft",
        curriculum: bool = False,
        entropy_cost: float = 0.01,
        nop: bool = True,
        n_hops: int = 1,
        shift_range: int = 0,
        interface_clip: float | None = 20.0,
    ):
        super().__init__()
        check_count("n_inputs", n_inputs, 1)
        check_flag("nop", nop)
        _check_room(memory_size, word_size, bool(nop))
        if address_size is None:
            address_size = max(1, round(ADDRESS_SHARE * word_size))
        check_count("address_size", address_size, 1, word_size - 1)
        check_choice("addressing", addressing, ("soft", "hard"))
        check_flag("curriculum", curriculum)
        if curriculum and addressing == "soft":
            raise ValueError(
                "curriculum=True has no meaning with addressing='soft'; leave it out, or "
                "use addressing='hard'"
            )
        check_cost("entropy_cost", entropy_cost)
        check_count("n_hops", n_hops, 1)
        check_shift_range(shift_range, memory_size)
        check_clip(interface_clip)
        self.memory_size, self.word_size = memory_size, word_size
        self.n_read_heads, self.n_write_heads = n_read_heads, n_write_heads
        self.n_inputs = n_inputs
        self.address_size = int(address_size)
        self.addressing = addressing
        self.has_auxiliary_loss = addressing == "hard"
        self.curriculum = bool(curriculum)
        self.entropy_cost = float(entropy_cost)
        self.nop = bool(nop)
        self.n_hops = int(n_hops)
        self.shift_range = int(shift_range)
        self.interface_clip = interface_clip

        self._fields = fields = make_fields(
            n_read_heads=n_read_heads,
            n_write_heads=n_write_heads,
            word_size=word_size,
            address_size=self.address_size,
            shift_range=self.shift_range,
            is_hard=self.has_auxiliary_loss,
        )
        self.projection = nn.Linear(controller_size, fields.n_before + fields.n_mix)
        self.input_projection = nn.Linear(
            n_inputs, fields.n_mix + fields.n_after, bias=False
        )
        nn.init.xavier_uniform_(self.projection.weight, gain=1.4)
        nn.init.xavier_uniform_(self.input_projection.weight)
        nn.init.normal_(self.projection.bias, std=0.01)
        self._initialize_heads()
        place = random_addresses if self.has_auxiliary_loss else spread_addresses
        self.addresses = nn.Parameter(place(memory_size, self.address_size))
        self.initial_logits: nn.Parameter | None = None
        if self.shift_range:
            logits = torch.zeros(n_read_heads + n_write_heads, memory_size)
            if not self.has_auxiliary_loss:
                logits[:, 0] = FIRST_ROW_LOGIT
            self.initial_logits = nn.Parameter(logits)
        acts = torch.ones(memory_size)
        if nop:
            acts[-1] = 0
        self.register_buffer("acts", acts, persistent=False)
        self.rewards = RewardStatistics() if self.has_auxiliary_loss else None

    @torch.no_grad()
    def _initialize_heads(self) -> None:
        """Let heads write row after row or to empty rows, and look up what was written."""
        n_after, n_before = self._fields.n_after, len(self.projection.bias)
        # The fields below are views of these.
        weight = F.pad(self.projection.weight.T, (0, n_after))
        bias = F.pad(self.projection.bias, (0, n_after))
        weights, biases = self.split_interface(weight), self.split_interface(bias)
        if self.has_auxiliary_loss:
            initialize_choices(biases)
        else:
            initialize_lookup(weights, biases, self.address_size)
            start = initialize_tape if self.shift_range else initialize_allocation
            start(weights, biases, self.address_size)
        self.projection.weight.copy_(weight.T[:n_before])
        self.projection.bias.copy_(bias[:n_before])

    def check_state(self, state: DNTMState) -> None:
        """Refuse keys and counts of draws that there are not."""
        keys, counts = state.draw.unbind(-1)
        whole = (state.draw == state.draw.floor()) & (state.draw < LIMIT)
        if not bool((whole.all(-1) & (keys >= SOFT) & (counts >= 0)).all()):
            raise ValueError(
                "state.memory.draw holds keys or counts that no network returns; give "
                f"whole numbers below {LIMIT}, such as it returns them"
            )

    def initial_state(self, batch_size: int) -> DNTMState:
        """Return empty contents and no usage; the most probable rows if hard."""
        key = ARGMAX if self.addressing == "hard" else SOFT
        return self._first_state(self.addresses.new_full((batch_size,), key))

    def training_state(self, batch_size: int, seed: int, n_updates: int) -> DNTMState:
        """Return the same with keys to draw rows with, unless the batch is soft."""
        if self.addressing == "soft" or (self.curriculum and _is_soft(seed, n_updates)):
            return self._first_state(self.addresses.new_full((batch_size,), SOFT))
        return self._first_state(make_keys(batch_size, seed).to(self.addresses))

    def _first_state(self, keys: Tensor) -> DNTMState:
        n_sequences, n_heads = keys.shape[0], self.n_read_heads + self.n_write_heads
        content_size = self.word_size - self.address_size
        addresses = self.addresses.expand(n_sequences, -1, -1)
        weights = keys.new_zeros(n_sequences, n_heads, self.memory_size)
        usage, sums = weights, keys.new_zeros(n_sequences, n_heads)
        if self.initial_logits is not None:
            weights = torch.softmax(self.initial_logits, -1).expand(n_sequences, -1, -1)
        return DNTMState(
            F.pad(addresses, (0, content_size)),
            usage,
            weights[:, : self.n_read_heads],
            weights[:, self.n_read_heads :],
            sums,
            sums,
            torch.stack([keys, torch.zeros_like(keys)], dim=-1),
        )

    def interface(  # type: ignore[override]  # uses_inputs
        self, hidden: Tensor, inputs: Tensor
    ) -> DNTMInterface:
        """Map the controller's output and the step's inputs to what the heads receive."""
        from_hidden, from_inputs = self.projection(hidden), self.input_projection(inputs)
        raw = F.pad(from_hidden, (0, self._fields.n_after))
        raw = raw + F.pad(from_inputs, (self._fields.n_before, 0))
        if self.interface_clip is not None:
            raw = raw.clamp(-self.interface_clip, self.interface_clip)
        fields = self.split_interface(raw)
        return fields._replace(
            strength=1 + F.softplus(fields.strength),
            recency=torch.sigmoid(fields.recency),
            gate=torch.sigmoid(fields.gate),
            shift=torch.softmax(fields.shift, dim=-1),
            gamma=1 + F.softplus(fields.gamma),
            erase=torch.sigmoid(fields.erase),
            mix=torch.sigmoid(fields.mix),
        )

    def split_interface(self, columns: Tensor) -> DNTMInterface:
        """Split the columns of an interface, (..., n_columns), into its fields."""
        return self._fields.split(columns)

    def step(self, interface: DNTMInterface, state: DNTMState) -> tuple[Tensor, DNTMState]:
        """Address with all heads, read, then write with each write head in turn."""
        rows = state.memory
        similarity = ops.cosine_similarity(interface.key, rows)
        scores = interface.strength * similarity  # z
        used = state.usage.detach()
        logits = scores - interface.recency * used
        usage = torch.lerp(scores.detach(), used, self.usage_decay)
        if self.shift_range:
            logits = self._move(logits, interface, state)
        weights, state = self._focus(logits, state)

        acting = weights * self.acts
        reads = ops.read(acting[:, : self.n_read_heads], rows)
        new = torch.relu(interface.candidate + interface.mix * interface.given)
        addresses, content = rows.tensor_split([self.address_size], dim=-1)
        for head in range(self.n_write_heads):
            content = ops.write(
                content,
                acting[:, self.n_read_heads + head],
                interface.erase[:, head],
                new[:, head],
            )
        return reads, state._replace(
            memory=torch.cat([addresses, content], dim=-1),
            usage=usage,
            read_weights=weights[:, : self.n_read_heads],
            write_weights=weights[:, self.n_read_heads :],
        )

    def _move(self, logits: Tensor, interface: DNTMInterface, state: DNTMState) -> Tensor:
        """Interpolate with the last weightings, shift and sharpen, up to the softmax."""
        previous = torch.cat([state.read_weights, state.write_weights], dim=1)
        content = torch.softmax(logits, dim=-1)
        gated = ops.interpolate(content, previous, interface.gate)  # NTM eq. 7
        shifted = ops.shift(gated, interface.shift)  # NTM eq. 8
        return interface.gamma * torch.log(shifted + EPSILON)  # NTM eq. 9

    def _focus(self, logits: Tensor, state: DNTMState) -> tuple[Tensor, DNTMState]:
        """Return soft or one-hot weightings, and the state after any draws."""
        probabilities = torch.softmax(logits, dim=-1)
        if self.addressing == "soft":
            return probabilities, state
        key = state.draw[:, :1]
        numbers = uniforms(state.draw, logits.shape[1])
        drawn = choose(probabilities.detach(), numbers)
        rows = torch.where(key > ARGMAX, drawn, most_probable(probabilities))
        one_hot = F.one_hot(rows, self.memory_size).to(logits)
        weights = torch.where(key.unsqueeze(-1) == SOFT, probabilities, one_hot)

        log_probabilities = torch.log_softmax(logits, dim=-1)
        of_rows = log_probabilities.gather(-1, rows.unsqueeze(-1)).squeeze(-1)
        entropy = -(probabilities * log_probabilities).sum(-1)
        is_drawn = (key > ARGMAX).to(logits)
        count = (state.draw[:, 1:] + is_drawn) % LIMIT
        return weights, state._replace(
            log_probability=state.log_probability + is_drawn * of_rows,
            entropy=state.entropy + is_drawn * entropy,
            draw=torch.cat([key, count], dim=1),
        )

    def weightings(self, trace: Trace) -> dict[str, Tensor]:
        """Return where each write head wrote and each read head read."""
        return weightings_of_heads(trace.states)

    def parts(self) -> dict[str, dict[str, slice]]:
        """Name the rows of both projections by head and field: "read head 0: key"."""
        return self._fields.parts(self.n_read_heads)

    def penalty(self, trace: Trace) -> Tensor:
        r"""Penalise writing and strength and, as in the NTM, sharpening and shifts.

        .. math::

            \sum_t 0.03 (\lVert e_t \rVert^2 + \lVert \bar c_t \rVert^2)
            + 0.001 (\beta_t - 1)^2

        With shifts, :math:`0.01 (\gamma_t - 1)^2 + 0.3 \sum_i s_t(i) (1 - s_t(i))` is
        added.

        Parameters
        ----------
        trace : Trace
            Of this memory, with or without the contents.

        Returns
        -------
        penalty : Tensor of shape (batch,)
            In nats.
        """
        told = trace.interfaces
        content = torch.relu(told.candidate + told.mix * told.given)
        writing = told.erase.square().flatten(1).sum(1) + content.square().flatten(1).sum(1)
        # relu: β and γ are 0 after a sequence's end.
        looking_up = torch.relu(told.strength - 1).square().flatten(1).sum(1)
        sharpening = torch.relu(told.gamma - 1).square().flatten(1).sum(1)
        uncertainty = (told.shift * (1 - told.shift)).flatten(1).sum(1)
        return (
            WRITE_COST * writing
            + STRENGTH_COST * looking_up
            + GAMMA_COST * sharpening
            + SHIFT_COST * uncertainty
        )

    def auxiliary_loss(self, trace: Trace, log_likelihood: Tensor) -> Tensor:
        r"""Return the loss that trains hard addressing, REINFORCE with two baselines.

        .. math::

            -\sum_t \tilde R_t \log p(j_t) - \lambda_H \sum_t H_t
            + \sum_t \mathrm{huber}(\tilde R_t), \qquad
            \tilde R_t = \frac{R - b}{\sqrt{\sigma^2 + \varepsilon}} - b(x_t)

        R is the log-likelihood of a sequence, b and σ² are running statistics of it, and
        b(x) is a linear function of the inputs. R̃ has no gradient but in the last term,
        which trains b(x) alone. In a soft batch of a curriculum, all of this is 0.

        Parameters
        ----------
        trace : Trace
            Of this memory, from :meth:`training_state` on, with or without the contents.
        log_likelihood : Tensor of shape (batch,)

        Returns
        -------
        loss : Tensor of shape (batch,)
            In nats.
        """
        states = trace.states
        is_drawn = states.draw[:, 0, 0] > ARGMAX
        loss = log_likelihood.new_zeros(log_likelihood.shape)
        if self.rewards is None or not is_drawn.any():
            return loss
        present = (states.read_weights[is_drawn, :, 0].sum(-1) > 0.5).to(loss)
        rewards = self.rewards.normalize(log_likelihood[is_drawn])
        return loss.index_put(
            (is_drawn,),
            reinforce_loss(
                _differences(states.log_probability[is_drawn].sum(-1)) * present,
                _differences(states.entropy[is_drawn].sum(-1)) * present,
                rewards[:, None] * present,
                trace.interfaces.baseline[is_drawn, :, 0, 0],
                self.entropy_cost,
            ).to(loss),
        )


def _check_room(memory_size: int, word_size: int, nop: bool) -> None:
    if word_size < 2:
        raise ValueError(
            f"word_size={word_size} leaves no room for an address beside the content; "
            "use at least 2"
        )
    if nop and memory_size < 2:
        raise ValueError(
            f"memory_size={memory_size} leaves no row to write to beside the one without "
            "effect; use at least 2, or nop=False in memory_params"
        )


def _is_soft(seed: int, n_updates: int) -> bool:
    """Return whether a batch of the curriculum is soft."""
    number = int(scramble(scramble(torch.tensor(seed)) ^ LIMIT)) / 2**32
    return number < 1 / math.sqrt(1 + n_updates)


def _differences(sums: Tensor) -> Tensor:
    """Return what each step added to a running sum, (batch, n_timesteps)."""
    return torch.diff(sums, dim=1, prepend=torch.zeros_like(sums[:, :1]))
