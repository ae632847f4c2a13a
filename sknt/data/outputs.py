"""What a network's outputs mean: labels and probabilities, or values.

Outputs are of shape (..., n_outputs). Whether the other axes are sequences or steps is not
known here.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax


class Labels(NamedTuple):
    """Outputs that are logits of classes, or of 0/1 indicators."""

    classes: NDArray[Any]
    multilabel: bool

    def predict(self, outputs: NDArray[np.float64]) -> NDArray[Any]:
        """Return labels of shape (...), or indicators of shape (..., n_outputs)."""
        if self.multilabel:
            return (outputs > 0).astype(np.int64)
        return self.classes[outputs.argmax(axis=-1)]

    def predict_proba(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return probabilities of shape (..., n_outputs)."""
        return expit(outputs) if self.multilabel else softmax(outputs, axis=-1)

    def decision_function(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return logits of shape (..., n_outputs), or for two classes one score."""
        if not self.multilabel and len(self.classes) == 2:
            return outputs[..., 1] - outputs[..., 0]
        return outputs


class Values(NamedTuple):
    """Outputs that are standardised values."""

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    single: bool  # whether there is no axis of outputs

    def predict(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values in their units, of shape (..., n_outputs) or (...)."""
        values = outputs * self.scale + self.mean
        return values[..., 0] if self.single else values
