"""A user's interrupt (Ctrl-C), told from a callback's way to stop a training.

skorch's callbacks stop a training by raising KeyboardInterrupt, which is what Python raises
at Ctrl-C as well, wherever it happens to be, inside callbacks too. While a training runs,
the interrupts that come from the signal are marked: only others are a callback's.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class TrainingStopped(KeyboardInterrupt):
    """Raised inside a callback, it ends the training; what was learned is kept.

    Raising KeyboardInterrupt itself, as skorch's own callbacks do, has the same effect.
    """


class TrainingFailed(TrainingStopped):
    """The training ends at once: what other callbacks would see is of no use."""


class Interrupts:
    """Watch SIGINT while a training runs: mark its interrupts, and hold them for a while.

    Python delivers signals to the main thread alone; elsewhere there is nothing to watch.
    Nor is there where the process does not handle SIGINT in Python.
    """

    def __init__(self) -> None:
        self._holds = False
        self._held: tuple[int, Any] | None = None
        self._handle: Any = None

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Mark the interrupts that arrive inside."""
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
                interrupt._from_signal = True  # type: ignore[attr-defined]
                raise

        self._handle = handle
        signal.signal(signal.SIGINT, handle)
        try:
            yield
        finally:
            if signal.getsignal(signal.SIGINT) is handle:
                signal.signal(signal.SIGINT, previous)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let interrupts wait until the end of what is inside."""
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


def is_users(interrupt: BaseException) -> bool:
    """Tell whether an interrupt came from the signal, or was raised because of one."""
    seen: BaseException | None = interrupt
    while seen is not None:
        if getattr(seen, "_from_signal", False):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
