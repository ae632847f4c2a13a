"""Tasks that get harder as they are learned."""

from typing import Any

from skorch.callbacks import Callback


class LengthCurriculum(Callback):
    """Train on short sequences first, and on longer ones as they are learned.

    For training on a stream that is a function, such as :func:`sknt.datasets.make_copy`:
    it is called with the length as an argument, which rises by one step each time that an
    epoch's mean loss is small enough.

    Parameters
    ----------
    stop : int
        The last length: that of the task itself.
    start : int, default=1
        The first length.
    step : int, default=1
        By how much it rises.
    parameter : str, default="max_length"
        Argument of the stream that sets the length, such as ``"max_items"``.
    learned : float, default=0.2
        The length rises when the loss of a target is below this part of that of guessing.

    Raises
    ------
    ValueError
        When a training begins, if the lengths are not a range, or ``step`` or ``learned``
        is not positive.

    Notes
    -----
    The history's ``curriculum`` is the length of each epoch. Until the last one is reached,
    the task is not taken for learned, and not consolidated. It is for tasks that are not
    learned without it.

    Examples
    --------
    >>> from sknt import NTMSequenceClassifier
    >>> from sknt.callbacks import LengthCurriculum
    >>> from sknt.datasets import make_copy
    >>> model = NTMSequenceClassifier(
    ...     return_sequences=True,
    ...     memory_size=16,
    ...     max_epochs=2,
    ...     random_state=0,
    ...     net_params={"callbacks": [LengthCurriculum(5, start=2)]},
    ... )
    >>> model = model.fit(lambda random_state, max_length: make_copy(
    ...     100, max_length=max_length, random_state=random_state))
    >>> model.history_[0]["curriculum"]
    2
    """

    def __init__(
        self,
        stop: int,
        *,
        start: int = 1,
        step: int = 1,
        parameter: str = "max_length",
        learned: float = 0.2,
    ):
        self.stop = stop
        self.start = start
        self.step = step
        self.parameter = parameter
        self.learned = learned

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Begin with the first length, or go on with the last one."""
        if not (1 <= self.start <= self.stop and self.step >= 1 and self.learned > 0):
            raise ValueError(
                f"LengthCurriculum(stop={self.stop!r}, start={self.start!r}, "
                f"step={self.step!r}, learned={self.learned!r}) is not a curriculum; use "
                "1 <= start <= stop, step >= 1 and learned > 0"
            )
        self._ask(net, net.stream_params_.get(self.parameter, self.start))

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Record the length, and go to the next one if it is learned."""
        length, mean_loss = net.stream_params_[self.parameter], net.progress_.mean_loss
        net.history.record("curriculum", length)
        if mean_loss is not None and mean_loss < self.learned:
            self._ask(net, min(self.stop, length + self.step))

    def _ask(self, net: Any, length: int) -> None:
        net.ask_of_stream(is_final=length >= self.stop, **{self.parameter: length})
