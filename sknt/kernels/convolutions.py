"""Random convolutions over whole sequences: how often and how far responses go up.

:func:`sknt.convolutions.features.response` says the same in NumPy. All numbers are
integers, so the results are the same to the bit in whatever order they are summed.
"""

from typing import Any

import numpy as np

from sknt.kernels._compile import entry, helper

N_TAPS = 9
"""Length of the convolutions."""

MOST = 2.0**31 - 1
"""Largest whole number of 32 bits."""


@helper
def _respond(first: Any, second: Any, third: Any, total: Any, response: Any) -> None:
    """Compute the response at every step: three times three taps, minus all nine."""
    for t in range(len(response)):
        response[t] = np.int32(3) * (first[t] + second[t] + third[t]) - total[t]


@helper
def _add_taps(series: Any, dilation: Any, total: Any) -> None:
    """Sum the series at all taps around every step."""
    n = len(total)
    total[:] = series[:n]
    for tap in range(1, N_TAPS):
        shifted = series[tap * dilation :][:n]
        for t in range(n):
            total[t] += shifted[t]


@helper
def _count_above(response: Any, threshold: Any) -> Any:
    count = np.int32(0)
    for t in range(len(response)):
        count += np.int32(response[t] > threshold)
    return count


@helper
def _sum_positive(response: Any) -> Any:
    total = np.int64(0)
    for t in range(len(response)):
        total += np.int64(max(response[t], np.int32(0)))
    return total


@entry
def describe(
    series: Any,
    lengths: Any,
    units: Any,
    taps: Any,
    dilations: Any,
    channels: Any,
    n_channels: Any,
    first: Any,
    thresholds: Any,
    counts: Any,
    sums: Any,
) -> None:
    """Count the steps at which responses exceed thresholds, and sum what is positive.

    Parameters
    ----------
    series : ndarray of int32 of shape (n_samples, n_channels, longest)
    lengths : ndarray of shape (n_samples,)
    units : ndarray of shape (n_samples,)
        What thresholds are multiplied by for each of the series.
    taps : ndarray of shape (n_kernels, 3)
    dilations : ndarray of shape (n_dilations,)
    channels : ndarray of shape (n_dilations, n_kernels, most)
        The channels that a convolution sums over; the first ``n_channels`` count.
    n_channels : ndarray of shape (n_dilations, n_kernels)
    first : ndarray of shape (n_dilations, n_kernels + 1)
        Where each convolution's thresholds begin.
    thresholds : ndarray of shape (n_features,)
    counts : ndarray of int32 of shape (n_samples, n_features)
    sums : ndarray of int64 of shape (n_samples, n_dilations, n_kernels)
        The results.
    """
    margin = dilations.max() * (N_TAPS // 2)
    longest = series.shape[2]
    padded = np.zeros(longest + 2 * margin, np.int32)
    total, response = np.empty(longest, np.int32), np.empty(longest, np.int32)
    is_univariate = series.shape[1] == 1
    own = np.empty(len(thresholds), np.int32)
    for i in range(len(series)):
        n = lengths[i]
        for f in range(len(thresholds)):  # all responses are within these limits
            own[f] = max(-MOST, min(MOST, np.floor(thresholds[f] * units[i])))
        padded[margin + n :] = 0
        for d in range(len(dilations)):
            dilation = dilations[d]
            around = padded[margin - dilation * (N_TAPS // 2) :]
            for k in range(len(taps)):
                if not is_univariate or (d == 0 and k == 0):
                    padded[margin : margin + n] = 0
                    for c in range(n_channels[d, k]):
                        channel = series[i, channels[d, k, c]]
                        for t in range(n):
                            padded[margin + t] += channel[t]
                if not is_univariate or k == 0:
                    _add_taps(around, dilation, total[:n])
                # Slices: an index that might be negative costs eight times the time.
                _respond(
                    around[taps[k, 0] * dilation :][:n],
                    around[taps[k, 1] * dilation :][:n],
                    around[taps[k, 2] * dilation :][:n],
                    total[:n],
                    response[:n],
                )
                sums[i, d, k] = _sum_positive(response[:n])
                for f in range(first[d, k], first[d, k + 1]):
                    counts[i, f] = _count_above(response[:n], own[f])
