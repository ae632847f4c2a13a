"""A fit that is kept in a file while it trains, and goes on from it after it was killed.

The state is written at the beginning of an epoch, before anything else happens in it, so
that no callback has asked to stop training since the last update. How often depends on
how long it takes.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from skorch.callbacks import Callback
from torch import Tensor

from sknt.data.doubts import warn
from sknt.storage.checkpoints import CheckpointFile
from sknt.training.checkpoint import Checkpoint
from sknt.training.identity import digest
from sknt.training.running import (
    Stateless,
    global_generators,
    restore_training,
    set_global_generators,
    training_state,
)

MIN_SECONDS, MAX_COST = 1.0, 0.05
"""The state is written at most once in so many seconds, and takes at most about this
fraction of the time."""

N_SEEDS = 4


class OngoingFit:
    """How far a fit has come, and the file, if any, that says so.

    Parameters
    ----------
    seeds : sequence of int
        Those that this call has drawn.
    file : CheckpointFile or None, default=None
    continues_any : bool, default=False
        Whether the file's seeds take the place of those drawn.

    Attributes
    ----------
    seeds : list of int
        Those that the fit has begun with.
    n_done : int
        Epochs that were finished before this call.
    judged : tuple of float or None
        The network's share in a blend and the blend's mean loss, once they are known.
    drawn_from : set of str
        The process's own random generators that training has drawn from.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        file: CheckpointFile | None = None,
        *,
        continues_any: bool = False,
    ):
        self.seeds = list(seeds)
        self.n_done = 0
        self.judged: tuple[float, float | None] | None = None
        self.drawn_from: set[str] = set()
        self._file = file
        self._data = ""
        self._state = None if file is None else self._read(file)
        if self._state is not None and continues_any:
            self.seeds = self._state["seeds"]

    def _read(self, file: CheckpointFile) -> dict[str, Any] | None:
        try:
            state = file.read()
            if state is not None:
                _check(state)
        except Exception as error:  # of any type, as the file may hold anything
            self._say_anew(str(error))
            return None
        return state

    def check_first(self, data: Any) -> None:
        """Go on only if a stream begins with the data that it began with before."""
        if self._file is None:
            return
        self._data = digest(data)
        if self._state is not None and self._state["first_data"] != self._data:
            self._say_anew("the stream does not give the data that it gave before")
            self._state = None

    def callbacks(self) -> list[Callback]:
        """Return the callbacks that have to come before all others."""
        return [] if self._file is None else [KeepsInFile(self)]

    def remaining(
        self, parts: Iterable[tuple[Any, int]], n_streamed: int | None = None
    ) -> Iterator[tuple[Any, int]]:
        """Yield the parts of the training that are left, and their numbers of epochs.

        Parameters
        ----------
        parts : iterable of TrainingData and int
        n_streamed : int or None, default=None
            Of a stream, how many parts of one epoch there are. Each is made when it is
            asked for, from the state of the net, so none but the first is made twice.
        """
        n_left = self.n_done
        if n_streamed is not None and n_left:
            yield from islice(parts, 1, 1 + n_streamed - n_left)
            return
        for data, n_epochs in parts:
            n_skipped = min(n_left, n_epochs)
            n_left -= n_skipped
            if n_epochs > n_skipped:
                yield data, n_epochs - n_skipped

    def resume(self, net: Any) -> None:
        """Put a net that begins to train into the file's state, if there is one."""
        if self._state is None:
            return
        state, undo = self._state, Checkpoint(net)
        self._state = None
        try:
            restore_training(net, state)
        except Exception as error:  # of any type, as for the file
            undo.restore()
            self._say_anew(str(error))
            return
        set_global_generators(state["global_generators"])
        self.drawn_from = set(state["global_generators"])
        self.n_done, self.judged = state["n_done"], state["judged"]

    def write(self, net: Any, n_done: int, generators: dict[str, Any]) -> None:
        """Write the state of a net that is in training."""
        assert self._file is not None
        state = {
            "n_done": n_done,
            "seeds": self.seeds,
            "judged": self.judged,
            "first_data": self._data,
            "global_generators": generators,
            **training_state(net),
        }
        self._file.write(state)

    def end(self) -> None:
        """Remove the file of a fit that has come to its end."""
        if self._file is not None:
            self._file.remove()

    def _say_anew(self, why: str) -> None:
        assert self._file is not None
        path, why = self._file.path, " ".join(why.split())
        message = f"The checkpoint {path!r} cannot be used: {why}. Training begins anew"
        warn(message, UserWarning)


class KeepsInFile(Stateless):
    """The callback that writes a fit's state to its file now and then.

    Parameters
    ----------
    ongoing : OngoingFit
    clock : callable, default=time.monotonic
        Returns seconds.
    """

    def __init__(self, ongoing: OngoingFit, clock: Callable[[], float] = time.monotonic):
        self.ongoing = ongoing
        self.clock = clock

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Nothing has been done or written yet."""
        self.n_begun_ = 0
        self.next_ = -float("inf")
        self.has_failed_ = False
        self.generators_ = global_generators()

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Write the state, if it is time."""
        n_done = self.ongoing.n_done + self.n_begun_
        is_first = self.n_begun_ == 0
        self.n_begun_ += 1
        if (is_first and n_done) or self.clock() < self.next_:
            return
        start = self.clock()
        try:
            self.ongoing.write(net, n_done, self._drawn_from())
        except (OSError, MemoryError, TypeError, ValueError) as error:
            if is_first:
                raise _as_refusal(error) from error
            self._warn(error)
        end = self.clock()
        self.next_ = end + max(MIN_SECONDS, (end - start) / MAX_COST)

    def _drawn_from(self) -> dict[str, Any]:
        """Return the states of the global generators that training has drawn from.

        The others are the user's, and stay as they are when a fit goes on.
        """
        now, before = global_generators(), self.generators_
        changed = {name for name in now if digest(now[name]) != digest(before[name])}
        self.ongoing.drawn_from |= changed
        return {name: now[name] for name in self.ongoing.drawn_from}

    def _warn(self, error: Exception) -> None:
        if self.has_failed_:
            return
        self.has_failed_ = True
        warn(
            f"The checkpoint cannot be written ({error}). Training goes on; after it is "
            "killed, the last checkpoint that was written is used",
            UserWarning,
        )


def _as_refusal(error: Exception) -> Exception:
    if isinstance(error, TypeError):
        return TypeError(f"the fit cannot be kept in a checkpoint: {error}")
    return ValueError(f"the checkpoint cannot be written: {error}")


def _check(state: dict[str, Any]) -> None:
    """Check the parts that are used before the net's state is."""
    seeds, judged = state["seeds"], state["judged"]
    are_seeds = isinstance(seeds, list) and len(seeds) == N_SEEDS
    if not are_seeds or not all(type(s) is int and 0 <= s < 2**31 for s in seeds):
        raise ValueError("its seeds are none")
    if type(state["n_done"]) is not int or state["n_done"] < 0:
        raise ValueError("its number of epochs is none")
    if judged is not None and not all(isinstance(part, float) for part in judged):
        raise ValueError("its share of a blend is none")
    if not isinstance(state["global_generators"].get("torch", Tensor()), Tensor):
        raise ValueError("its generator is none")
