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

from sknt.data.ragged import Ragged, adjoin
from sknt.data.sequences import step_mask
from sknt.nn.pooling import at_last_steps

MIN_BATCH_SIZE = {"fused": 512, "reference": 128}
"""Minimum batch size by backend, because larger batches are faster."""


@torch.no_grad()
def predict_outputs(
    module: Any,
    inputs: Ragged,
    *,
    per_step: bool,
    batch_size: int,
) -> NDArray[np.float64]:
    """Compute a module's outputs for sequences.

    Parameters
    ----------
    module : Module
        In evaluation mode. It runs as its ``prepare()`` returns it, if it has that method
        and the kernels can serve; otherwise as a copy in double precision.
    inputs : Ragged
    per_step : bool
        Whether to keep the outputs of all steps, rather than each sequence's last.
    batch_size : int
        Batches are at least this large.

    Returns
    -------
    outputs : ndarray of shape (n_samples, n_outputs), or with `per_step` of shape \
            (n_steps, n_outputs)
        One sequence after the other.
    """
    parameter = next(module.parameters())
    runner = _BatchRunner(per_step, batch_size, parameter.device)
    prepared = module.prepare() if hasattr(module, "prepare") else None
    if prepared is None or prepared.backend != "fused":
        return runner.run_in_double(module, inputs)
    outputs = runner.run(prepared, parameter.dtype, MIN_BATCH_SIZE["fused"], inputs)
    finite = np.isfinite(outputs).all(axis=1)
    if not finite.all():
        of_row = np.repeat(np.arange(len(inputs)), inputs.lengths)
        rows = np.unique(of_row[~finite]) if per_step else np.flatnonzero(~finite)
        again = np.isin(of_row, rows) if per_step else ~finite
        outputs[again] = runner.run_in_double(module, inputs.take(rows))
    return outputs


class _BatchRunner(NamedTuple):
    """Runs modules over sequences in batches."""

    per_step: bool
    min_batch_size: int
    device: torch.device

    def run_in_double(self, module: Any, inputs: Ragged) -> NDArray[np.float64]:
        """Run a copy of a module in double precision."""
        dtype = double_on(self.device)
        reference = copy_as(dtype, module)
        reference.backend = "reference"
        return self.run(reference, dtype, MIN_BATCH_SIZE["reference"], inputs)

    def run(
        self, module: Callable[..., Any], dtype: torch.dtype, size: int, inputs: Ragged
    ) -> NDArray[np.float64]:
        """Run batches of about ``size`` sequences of similar lengths."""
        result: Any = None
        first = np.cumsum(inputs.lengths) - inputs.lengths
        n_results = int(inputs.lengths.sum()) if self.per_step else len(inputs)
        for rows in inputs.by_length(max(self.min_batch_size, size)):
            batch = inputs.take(rows)
            x = torch.from_numpy(batch.padded()).to(self.device, dtype)
            n_steps = torch.from_numpy(batch.lengths)
            outputs = first_of(module(x, n_steps))
            if not self.per_step and outputs.ndim == 3:
                outputs = at_last_steps(outputs, n_steps)
            part, own = outputs.double().cpu().numpy(), rows
            if self.per_step:
                part = part[step_mask(batch.lengths)]
                own = adjoin(first[rows], batch.lengths)
            if result is None:
                result = np.zeros((n_results, part.shape[-1]))
            result[own] = part
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
