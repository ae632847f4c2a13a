"""Telling a user's interrupt (Ctrl-C) from a callback that stops training.

skorch's callbacks stop training by raising KeyboardInterrupt, which Python also raises at
Ctrl-C, wherever it happens to be, including inside callbacks. During training, interrupts
that come from the signal are marked; all others are a callback's.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class TrainingStopped(KeyboardInterrupt):
    """Raised inside a callback to end training; what was learned is kept.

    Raising KeyboardInterrupt itself, as skorch's own callbacks do, has the same effect.
    """


class TrainingFailed(TrainingStopped):
    """Ends training at once, before other callbacks see a state that is not finite."""


_watching: list["Interrupts"] = []
"""The training runs of the main thread, one inside the other."""


class Interrupts:
    """Watch SIGINT during training: mark its interrupts, or hold them back for a while.

    Attributes
    ----------
    deferred : KeyboardInterrupt or None
        The first interrupt since :meth:`defer`. It has not been raised anywhere yet; a
        second one is raised at once.

    Python delivers signals to the main thread alone. In other threads there is nothing to
    watch, nor is there if the process does not handle SIGINT in Python.
    """

    def __init__(self) -> None:
        self.deferred: KeyboardInterrupt | None = None
        self._defers = False
        self._holds = False
        self._held: tuple[int, Any] | None = None
        self._handle: Any = None

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Mark the interrupts that arrive inside the block."""
        previous = self._handler()
        if previous is None:
            yield
            return

        def handle(signum: int, frame: Any) -> None:
            if self._holds:
                self._held = signum, frame
                return
            try:
                previous(signum, frame)
            except KeyboardInterrupt as interrupt:
                vars(interrupt).setdefault("_runs", []).append(self)
                if self._defers and self.deferred is None:
                    self.deferred = interrupt
                    return
                raise

        self._handle = handle
        _watching.append(self)
        signal.signal(signal.SIGINT, handle)
        try:
            yield
        finally:
            _watching.remove(self)
            if signal.getsignal(signal.SIGINT) is handle:
                signal.signal(signal.SIGINT, previous)

    def defer(self) -> None:
        """Keep the next interrupt in ``deferred``, instead of raising it."""
        self._defers = True

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold interrupts back until the end of the block."""
        self._holds = True
        try:
            yield
        finally:
            self._holds = False
            if self._held is not None:
                arrived, self._held = self._held, None
                self._handle(*arrived)

    @staticmethod
    def _handler() -> Any:
        if threading.current_thread() is not threading.main_thread():
            return None
        handler = signal.getsignal(signal.SIGINT)
        return handler if callable(handler) else None


def is_from_user(interrupt: BaseException) -> bool:
    """Return whether an interrupt came from the signal, or was raised because of one.

    Signals that arrived before the current training began do not count: an exception that
    was being handled then is the context of all that are raised in training.
    """
    chain: list[BaseException] = []
    link: BaseException | None = interrupt
    while link is not None and link not in chain:
        if any(run in _watching for run in getattr(link, "_runs", ())):
            return True
        chain.append(link)
        link = link.__cause__ or link.__context__
    return False
