"""Endless training data: a function or a generator of fresh sequences."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

Chunk = tuple[Any, Any]


def is_stream(X: Any) -> bool:
    """Return whether X is a stream, that is, an iterator or a callable.

    Raises
    ------
    ValueError
        If X is a torch DataLoader, which is neither.
    """
    if type(X).__name__ == "DataLoader":
        raise ValueError(
            "X is a DataLoader; give iter(loader), a stream of which each batch is an "
            "epoch, or the data as arrays"
        )
    return callable(X) or isinstance(X, Iterator)


def refuse_with_stream(**given: Any) -> None:
    """Refuse arguments that have no meaning with a stream.

    Raises
    ------
    ValueError
        If any is given.
    """
    names = [name for name, value in given.items() if value]
    if names:
        advice = "give arrays, or leave it out"
        if names == ["early_stopping=True"]:
            advice = "give validation_data=(X, y) to stop by, or arrays"
        raise ValueError(
            f"{', '.join(names)} cannot be used when X is a stream of (X, y) pairs; "
            + advice
        )


def chunks(
    stream: Callable[..., Chunk] | Iterator[Chunk],
    seed: int,
    progress: Callable[[], tuple[int, Mapping[str, Any]]],
) -> Iterator[Chunk]:
    """Yield a stream's pairs of X and y, one for each epoch.

    Parameters
    ----------
    stream : callable or iterator
        A callable is called with ``random_state`` and the arguments that callbacks set.
    seed : int
    progress : callable
        Returns the number of sequences seen so far, from which, with the seed, each
        chunk's random state is derived, and the other arguments of the stream.

    Raises
    ------
    ValueError
        If the stream does not yield pairs, or callbacks set arguments of an iterator,
        which takes none.
    """
    while True:
        n_sequences, params = progress()
        if params and not callable(stream):
            raise ValueError(
                f"callbacks set {sorted(params)} of the stream, which an iterator does "
                "not take; give a function such as sknt.datasets.make_copy"
            )
        try:
            if callable(stream):
                random_state = np.random.RandomState([seed, n_sequences])
                chunk = stream(random_state=random_state, **params)
            else:
                chunk = next(stream)
        except StopIteration:
            return
        yield check_pair(chunk)


def check_pair(chunk: Any) -> Chunk:
    """Return what a stream gave as a tuple (X, y).

    Raises
    ------
    ValueError
        If it is not a pair.
    """
    if not isinstance(chunk, tuple | list) or len(chunk) != 2:
        raise ValueError(
            f"the stream gave a {type(chunk).__name__}; it should give a tuple "
            "(X, y) for each epoch"
        )
    X, y = chunk
    return X, y
