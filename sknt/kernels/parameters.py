"""Where torch's parameters go in the kernels' weights.

All parameters one after the other are one vector, and so are all weights. Which number of
the one is which number of the other is worked out once for a network.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sknt.kernels._compile import entry
from sknt.kernels.layout import FEED_FORWARD, GRU, Sizes, place, weight_shapes

Pair = tuple[NDArray[Any], NDArray[Any]]
Indices = NDArray[np.int32]


class Places(NamedTuple):
    """Where numbers come from; -1 for those that are always 0."""

    weights: Indices  # of each weight, and of each in the transposed matrices, a parameter
    gradients: Indices  # of each parameter, its place among the transposed matrices


def find_places(sizes: Sizes, shapes: Sequence[tuple[int, ...]]) -> Places:
    """Work out where the parameters of these shapes go."""
    n_parameters = [int(np.prod(shape)) for shape in shapes]
    stops = np.cumsum(n_parameters)
    numbers = np.arange(stops[-1], dtype=np.int32)
    parameters = [
        numbers[stop - n : stop].reshape(shape)
        for stop, n, shape in zip(stops, n_parameters, shapes, strict=True)
    ]
    matrices = weight_shapes(sizes)
    starts, size = place(matrices)
    both = np.full((2, size), -1, np.int32)
    weights, transposed = both
    parts = [
        weights[start : start + math.prod(shape)].reshape(shape)
        for start, shape in zip(starts, matrices.values(), strict=True)
    ]
    for source, target in places(sizes, parameters, parts):
        target[...] = source
    for start, part in zip(starts, parts, strict=True):
        transposed[start : start + part.size] = part.swapaxes(-1, -2).ravel()
    gradients = np.empty(len(numbers), np.int32)
    used = np.flatnonzero(transposed >= 0)
    gradients[transposed[used]] = used
    return Places(both.ravel(), gradients)


@entry
def gather(source, places, target):
    """Copy numbers from their places in another vector; a place of -1 stands for 0."""
    for i in range(len(places)):
        place = places[i]
        target[i] = source[place] if place >= 0 else 0.0


def places(
    sizes: Sizes, parameters: Sequence[NDArray[Any]], weights: Sequence[NDArray[Any]]
) -> Iterator[Pair]:
    """Pair the parts of the parameters with their places in the weights.

    Parameters
    ----------
    sizes : Sizes
    parameters : sequence of ndarray
        For each layer, as torch has them: weight_ih, weight_hh, bias_ih, bias_hh, or weight
        and bias of a feed-forward layer; then weight and bias of the interface's projection
        (from h, or from h and x) and of the readout. Gradients with respect to them may
        take their place.
    weights : sequence of ndarray
        Those of the controller, the interface and the readout, as in
        :mod:`sknt.kernels.layout`.
    """
    controller, interface, readout = weights
    rest = iter(parameters)
    h, own = sizes.hidden, sizes.own
    for layer, target in enumerate(controller):
        weight = next(rest)
        own_weight = None if sizes.controller == FEED_FORWARD else next(rest)
        n, x = len(weight), 0 if layer else sizes.inputs  # torch has x before the reads
        end = own + weight.shape[1]
        yield weight[:, x:], target[:n, own : end - x]
        yield weight[:, :x], target[:n, end - x : end]
        yield next(rest), target[:n, end]
        if own_weight is not None:
            own_bias = next(rest)
            blocks = [(slice(4 * h), slice(4 * h))]
            if sizes.controller == GRU:  # the candidate's share of h comes last
                blocks = [
                    (slice(2 * h), slice(2 * h)),
                    (slice(2 * h, 3 * h), slice(3 * h, 4 * h)),
                ]
            for here, there in blocks:
                yield own_weight[here], target[there, 1:own]
                yield own_bias[here], target[there, 0]
    weight = next(rest)
    yield weight[:, :h], interface[:, :h]
    yield weight[:, h:], interface[:, h + 1 :]
    yield next(rest), interface[:, h]
    weight = next(rest)  # torch has h before the reads
    yield weight[:, h:], readout[:, : sizes.reads]
    yield weight[:, :h], readout[:, sizes.reads : -1]
    yield next(rest), readout[:, -1]
