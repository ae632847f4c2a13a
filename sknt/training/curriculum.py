"""Tasks that get harder as they are learned."""

from typing import Any

from skorch.callbacks import Callback


class LengthCurriculum(Callback):
    """Train on short sequences first, and on longer ones as they are learned.

    For training on a stream that is a function, such as :func:`sknt.datasets.make_copy`.
    It is called with the length as an argument, which increases by ``step`` each time an
    epoch's mean loss is small enough.

    Parameters
    ----------
    stop : int
        The final length: that of the task itself.
    start : int, default=1
        The first length.
    step : int, default=1
        Increment of the length.
    parameter : str, default="max_length"
        Argument of the stream that sets the length, such as ``"max_items"``.
    learned : float, default=0.2
        The length increases when the loss per target is below this fraction of the loss of
        guessing.

    Raises
    ------
    ValueError
        When training begins, if the lengths are not a range, or ``step`` or ``learned`` is
        not positive.

    Notes
    -----
    The history's ``curriculum`` is the length of each epoch. Until the final length is
    reached, the task does not count as learned and is not consolidated. Use a curriculum
    for tasks that are not learned without one.

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
        """Begin with the first length, or continue with the current one."""
        if not (1 <= self.start <= self.stop and self.step >= 1 and self.learned > 0):
            raise ValueError(
                f"LengthCurriculum(stop={self.stop!r}, start={self.start!r}, "
                f"step={self.step!r}, learned={self.learned!r}) is not a curriculum; use "
                "1 <= start <= stop, step >= 1 and learned > 0"
            )
        self._set_length(net, net.stream_params_.get(self.parameter, self.start))

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Record the length, and move on to the next one if it is learned."""
        length, mean_loss = net.stream_params_[self.parameter], net.progress_.mean_loss
        net.history.record("curriculum", length)
        if mean_loss is not None and mean_loss < self.learned:
            self._set_length(net, min(self.stop, length + self.step))

    def _set_length(self, net: Any, length: int) -> None:
        net.set_stream_params(is_final=length >= self.stop, **{self.parameter: length})
