"""Transformers in a pipeline whose estimator is fitted on a stream."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
from sklearn.base import TransformerMixin

from sknt.data.streams import Chunk, check_pair, is_stream, refuse_with_stream


class StreamTransformerMixin(
    TransformerMixin,
    auto_wrap_output_keys=None,  # type: ignore[call-arg]
):
    """Lets ``fit`` and ``fit_transform`` take a stream of pairs (X, y)."""

    transform: Callable[..., Any]

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Fit, and transform the same data.

        Parameters
        ----------
        X : array-like, list or stream
            As in `fit`. A stream, that is, an iterator of pairs (X, y) or a function that
            returns one, is fitted on its first pair. The estimator that follows gets the
            whole stream, from the first pair of an iterator on.
        y : array-like, default=None
            Targets; not given with a stream, which has them.

        Returns
        -------
        X_new : ndarray, list or stream
            As `transform` returns it. For a stream, one of the same kind, whose pairs are
            transformed when they are asked for; a function takes the same arguments.
        """
        if not is_stream(X):
            return self.fit(X, y).transform(X)
        (first_X, first_y), rest = first_pair(X, y)
        self.fit(first_X, first_y)
        if callable(rest):
            return partial(_call_and_transform, self.transform, rest)
        pairs = map(check_pair, rest)
        return ((self.transform(own_X), own_y) for own_X, own_y in pairs)


def first_pair(stream: Any, y: Any) -> tuple[Chunk, Any]:
    """Return a stream's first pair, and the stream with that pair still to come.

    A function is called for it, with a random state of its own, the same each time.

    Raises
    ------
    ValueError
        If targets are given besides, or the stream is empty or gives no pair.
    """
    refuse_with_stream(y=y is not None)
    try:
        if callable(stream):
            return check_pair(stream(random_state=np.random.RandomState(0))), stream
        first = next(stream)
    except StopIteration:
        raise ValueError("the stream is empty; nothing to learn from") from None
    return check_pair(first), chain([first], stream)


def refuse_stream(X: Any) -> None:
    """Refuse a stream where data are wanted.

    Raises
    ------
    TypeError
        If X is an iterator or a function.
    """
    if isinstance(X, Iterator) or callable(X):
        raise TypeError(
            f"X is a {type(X).__name__}, and a stream of pairs (X, y) is for fit and "
            "fit_transform only; give an array or a list of sequences, such as list(X)"
        )


def _call_and_transform(
    transform: Callable[[Any], Any], stream: Callable[..., Any], **arguments: Any
) -> Chunk:
    X, y = check_pair(stream(**arguments))
    return transform(X), y
