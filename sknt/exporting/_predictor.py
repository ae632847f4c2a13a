"""What an estimator predicts, from arrays of sequences and their lengths, as a module."""

import copy
from typing import Any

import torch
from sklearn.base import is_classifier
from torch import Tensor, nn

from sknt.exporting._convolutions import Convolutions
from sknt.nn.checks import refuse_lengths
from sknt.nn.pooling import at_last_steps, step_mask
from sknt.training.prediction import first_of


class Predictor(nn.Module):
    """A fitted estimator's ``predict_proba``, or ``predict`` of a regressor.

    The network runs in single precision, everything around it in double precision.

    Parameters
    ----------
    estimator : NTMSequenceClassifier or NTMSequenceRegressor
        Fitted. Its parts are copied to the CPU.
    """

    mean: Tensor
    scale: Tensor
    share: Tensor
    fill: Tensor

    def __init__(self, estimator: Any):
        super().__init__()
        for name, values in zip(("mean", "scale"), estimator._scaling, strict=True):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float64))
        share = float(estimator.network_share_)
        self.network = None
        if share > 0:
            network = copy.deepcopy(estimator.net_.module_).to("cpu", torch.float32)
            self.network = network.requires_grad_(False)
        self.convolutions = None
        if share < 1:
            self.convolutions = Convolutions(estimator.convolutions_)
        self.per_step = estimator.net_.per_step
        fill = torch.nan
        self.output: nn.Module
        if not is_classifier(estimator):
            fill = float(estimator.missing_target)
            self.output = Units(estimator)
        elif estimator._multilabel:
            self.output = nn.Sigmoid()
        else:
            self.output = nn.Softmax(-1)
        # Numbers beside tensors would be in single precision in ONNX.
        self.register_buffer("share", torch.tensor(share, dtype=torch.float64))
        self.register_buffer("fill", torch.tensor(fill, dtype=torch.float64))
        self.eval()

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Predict.

        Parameters
        ----------
        x : Tensor of float32 of shape (batch, steps, n_features)
            Sequences, each starting at step 0. What follows a sequence's end is not read.
        lengths : Tensor of int64 of shape (batch,)
            Number of steps of each sequence, from 1 to steps.

        Returns
        -------
        predictions : Tensor of float64
            As the estimator returns them. NaN for a sequence with an impossible length or a
            value that is not finite, which the estimator would refuse.
        """
        n_steps = x.shape[1]
        present = step_mask(lengths, n_steps)
        finite = (torch.isfinite(x) | ~present).flatten(1).all(1)
        within = lengths.clamp(1, n_steps)
        present = step_mask(within, n_steps)
        values = torch.where(present, (x.double() - self.mean) / self.scale, 0)
        predictions = self.output(self._outputs(values, within))
        if self.per_step:
            present = present if predictions.ndim == 3 else present.squeeze(-1)
            predictions = torch.where(present, predictions, self.fill)
        lengths = torch.where(finite, lengths, 0)
        return refuse_lengths(predictions, lengths, n_steps)

    def _outputs(self, values: Tensor, lengths: Tensor) -> Tensor:
        """Return the outputs of the blend, of (batch, [steps,] n_outputs)."""
        if self.network is None:
            assert self.convolutions is not None
            return self.convolutions(values, lengths)
        outputs = first_of(self.network(values.float(), lengths)).double()
        if not self.per_step and outputs.ndim == 3:
            outputs = at_last_steps(outputs, lengths)
        if self.convolutions is None:
            return outputs
        convolved = self.convolutions(values, lengths)
        return convolved + self.share * (outputs - convolved)


class Units(nn.Module):
    """Outputs in the units of a regressor's targets."""

    mean: Tensor
    scale: Tensor

    def __init__(self, estimator: Any):
        super().__init__()
        self.register_buffer("mean", torch.tensor(estimator.target_mean_))
        self.register_buffer("scale", torch.tensor(estimator.target_scale_))
        self.is_single = estimator._single_output

    def forward(self, outputs: Tensor) -> Tensor:
        """Return values of (batch, [steps,] n_outputs), or without the last axis."""
        values = outputs * self.scale + self.mean
        return values[..., 0] if self.is_single else values
