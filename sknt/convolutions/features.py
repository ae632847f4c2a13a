r"""Features of sequences from random convolutions at several dilations.

A convolution has nine weights, three of them 2 and the others −1, spread over time by a
dilation. Its response at step t is

.. math::

    r_t = \sum_{c \in C} \sum_{j=-4}^{4} w_j \, x_{c,\, t + j \delta}

with zeros outside the sequence. Its features are the shares of the steps at which the
response exceeds thresholds, and the mean of what is positive:

.. math::

    \frac{1}{T} \sum_{t=1}^{T} [r_t > b] \qquad \text{and} \qquad
    \frac{1}{T} \sum_{t=1}^{T} \max(r_t, 0) .

All 84 such sets of weights are used, each at all dilations
δ; the channels C, and the training sequence whose quantiles are the thresholds b, are
random. The shares are MiniRocket's [1]_, over the present steps of sequences of unequal
length; the means, and differences beside the values, are MultiRocket's [2]_.

Values are divided by the standard deviation of their channel, and those of each sequence
rounded to whole numbers of 24 bits, in a unit of its own, a power of two: a sequence with a
thousandth of the amplitude of the others is described as well as they are. Sums of whole
numbers are exact, and a feature depends on nothing but its sequence.

References
----------
.. [1] Dempster, Schmidt & Webb (2021), "MiniRocket: A Very Fast (Almost) Deterministic
   Transform for Time Series Classification", arXiv:2012.08791.
.. [2] Tan, Dempster, Bergmeir & Webb (2022), "MultiRocket: Multiple Pooling Operators and
   Transformations for Fast and Effective Time Series Classification", arXiv:2102.00457.
"""

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sknt.data.ragged import Ragged
from sknt.data.sequences import step_mask
from sknt.nn.fused import missing

N_TAPS = 9
"""Length of the convolutions."""

TAPS = np.array(list(itertools.combinations(range(N_TAPS), 3)))
"""Where the weights of 2 are, of all 84 convolutions."""

MAX_DILATIONS = 32
"""Most dilations."""

MAX_CHANNELS = 9
"""Most channels that a convolution sums over."""

MOST_SORTED = 10_000
"""Most responses of which quantiles are taken."""

BITS = 24
"""Bits of the largest whole number in a sequence; responses then stay within 32 bits."""

MOST_STEPS = 2**24
"""About the most values that deviations are computed of at once."""

LIMIT, LARGEST = 1e100, 1e15
"""Standard deviations at which values and mean responses are cut off."""


SeriesOf = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Returns what the convolutions see of values, (n_samples, longest, n_features)."""


class Whole(NamedTuple):
    """Sequences of whole numbers.

    Attributes
    ----------
    series : ndarray of int32 of shape (n_samples, n_channels, longest)
    lengths : ndarray of shape (n_samples,)
    units : ndarray of shape (n_samples,)
        The numbers that stand for one standard deviation, powers of two.
    """

    series: NDArray[np.int32]
    lengths: NDArray[np.int64]
    units: NDArray[np.float64]


class Bank(NamedTuple):
    """Convolutions and their thresholds.

    Attributes
    ----------
    dilations : ndarray of shape (n_dilations,)
    channels : ndarray of shape (n_dilations, 84, most)
        The channels that a convolution sums over; the first ``n_channels`` of them count.
    n_channels : ndarray of shape (n_dilations, 84)
    first : ndarray of shape (n_dilations, 85)
        Where each convolution's thresholds begin.
    thresholds : ndarray of shape (n_thresholds,)
        In standard deviations.
    """

    dilations: NDArray[np.int64]
    channels: NDArray[np.int64]
    n_channels: NDArray[np.int64]
    first: NDArray[np.int64]
    thresholds: NDArray[np.float64]


class RandomConvolutions:
    """Random convolutions of the values and of their differences.

    Parameters
    ----------
    inputs : Ragged
        The sequences to draw from.
    n_thresholds : int
        Number of thresholds, rounded to a multiple of 168.
    random_state : RandomState
    backend : {"auto", "fused", "reference"}, default="auto"
        Whether compiled kernels transform sequences; without them it takes many times
        longer, and gives the same numbers.
    """

    def __init__(
        self,
        inputs: Ragged,
        n_thresholds: int,
        random_state: np.random.RandomState,
        backend: str = "auto",
    ):
        self.backend = backend
        self._scales: list[NDArray[np.float64]] = []
        self._banks: list[Bank] = []
        for series_of in (_values, _differences):
            scale = _deviation(inputs, series_of)
            scale[scale == 0] = 1.0
            self._scales.append(scale)
            drawn = functools.partial(_one_whole, inputs, series_of, scale)
            bank = draw_bank(
                drawn, inputs.lengths, inputs.n_features, n_thresholds // 2, random_state
            )
            self._banks.append(bank)

    @property
    def n_features(self) -> int:
        """Number of features."""
        return sum(len(b.thresholds) + b.n_channels.size for b in self._banks)

    def transform(self, inputs: Ragged) -> NDArray[np.float32]:
        """Return the features of sequences, of shape (n_samples, n_features)."""
        features = np.empty((len(inputs), self.n_features), np.float32)
        for rows in inputs.by_length(len(inputs)):
            features[rows] = self._transform(inputs.take(rows))
        return features

    def _transform(self, inputs: Ragged) -> NDArray[np.float32]:
        """Return the features of sequences that are padded for it."""
        values, lengths = inputs.padded(), inputs.lengths
        features = []
        for series_of, scale, bank in zip(
            (_values, _differences), self._scales, self._banks, strict=True
        ):
            whole = to_whole(series_of(values), lengths, scale)
            counts, sums = describe(whole, bank, self.backend)
            n_steps, units = lengths[:, np.newaxis], whole.units[:, np.newaxis]
            means = sums.reshape(len(sums), -1) / units / n_steps
            features += [counts / n_steps, means.clip(max=LARGEST)]
        return np.concatenate(features, axis=1, dtype=np.float32)


def _values(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values


def _differences(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the differences between successive steps (axis 1); the first is 0."""
    return np.diff(values, axis=1, prepend=values[:, :1])


def _deviation(inputs: Ragged, series_of: SeriesOf) -> NDArray[np.float64]:
    """Return each channel's standard deviation over all steps."""
    n_steps = inputs.lengths.sum()

    def pieces() -> Iterator[NDArray[np.float64]]:
        for rows in inputs.pieces(MOST_STEPS):
            piece = inputs.take(rows)
            steps = series_of(piece.steps()[np.newaxis])[0]
            if series_of is _differences:
                steps[np.cumsum(piece.lengths) - piece.lengths] = 0
            yield steps

    mean = sum(steps.sum(axis=0) for steps in pieces()) / n_steps
    return np.sqrt(sum(((s - mean) ** 2).sum(axis=0) for s in pieces()) / n_steps)


def _one_whole(
    inputs: Ragged, series_of: SeriesOf, scale: NDArray[np.float64], i: int
) -> tuple[NDArray[np.int32], float]:
    """Return one sequence as whole numbers, (n_channels, length), and its unit."""
    one = inputs.take([i])
    whole = to_whole(series_of(one.padded()), one.lengths, scale)
    return whole.series[0], float(whole.units[0])


def draw_bank(
    drawn: Callable[[int], tuple[NDArray[np.int32], float]],
    lengths: NDArray[np.int64],
    n_all: int,
    n_thresholds: int,
    random_state: np.random.RandomState,
) -> Bank:
    """Draw channels and thresholds for convolutions of some training series.

    Parameters
    ----------
    drawn : callable
        Returns a sequence, by its number, as whole numbers, and its unit.
    lengths : ndarray of shape (n_samples,)
    n_all : int
        Number of channels.
    n_thresholds : int
        Rounded to a multiple of 84.
    random_state : RandomState

    Returns
    -------
    bank : Bank
    """
    dilations, per_kernel = _dilations(lengths, max(1, round(n_thresholds / len(TAPS))))
    shape = (len(dilations), len(TAPS))
    most = min(n_all, MAX_CHANNELS)
    n_channels = np.floor(2 ** random_state.uniform(0, np.log2(most + 1), shape))
    n_channels = n_channels.astype(np.int64).clip(1, most)
    channels = random_state.uniform(size=(*shape, n_all)).argsort(axis=2)[..., :most]
    ends = np.repeat(per_kernel, len(TAPS)).cumsum().reshape(shape)
    first = np.concatenate([ends[:, :1] - per_kernel[:, np.newaxis], ends], axis=1)
    # A sequence of fractions without any pattern, spread evenly over (0, 1).
    levels = np.arange(1, ends[-1, -1] + 1) * (np.sqrt(5) + 1) / 2 % 1
    samples = random_state.randint(len(lengths), size=shape)
    thresholds = np.empty(len(levels))
    for d, k in np.ndindex(*shape):
        series, unit = drawn(int(samples[d, k]))
        chosen = series[channels[d, k, : n_channels[d, k]]]
        found = response(chosen.sum(axis=0, dtype=np.int32), TAPS[k], int(dilations[d]))
        own = slice(first[d, k], first[d, k + 1])
        thresholds[own] = _quantiles(found, levels[own]) / unit
    return Bank(dilations, np.ascontiguousarray(channels), n_channels, first, thresholds)


def _quantiles(
    values: NDArray[np.int32], levels: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return quantiles, interpolated and rounded down; np.quantile takes far longer.

    Of many values, evenly spaced ones stand for all.
    """
    values = values[:: -(-len(values) // MOST_SORTED)]
    ordered = np.sort(values).astype(np.float64)
    places = levels * (len(values) - 1)
    below = places.astype(np.int64)
    above = np.minimum(below + 1, len(values) - 1)
    steps = (places - below) * (ordered[above] - ordered[below])
    return np.floor(ordered[below] + steps)


def _dilations(
    lengths: NDArray[np.int64], n_thresholds: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the dilations, and how many thresholds a convolution has with each of them."""
    longest = max(N_TAPS, int(np.percentile(lengths, 90)))
    n_wanted = min(n_thresholds, MAX_DILATIONS)
    spread = np.logspace(0, np.log2((longest - 1) / (N_TAPS - 1)), n_wanted, base=2)
    dilations, shares = np.unique(spread.astype(np.int64), return_counts=True)
    ends = np.round(shares.cumsum() * n_thresholds / n_wanted).astype(np.int64)
    return dilations, np.diff(ends, prepend=0)


def response(
    series: NDArray[np.int32], taps: NDArray[np.int64], dilation: int
) -> NDArray[np.int32]:
    """Return a convolution's response at every step of one series, zeros outside it."""
    margin = N_TAPS // 2 * dilation
    padded = np.zeros(len(series) + 2 * margin, np.int32)
    padded[margin : margin + len(series)] = series
    shifted = [
        padded[tap * dilation : tap * dilation + len(series)] for tap in range(N_TAPS)
    ]
    return 3 * sum(shifted[tap] for tap in taps) - sum(shifted)


def describe(
    whole: Whole, bank: Bank, backend: str
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Count the steps at which responses exceed thresholds, and sum what is positive.

    Parameters
    ----------
    whole : Whole
    bank : Bank
    backend : {"auto", "fused", "reference"}

    Returns
    -------
    counts : ndarray of shape (n_samples, n_thresholds)
    sums : ndarray of shape (n_samples, n_dilations, 84)
        In the units of each sequence.
    """
    series, lengths, units = whole
    counts = np.zeros((len(series), len(bank.thresholds)), np.int32)
    sums = np.zeros((len(series), *bank.n_channels.shape), np.int64)
    if backend != "reference" and missing() is None:
        _describe_in_kernels(whole, bank, counts, sums)
        return counts, sums
    for i, n in enumerate(lengths):
        thresholds = np.floor(bank.thresholds * units[i])
        for d, k in np.ndindex(*bank.n_channels.shape):
            chosen = bank.channels[d, k, : bank.n_channels[d, k]]
            added = series[i, chosen, :n].sum(axis=0, dtype=np.int32)
            found = response(added, TAPS[k], int(bank.dilations[d]))
            sums[i, d, k] = found.clip(0).sum(dtype=np.int64)
            own = slice(bank.first[d, k], bank.first[d, k + 1])
            above = found[:, np.newaxis] > thresholds[own]
            counts[i, own] = above.sum(axis=0)
    return counts, sums


def _describe_in_kernels(
    whole: Whole, bank: Bank, counts: NDArray[np.int32], sums: NDArray[np.int64]
) -> None:
    """Divide the sequences among threads."""
    from sknt.kernels import blocks, convolutions

    def run(block: int, n_blocks: int, thread: int) -> None:
        own = slice(block, None, n_blocks)
        arguments = [np.ascontiguousarray(part[own]) for part in whole]
        convolutions.describe(*arguments, TAPS, *bank, counts[own], sums[own])

    partition = blocks.make_partition(len(counts))
    blocks.run(partition.n_blocks, partition.n_threads, run)


def to_whole(
    series: NDArray[np.float64],
    lengths: NDArray[np.int64],
    scale: NDArray[np.float64],
) -> Whole:
    """Divide by each channel's scale and round; 0 after a sequence's end.

    Nothing is subtracted: the weights add up to 0, so a level shows only near the ends,
    beyond which there are zeros, and without their mean, sequences near 0 would have one.
    """
    scaled = (series / scale).clip(-LIMIT, LIMIT)
    scaled[~step_mask(lengths)] = 0
    largest = np.abs(scaled).max(axis=(1, 2))
    exponents = np.frexp(largest)[1]  # the largest is below 2 ** exponent
    units = np.ldexp(1.0, (BITS - exponents).clip(max=1000))
    rounded = np.round(scaled * units[:, np.newaxis, np.newaxis]).astype(np.int32)
    return Whole(np.ascontiguousarray(rounded.swapaxes(1, 2)), lengths, units)
