"""How far a training has come, and what the next update is: plain functions of values.

Nothing here knows a network. After each update :func:`observe` takes its loss into the
:class:`Progress`, :func:`advance` moves on to the next phase if it is time, and
:func:`next_update` says what the next update is. The net asks for it
(:meth:`sknt.training.net.SequenceNet.train_step`), and nobody else decides about rates,
penalty and noise.

A task is *learned* when the running mean of the loss is below 5 % of the loss of guessing.
It is then *consolidated*: the learning rate falls to 2 % along a cosine, and two things
rise and go again. One is the memory's penalty on what its heads do
(:meth:`sknt.memories.Memory.penalty`): heads that write only what is needed keep what they
wrote on sequences much longer than those trained on. The other is noise on the inputs: what
is found in spite of it can be told from everything else with room to spare. If the end of
the consolidation is not exact, it is annealed again from a tenth of the rate, up to three
times; if what was learned is lost, learning begins again.
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

LEARNED = 0.05
"""A task is learned when the mean loss is below this part of the loss of guessing."""

EXACT = 0.001
"""It is annealed once more if the mean loss is above this part of it in the end."""

LOST = 10 * LEARNED
"""Above this part of it, what was learned is lost and learning begins again."""

DECAY = 0.95
"""Of the running mean of the loss, at each update."""

RAMP, RAMP_END = 0.15, 0.65
"""Penalty and noise rise over this part of the consolidation, and are gone at the end."""

NOISE = 0.4
"""Standard deviation of the noise on the inputs, as a part of their own."""

WARM_UP = 100
"""Updates over which the learning rate rises in the beginning."""

MAX_ROUNDS, ROUND_RATE = 3, 0.1
"""How often it is annealed once more at most, and from which part of the rate."""

LATE_PART = 0.15
"""The last part of the consolidation: its mean loss tells, and no batch may be bad."""

LAST_RATE = 0.02
"""Part of the learning rate that is left in the end."""

FINAL_PART = 0.4
"""Part of the planned training in which the rate falls if the task is not learned yet."""


@dataclass(frozen=True)
class Progress:
    """How far a training has come; kept with the weights.

    Attributes
    ----------
    n_sequences, n_updates : int
        Sequences shown and updates done so far.
    n_before : int
        Sequences that had been shown when what is now being learned was begun.
    mean_loss : float or None
        Running mean of the loss of a target, as a part of the loss of guessing.
    last_lapse : int
        Sequences shown when a batch's loss was last above that of a learned task.
    learned_at : int or None
        Sequences shown when the consolidation, or its last round of annealing, began.
    length, whole_length : int
        Sequences of the consolidation, and of one that no plan cuts short.
    late_loss, n_late : float and int
        Mean loss in the last part of the consolidation and since, of how many updates.
    n_rounds : int
        How often it was annealed once more.
    first_rate : float
        Part of the learning rate, penalty and noise that the consolidation began with.
    held : bool
        Whether nothing is taken for learned yet, because the task will get harder.
    """

    n_sequences: int = 0
    n_updates: int = 0
    n_before: int = 0
    mean_loss: float | None = None
    last_lapse: int = 0
    learned_at: int | None = None
    length: int = 0
    whole_length: int = 0
    late_loss: float = 0.0
    n_late: int = 0
    n_rounds: int = 0
    first_rate: float = 1.0
    held: bool = False

    @property
    def fraction(self) -> float:
        """Part of the consolidation that is over; above 1 after it."""
        if self.learned_at is None:
            return 0.0
        return (self.n_sequences - self.learned_at) / self.length

    @property
    def exact(self) -> bool:
        """Whether the loss of the last 15 % is small, in the mean and in each batch."""
        lapsed = self.n_sequences - self.last_lapse < LATE_PART * self.length
        return self.n_late > 0 and self.late_loss < EXACT and not lapsed

    @property
    def phase(self) -> str:
        """One of "learning", "consolidating" and "learned"."""
        if self.learned_at is None:
            return "learning"
        return "consolidating" if self.fraction < 1 else "learned"


@dataclass(frozen=True)
class Plan:
    """What one training was asked for.

    Attributes
    ----------
    consolidates : bool
        Whether a learned task is consolidated. Otherwise all updates are alike.
    duration : float
        The consolidation lasts so many times as many sequences as learning took.
    n_first : int
        Sequences shown before this training.
    n_planned : int or None
        Sequences that this training will show, if that is known: the rate then falls over
        the last 40 % of them even if the task is not learned, and goes on falling from
        there if it is learned then.
    """

    consolidates: bool = False
    duration: float = 1.4
    n_first: int = 0
    n_planned: int | None = None


class Update(NamedTuple):
    """What an update of the weights is."""

    rate: float = 1.0  # factor of the learning rate
    penalty: float = 0.0  # factor of the memory's penalty
    noise: float = 0.0  # standard deviation of the noise, as a part of the inputs' own
    orthogonal: bool = True  # whether an optimizer with two kinds of steps takes Muon's


def observe(progress: Progress, loss: float, n: int) -> Progress:
    """Take an update into account.

    Parameters
    ----------
    progress : Progress
    loss : float
        Mean loss of a target, as a part of the loss of guessing. One that is not finite
        stays out of the means.
    n : int
        Sequences of the batch.

    Returns
    -------
    progress : Progress
    """
    shown = progress.n_sequences + n
    seen = replace(
        progress,
        n_sequences=shown,
        n_updates=progress.n_updates + 1,
        last_lapse=progress.last_lapse if loss < LEARNED else shown,
    )
    if not math.isfinite(loss):
        return seen
    mean = loss if seen.mean_loss is None else seen.mean_loss
    seen = replace(seen, mean_loss=DECAY * mean + (1 - DECAY) * loss)
    if seen.fraction > 1 - LATE_PART:
        n_late = seen.n_late + 1
        late_loss = seen.late_loss + (loss - seen.late_loss) / n_late
        seen = replace(seen, n_late=n_late, late_loss=late_loss)
    return seen


def advance(progress: Progress, plan: Plan) -> Progress:
    """Move on to the next phase if it is time: the task is learned, or lost again.

    Parameters
    ----------
    progress : Progress
    plan : Plan

    Returns
    -------
    progress : Progress
        The same one if nothing changes.
    """
    if not plan.consolidates or progress.mean_loss is None:
        return progress
    if progress.learned_at is None:
        if progress.mean_loss < LEARNED and not progress.held:
            return _consolidation(progress, plan)
    elif progress.mean_loss > LOST or progress.held:
        is_over = progress.phase == "learned"
        n_before = progress.n_sequences if is_over else progress.n_before
        return replace(progress, learned_at=None, n_before=n_before)
    elif progress.fraction >= 1 and not progress.exact and progress.n_rounds < MAX_ROUNDS:
        is_first = not progress.n_rounds
        length = math.ceil(progress.length / 2) if is_first else progress.length
        return replace(_begun(progress, length), n_rounds=progress.n_rounds + 1)
    return progress


def next_update(progress: Progress, plan: Plan) -> Update:
    """Say what the next update is.

    Parameters
    ----------
    progress : Progress
    plan : Plan

    Returns
    -------
    update : Update
    """
    if not plan.consolidates:
        return Update()
    if progress.learned_at is None or progress.mean_loss is None:
        rate = _planned_rate(progress, plan)
        return Update(rate=min(rate, (progress.n_updates + 1) / WARM_UP))
    fraction = min(1.0, progress.fraction)
    rate = max(LAST_RATE, progress.first_rate * _cosine(fraction))
    if progress.n_rounds:
        return Update(rate=rate * ROUND_RATE, orthogonal=False)
    height = min(1.0, max(0.0, min(fraction, RAMP_END - fraction) / RAMP))
    penalty = progress.first_rate * progress.length / progress.whole_length * height
    noise = NOISE * penalty * _borne_noise(progress.mean_loss)
    return Update(rate, penalty, noise, orthogonal=False)


def _consolidation(progress: Progress, plan: Plan) -> Progress:
    """Begin to consolidate what is learned."""
    length = whole = math.ceil(plan.duration * (progress.n_sequences - progress.n_before))
    if plan.n_planned is not None:
        left = plan.n_first + plan.n_planned - progress.n_sequences
        if left > 0:
            length = min(length, left)
    return replace(
        _begun(progress, length),
        whole_length=whole,
        n_rounds=0,
        first_rate=_planned_rate(progress, plan),
    )


def _begun(progress: Progress, length: int) -> Progress:
    """Begin a consolidation, or a round of annealing, of so many sequences."""
    return replace(
        progress, learned_at=progress.n_sequences, length=length, late_loss=0.0, n_late=0
    )


def _planned_rate(progress: Progress, plan: Plan) -> float:
    """Return the rate while the task is being learned, once warmed up."""
    if plan.n_planned is None:
        return 1.0
    left = 1 - (progress.n_sequences - plan.n_first) / plan.n_planned
    return _cosine(min(1.0, 1 - left / FINAL_PART)) if left < FINAL_PART else 1.0


def _borne_noise(mean_loss: float) -> float:
    """Return how much of the noise a task bears: none of it at twice the learned loss."""
    return max(0.0, 1 - mean_loss / (2 * LEARNED))


def _cosine(fraction: float) -> float:
    return max(LAST_RATE, (1 + math.cos(math.pi * fraction)) / 2)
