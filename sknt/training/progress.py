"""How far training has come, and what the next update is: plain functions of values.

Nothing here knows a network. After each update, :func:`observe` records its loss in the
:class:`Progress`, :func:`advance` moves on to the next phase when it is time, and
:func:`next_update` returns the settings of the next update. The net carries it out
(:meth:`sknt.training.net.SequenceNet.train_step`); rates, penalty and noise are decided
nowhere else.

A task is *learned* when the running mean of the loss is below 5 % of the loss of guessing
from the distribution of the targets alone. It is then *consolidated*: the learning rate
falls to 2 % along a cosine, while two perturbations are ramped up and down again. One is
the memory's penalty on what its heads do
(:meth:`sknt.memories.Memory.penalty`): heads that write only what is needed keep what they
wrote on sequences much longer than those in training. The other is noise on the inputs: a
row that is found in spite of it is well separated from all others. If the task is not
solved exactly by the end of the consolidation, it is annealed again from a tenth of the
rate, up to three times. If what was learned is lost, learning begins again.
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

LEARNED = 0.05
"""A task is learned when the mean loss is below this fraction of the loss of guessing."""

EXACT = 0.001
"""It is annealed once more if the final mean loss is above this fraction of that loss."""

LOST = 10 * LEARNED
"""Above this fraction of it, what was learned is lost and learning begins again."""

DECAY = 0.95
"""Decay of the running mean of the loss, per update."""

RAMP, RAMP_END = 0.15, 0.65
"""Penalty and noise ramp up over the first fraction, and are gone at the second."""

NOISE = 0.4
"""Standard deviation of the noise on the inputs, as a fraction of their own."""

WARM_UP, ANNEALING_WARM_UP = 100, 60
"""Number of updates over which the learning rate warms up: before a consolidation, and with
a cosine over the whole run."""

WARM_UP_PART = 0.1
"""Part of a run with a cosine over which the learning rate warms up at most."""

MAX_ROUNDS, ROUND_RATE = 3, 0.1
"""Most extra rounds of annealing, and the fraction of the rate they begin at."""

LATE_PART = 0.15
"""Last part of the consolidation, over which the loss must be small throughout."""

LAST_RATE = 0.02
"""Fraction of the learning rate that is left at the end."""

FINAL_PART = 0.4
"""Last part of the planned training: the rate falls there if the task is not learned."""


@dataclass(frozen=True)
class Progress:
    """How far training has come; kept with the weights.

    Attributes
    ----------
    n_sequences, n_updates : int
        Sequences seen and updates performed so far.
    n_before : int
        Sequences seen before the current learning began.
    mean_loss : float or None
        Running mean of the loss per target, as a fraction of the loss of guessing.
    last_lapse : int
        Sequences seen when a batch's loss was last above that of a learned task.
    learned_at : int or None
        Sequences seen when the consolidation, or its last round of annealing, began.
    length, whole_length : int
        Sequences in the consolidation, and in one that no plan cuts short.
    late_loss, n_late : float and int
        Mean loss in the last part of the consolidation and since, over how many updates.
    n_rounds : int
        Extra rounds of annealing so far.
    first_rate : float
        Fraction of learning rate, penalty and noise that the consolidation began with.
    held : bool
        Whether nothing counts as learned yet, because the task will get harder.
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
        """Fraction of the consolidation that is over; above 1 after it."""
        if self.learned_at is None:
            return 0.0
        return (self.n_sequences - self.learned_at) / self.length

    @property
    def exact(self) -> bool:
        """Whether the loss of the last 15 % is small, on average and in every batch."""
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
    """What one training run was asked for.

    Attributes
    ----------
    consolidates : bool
        Whether a learned task is consolidated.
    anneals : bool
        Whether the rate falls along a cosine over the whole run. If neither, all updates
        are alike.
    duration : float
        Length of the consolidation, relative to the number of sequences learning took.
    n_first, n_first_updates : int
        Sequences seen and updates performed before this run.
    n_planned : int or None
        Sequences that this run will show, if known. The rate then falls over the
        last 40 % of them even if the task is not learned; if it is learned meanwhile, the
        consolidation continues from the rate reached.
    """

    consolidates: bool = False
    anneals: bool = False
    duration: float = 1.4
    n_first: int = 0
    n_first_updates: int = 0
    n_planned: int | None = None


class Update(NamedTuple):
    """The settings of one update of the weights."""

    rate: float = 1.0  # factor of the learning rate
    penalty: float = 0.0  # factor of the memory's penalty
    noise: float = 0.0  # standard deviation of the noise, as a fraction of the inputs' own
    orthogonal: bool = True  # whether an optimizer with two kinds of steps uses Muon's


def observe(progress: Progress, loss: float, n: int) -> Progress:
    """Record an update.

    Parameters
    ----------
    progress : Progress
    loss : float
        Mean loss per target, as a fraction of the loss of guessing. If it is not finite,
        it stays out of the means.
    n : int
        Sequences in the batch.

    Returns
    -------
    progress : Progress
    """
    shown, is_finite = progress.n_sequences + n, math.isfinite(loss)
    mean = progress.mean_loss
    if is_finite:
        mean = DECAY * (loss if mean is None else mean) + (1 - DECAY) * loss
    seen = replace(
        progress,
        n_sequences=shown,
        n_updates=progress.n_updates + 1,
        mean_loss=mean,
        last_lapse=progress.last_lapse if loss < LEARNED else shown,
    )
    if is_finite and seen.fraction > 1 - LATE_PART:
        n_late = seen.n_late + 1
        late_loss = seen.late_loss + (loss - seen.late_loss) / n_late
        seen = replace(seen, n_late=n_late, late_loss=late_loss)
    return seen


def advance(progress: Progress, plan: Plan) -> Progress:
    """Move on to the next phase when it is time: the task is learned, or lost again.

    Parameters
    ----------
    progress : Progress
    plan : Plan

    Returns
    -------
    progress : Progress
        The same object if nothing changes.
    """
    if not plan.consolidates or progress.mean_loss is None:
        return progress
    if progress.learned_at is None:
        if progress.mean_loss < LEARNED and not progress.held:
            return _begin_consolidation(progress, plan)
    elif progress.mean_loss > LOST or progress.held:
        is_over = progress.phase == "learned"
        n_before = progress.n_sequences if is_over else progress.n_before
        return replace(progress, learned_at=None, n_before=n_before)
    elif progress.fraction >= 1 and not progress.exact and progress.n_rounds < MAX_ROUNDS:
        is_first = not progress.n_rounds
        length = math.ceil(progress.length / 2) if is_first else progress.length
        return replace(_begin_round(progress, length), n_rounds=progress.n_rounds + 1)
    return progress


def next_update(progress: Progress, plan: Plan) -> Update:
    """Return the settings of the next update.

    Parameters
    ----------
    progress : Progress
    plan : Plan

    Returns
    -------
    update : Update
    """
    if plan.anneals and plan.n_planned:
        done = (progress.n_sequences - plan.n_first) / plan.n_planned
        warm_up = (progress.n_updates - plan.n_first_updates + 1) / ANNEALING_WARM_UP
        warm_up = min(1.0, max(warm_up, done / WARM_UP_PART))
        return Update(rate=warm_up * _cosine(min(1.0, done)))
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
    noise = NOISE * penalty * _tolerated_noise(progress.mean_loss)
    return Update(rate, penalty, noise, orthogonal=False)


def _begin_consolidation(progress: Progress, plan: Plan) -> Progress:
    """Begin to consolidate a learned task."""
    length = whole = math.ceil(plan.duration * (progress.n_sequences - progress.n_before))
    if plan.n_planned is not None:
        left = plan.n_first + plan.n_planned - progress.n_sequences
        if left > 0:
            length = min(length, left)
    return replace(
        _begin_round(progress, length),
        whole_length=whole,
        n_rounds=0,
        first_rate=_planned_rate(progress, plan),
    )


def _begin_round(progress: Progress, length: int) -> Progress:
    """Begin a consolidation, or a round of annealing, of ``length`` sequences."""
    return replace(
        progress, learned_at=progress.n_sequences, length=length, late_loss=0.0, n_late=0
    )


def _planned_rate(progress: Progress, plan: Plan) -> float:
    """Return the rate while the task is being learned, after the warm-up."""
    if plan.n_planned is None:
        return 1.0
    left = 1 - (progress.n_sequences - plan.n_first) / plan.n_planned
    return _cosine(min(1.0, 1 - left / FINAL_PART)) if left < FINAL_PART else 1.0


def _tolerated_noise(mean_loss: float) -> float:
    """Return the fraction of the noise that a task tolerates: 0 at twice LEARNED."""
    return max(0.0, 1 - mean_loss / (2 * LEARNED))


def _cosine(fraction: float) -> float:
    return max(LAST_RATE, (1 + math.cos(math.pi * fraction)) / 2)
