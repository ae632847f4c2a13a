"""When a task is learned, and what happens then: a schedule driven by the loss."""

import math
from dataclasses import dataclass
from typing import Any

from skorch.callbacks import Callback

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


@dataclass
class Schedule:
    """How far a net's training has come; kept with its weights.

    Attributes
    ----------
    n_sequences, n_updates : int
        Sequences shown and updates done so far.
    began : int
        Of them, those before what is now being learned.
    mean_loss : float or None
        Running mean of the loss of a target, as a part of the loss of guessing.
    last_lapse : int
        Sequences shown when a batch's loss was last above that of a learned task.
    learned_at : int or None
        Sequences shown when the task was learned, if it is.
    length, whole_length : int
        Sequences of the consolidation, and of one that no plan cuts short.
    late_loss, n_late : float and int
        Mean loss in the last part of the consolidation and since, of how many updates.
    n_rounds : int
        How often it was annealed once more.
    rate : float
        Part of the learning rate, penalty and noise that the consolidation began with.
    factor : float
        Factor of the learning rate now.
    held : bool
        Whether nothing is taken for learned yet, because the task will get harder.
    """

    n_sequences: int = 0
    n_updates: int = 0
    began: int = 0
    mean_loss: float | None = None
    last_lapse: int = 0
    learned_at: int | None = None
    length: int = 0
    whole_length: int = 0
    late_loss: float = 0.0
    n_late: int = 0
    n_rounds: int = 0
    rate: float = 1.0
    factor: float = 1.0
    held: bool = False

    def count(self, n_sequences: int, loss: float) -> None:
        """Count sequences, and take their loss into the mean if it is finite.

        Parameters
        ----------
        n_sequences : int
        loss : float
            Mean loss of a target, as a part of the loss of guessing.
        """
        self.n_sequences += n_sequences
        self.n_updates += 1
        if not loss < LEARNED:
            self.last_lapse = self.n_sequences
        if math.isfinite(loss):
            mean = loss if self.mean_loss is None else self.mean_loss
            self.mean_loss = DECAY * mean + (1 - DECAY) * loss
            if self.progress > 1 - LATE_PART:
                self.n_late += 1
                self.late_loss += (loss - self.late_loss) / self.n_late

    def consolidate(self, length: int) -> None:
        """Begin a consolidation, or a round of annealing, of so many sequences."""
        self.learned_at, self.length = self.n_sequences, length
        self.late_loss, self.n_late = 0.0, 0

    @property
    def progress(self) -> float:
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
        """Return "learning", "consolidating" or "learned"."""
        if self.learned_at is None:
            return "learning"
        return "consolidating" if self.progress < 1 else "learned"


class Consolidation(Callback):
    """Anneal and tidy up a task as soon as it is learned, then end.

    While the task is being learned, the learning rate is constant, but for the first 100
    updates, over which it rises. The task is learned when the running mean of the loss is
    below 5 % of the loss of guessing. From then on, for `duration` times as many sequences
    as that took, the learning rate falls to 2 % along a cosine, and two things rise and go
    again. One is the memory's penalty on what its heads do
    (:meth:`sknt.memories.NTMMemory.penalty`): heads that write only what is needed keep
    what they wrote on sequences much longer than those trained on. The other is noise on
    the inputs, of up to 0.4 of their standard deviation in the batch, and less where the
    mean loss nears twice that of a learned task: what is found in spite of it is told from
    everything else with room to spare. The optimizer "muon-adam" takes Adam's steps from
    here on. If in the last 15 % the mean loss is above 0.1 % of that of guessing, or a
    batch's above 5 %, it is annealed once more, half as long, from a tenth of the rate and
    with neither of the two, up to three times. If the mean loss rises above 50 %, learning
    begins again.

    Parameters
    ----------
    n_planned : int or None, default=None
        Sequences that this training will show, if that is known: the rate then falls over
        the last 40 % of them even if the task is not learned, and goes on falling from
        there if it is learned then.
    duration : float, default=1.4
        The consolidation lasts so many times as many sequences as learning took.
    stops : bool, default=True
        Whether the training ends after the consolidation.

    Notes
    -----
    The history's ``phase`` is "learning", "consolidating" or "learned"; its losses are
    those with the noise.
    """

    def __init__(
        self, n_planned: int | None = None, duration: float = 1.4, stops: bool = True
    ):
        self.n_planned = n_planned
        self.duration = duration
        self.stops = stops

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Remember where this training begins."""
        self.first_ = net.schedule_.n_sequences

    def on_batch_begin(self, net: Any, training: bool, **kwargs: Any) -> None:
        """Set the kind and the size of the next update's step, its penalty and noise."""
        if not training:
            return
        schedule = net.schedule_
        factor, penalty, noise = self._planned(schedule), 0.0, 0.0
        if schedule.n_updates < WARM_UP:
            factor = min(factor, (schedule.n_updates + 1) / WARM_UP)
        if schedule.learned_at is not None:
            p = min(1.0, schedule.progress)
            factor = max(LAST_RATE, schedule.rate * _cosine(p))
            if schedule.n_rounds:
                factor *= ROUND_RATE
            else:
                height = min(p, RAMP_END - p) / RAMP
                part = schedule.rate * schedule.length / schedule.whole_length
                penalty = part * min(1.0, max(0.0, height))
                noise = NOISE * penalty * _borne(schedule.mean_loss)
        net.scale_learning_rate(factor)
        net.take_orthogonal_steps(schedule.learned_at is None)
        net.penalty_, net.noise_ = penalty, noise

    def _planned(self, schedule: Schedule) -> float:
        """Return the factor while the task is being learned, once warmed up."""
        if self.n_planned is None:
            return 1.0
        left = 1 - (schedule.n_sequences - self.first_) / self.n_planned
        return _cosine(min(1.0, 1 - left / FINAL_PART)) if left < FINAL_PART else 1.0

    def on_batch_end(self, net: Any, training: bool, **kwargs: Any) -> None:
        """See whether the task is learned, or lost again."""
        schedule = net.schedule_
        if not training or schedule.mean_loss is None:
            return
        if schedule.learned_at is None:
            if schedule.mean_loss < LEARNED and not schedule.held:
                self._begin_to_consolidate(schedule)
        elif schedule.mean_loss > LOST or schedule.held:
            if schedule.phase == "learned":
                schedule.began = schedule.n_sequences
            schedule.learned_at = None
        elif (
            schedule.progress >= 1 and not schedule.exact and schedule.n_rounds < MAX_ROUNDS
        ):
            is_first = not schedule.n_rounds
            length = math.ceil(schedule.length / 2) if is_first else schedule.length
            schedule.consolidate(length)
            schedule.n_rounds += 1

    def _begin_to_consolidate(self, schedule: Schedule) -> None:
        schedule.n_rounds, schedule.rate = 0, self._planned(schedule)
        taken = schedule.n_sequences - schedule.began
        length = schedule.whole_length = math.ceil(self.duration * taken)
        if self.n_planned is not None:
            left = self.first_ + self.n_planned - schedule.n_sequences
            if left > 0:
                length = min(length, left)
        schedule.consolidate(length)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Record the phase, and end the training when all is done."""
        schedule = net.schedule_
        net.history.record("phase", schedule.phase)
        if self.stops and schedule.phase == "learned":
            raise KeyboardInterrupt  # skorch's way to end a training


def _borne(mean_loss: float) -> float:
    """Return how much of the noise a task bears: none of it at twice the learned loss."""
    return max(0.0, 1 - mean_loss / (2 * LEARNED))


def _cosine(p: float) -> float:
    return max(LAST_RATE, (1 + math.cos(math.pi * p)) / 2)
