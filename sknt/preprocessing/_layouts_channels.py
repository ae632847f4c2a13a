"""Arrays with the channels before the steps, as in aeon and in sktime's numpy3D."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sknt.data.sequences import as_numpy, is_list_of_sequences, pad_sequences


def from_channels_first(X: Any, *, padded: bool = True) -> Any:
    """Turn series with channels first into sequences with steps first.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_channels, n_timesteps), or list of array-like \
            of shape (n_channels, length_i)
        Series of aeon (its lists of unequal length, too), sktime (numpy3D) or torch's
        convolutions.
    padded : bool, default=True
        Whether a list becomes an array, with NaN after the end of shorter sequences.
        Otherwise it stays a list.

    Returns
    -------
    X_new : ndarray of shape (n_samples, n_timesteps, n_channels) or list of ndarray of \
            shape (length_i, n_channels)
        A view, where X is an array.

    Raises
    ------
    ValueError
        If X is not of three dimensions or a list of arrays of two, or the samples of a
        list differ in their number of channels.

    See Also
    --------
    to_channels_first : The inverse.

    Examples
    --------
    >>> import numpy as np
    >>> from sknt.preprocessing import from_channels_first
    >>> from_channels_first(np.zeros((5, 3, 100))).shape
    (5, 100, 3)
    >>> from_channels_first([np.ones((2, 3)), np.ones((2, 1))])[1]
    array([[ 1.,  1.],
           [nan, nan],
           [nan, nan]])
    """
    samples = _transposed(X, "channels")
    return (
        samples if isinstance(samples, np.ndarray) or not padded else pad_sequences(samples)
    )


def to_channels_first(X: Any) -> Any:
    """Turn sequences into series with channels first, for aeon, sktime or torch.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_timesteps, n_features), or list of array-like \
            of shape (length_i, n_features)

    Returns
    -------
    X_new : ndarray of shape (n_samples, n_features, n_timesteps) or list of ndarray of \
            shape (n_features, length_i)
        A view, where X is an array; its absent steps stay NaN.

    Raises
    ------
    ValueError
        If X is not of three dimensions or a list of arrays of two.

    Examples
    --------
    >>> import numpy as np
    >>> from sknt.preprocessing import to_channels_first
    >>> to_channels_first(np.zeros((5, 100, 3))).shape
    (5, 3, 100)
    """
    return _transposed(X, "features")


def _transposed(X: Any, axis: str) -> NDArray[Any] | list[NDArray[Any]]:
    """Exchange the last two axes of an array, or the axes of each sample in a list."""
    first = "n_channels" if axis == "channels" else "n_timesteps"
    last = "n_timesteps" if axis == "channels" else "n_features"
    if not is_list_of_sequences(X):
        array = np.asarray(as_numpy(X))
        if array.ndim != 3:
            raise ValueError(
                f"X has {array.ndim} dimensions; give (n_samples, {first}, {last}), or a "
                "list of arrays. Series of one channel in two dimensions are sequences "
                "already"
            )
        return array.swapaxes(1, 2)
    samples = [np.asarray(as_numpy(sample)) for sample in X]
    channel_axis = 0 if axis == "channels" else 1
    for i, sample in enumerate(samples):
        if sample.ndim != 2:
            raise ValueError(
                f"sample {i} has {sample.ndim} dimensions; give each sample "
                f"({first.replace('n_timesteps', 'length')}, "
                f"{last.replace('n_timesteps', 'length')})"
            )
        n_channels, expected = (s.shape[channel_axis] for s in (sample, samples[0]))
        if n_channels != expected:
            hint = "all samples need the same number"
            if len({s.shape[1 - channel_axis] for s in samples}) == 1:
                hint = "their other axis agrees: are they sequences the other way round?"
            raise ValueError(
                f"sample {i} has {n_channels} {axis}, but sample 0 has {expected}; {hint}"
            )
    return [sample.T for sample in samples]
