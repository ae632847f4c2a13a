"""Outputs of a trained module for any number of sequences, in batches of similar lengths.

A prediction does not depend on the batch it is in. The kernels, in single precision, sum in
one fixed order whatever the batch. torch's operations do not, so the reference path runs in
double precision, where the difference is beyond all significant digits. So do sequences
that overflow in the kernels.
"""

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from sknt.nn.pooling import at_last_steps

MIN_BATCH_SIZE = {"fused": 512, "reference": 128}
"""Minimum batch size by backend, because larger batches are faster."""


@torch.no_grad()
def predict_outputs(
    module: Any,
    values: NDArray[np.float64],
    lengths: NDArray[np.int64],
    *,
    per_step: bool,
    batch_size: int,
) -> NDArray[np.float64]:
    """Compute a module's outputs for packed sequences.

    Parameters
    ----------
    module : Module
        In evaluation mode. It runs as its ``prepare()`` returns it, if it has that method
        and the kernels can serve; otherwise as a copy in double precision.
    values : ndarray of shape (n_samples, longest, n_features)
    lengths : ndarray of shape (n_samples,)
    per_step : bool
        Whether to keep the outputs of all steps, rather than each sequence's last.
    batch_size : int
        Batches are at least this large.

    Returns
    -------
    outputs : ndarray of shape (n_samples, [longest,] n_outputs)
    """
    parameter = next(module.parameters())
    runner = _BatchRunner(per_step, batch_size, parameter.device)
    prepared = module.prepare() if hasattr(module, "prepare") else None
    if prepared is None or prepared.backend != "fused":
        return runner.run_in_double(module, values, lengths)
    outputs = runner.run(
        prepared, parameter.dtype, MIN_BATCH_SIZE["fused"], values, lengths
    )
    finite = np.isfinite(outputs).reshape(len(outputs), -1).all(axis=1)
    if not finite.all():
        outputs[~finite] = runner.run_in_double(module, values[~finite], lengths[~finite])
    return outputs


class _BatchRunner(NamedTuple):
    """Runs modules over sequences in batches."""

    per_step: bool
    min_batch_size: int
    device: torch.device

    def run_in_double(
        self, module: Any, values: NDArray[np.float64], lengths: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Run a copy of a module in double precision."""
        dtype = double_on(self.device)
        reference = copy_as(dtype, module)
        reference.backend = "reference"
        return self.run(reference, dtype, MIN_BATCH_SIZE["reference"], values, lengths)

    def run(
        self,
        module: Callable[..., Any],
        dtype: torch.dtype,
        size: int,
        values: NDArray[np.float64],
        lengths: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """Run batches of at least ``size`` sequences of similar lengths."""
        rest = np.argsort(lengths, kind="stable")
        size = max(self.min_batch_size, size)
        result: Any = None
        while len(rest):
            rows, rest = rest[:size], rest[size:]
            longest = lengths[rows[-1]]
            x = torch.from_numpy(values[rows, :longest]).to(self.device, dtype)
            n_steps = torch.from_numpy(lengths[rows])
            outputs = first_of(module(x, n_steps))
            if not self.per_step and outputs.ndim == 3:
                outputs = at_last_steps(outputs, n_steps)
            part = outputs.double().cpu().numpy()
            if result is None:
                axes = values.shape[: 2 if self.per_step else 1]
                result = np.zeros((*axes, part.shape[-1]))
            if self.per_step:
                result[rows, :longest] = part
            else:
                result[rows] = part
        return result


def double_on(device: torch.device) -> torch.dtype:
    """Return double precision, or single on Apple's GPUs, which have no double."""
    return torch.float32 if device.type == "mps" else torch.float64


def first_of(results: Any) -> Any:
    """Return a module's outputs, which it returns alone or first in a tuple."""
    return results[0] if isinstance(results, tuple) else results


def copy_as(dtype: torch.dtype, module: torch.nn.Module) -> Any:
    """Copy a module, with its parameters and buffers in another precision."""
    memo: dict[int, Any] = {}
    for parameter in module.parameters():
        memo[id(parameter)] = torch.nn.Parameter(parameter.to(dtype), requires_grad=False)
    for buffer in module.buffers():
        memo[id(buffer)] = buffer.to(dtype) if buffer.is_floating_point() else buffer
    return copy.deepcopy(module, memo)
