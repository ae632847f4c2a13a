"""Ridge regression on random convolutions, as an estimator fits it beside its network."""

import numpy as np
from numpy.typing import NDArray

from sknt.convolutions.features import RandomConvolutions
from sknt.convolutions.ridge import MAX_EXACT, Ridge, fit_ridge
from sknt.data.ragged import Ragged

MAX_THRESHOLDS_OF_MANY = 3024
"""Most thresholds for more than MAX_EXACT sequences, where time grows with their square."""

MOST_AT_ONCE = 2048
"""Most sequences whose features are in memory at once when outputs are computed."""

MAX_SEQUENCES = 20_000
"""Most sequences that the regression is fitted to."""


class ConvolutionalRidge:
    """Ridge regression on random convolutions of sequences.

    Parameters
    ----------
    inputs : Ragged
    targets : ndarray of shape (n_samples, n_outputs)
        Values of mean square about 1, such as −1 and 1 for classes.
    weights : ndarray of shape (n_samples, n_outputs)
        Weight of each target, 0 for a missing one.
    n_thresholds : int
        Number of convolutions with a threshold.
    seed : int
    backend : {"auto", "fused", "reference"}, default="auto"

    Attributes
    ----------
    left_out_ : ndarray of shape (n_samples, n_outputs)
        The outputs for each of the given sequences by a regression that it is left out of.
    factor : float
        What outputs are multiplied by; 1 until it is set.
    """

    def __init__(
        self,
        inputs: Ragged,
        targets: NDArray[np.float64],
        weights: NDArray[np.float64],
        *,
        n_thresholds: int,
        seed: int,
        backend: str = "auto",
    ):
        self.factor = 1.0
        n = min(len(inputs), MAX_SEQUENCES)
        if n > MAX_EXACT:
            n_thresholds = min(n_thresholds, MAX_THRESHOLDS_OF_MANY)
        random_state = np.random.RandomState(seed)
        first, rest = inputs.take(slice(n)), inputs.take(slice(n, None))
        self.convolutions = RandomConvolutions(first, n_thresholds, random_state, backend)
        features = self.convolutions.transform(first)
        self._regressions, left_out = _fit_outputs(features, targets[:n], weights[:n])
        if len(rest):
            left_out = np.concatenate([left_out, self.predict(rest)])
        self.left_out_ = left_out

    def predict(self, inputs: Ragged) -> NDArray[np.float64]:
        """Return the outputs for sequences, of shape (n_samples, n_outputs)."""
        parts = []
        for rows in inputs.pieces(most=MOST_AT_ONCE):
            features = self.convolutions.transform(inputs.take(rows))
            outputs = [ridge.predict(features) for ridge in self._regressions]
            parts.append(np.concatenate(outputs, axis=1))
        return self.factor * np.concatenate(parts)


def _fit_outputs(
    features: NDArray[np.float32],
    targets: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> tuple[list[Ridge], NDArray[np.float64]]:
    """Fit all outputs together, or one by one if they have different weights."""
    together = bool((weights == weights[:, :1]).all())
    columns = (
        [slice(None)] if together else [slice(k, k + 1) for k in range(weights.shape[1])]
    )
    regressions, left_out = [], np.zeros_like(targets)
    for own in columns:
        used = weights[:, own][:, 0] > 0
        ridge, predictions = fit_ridge(
            features[used], targets[used, own], weights[used, own][:, 0]
        )
        regressions.append(ridge)
        if len(predictions) > 1:  # nothing is known of a row that is the only one
            left_out[used, own] = predictions
    return regressions, left_out
