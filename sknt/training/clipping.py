"""The global norm of a gradient, and scaling it down.

Both are what ``torch.nn.utils.clip_grad_norm_`` computes, to the bit, for gradients on one
device. Each of torch's functions first sorts the gradients by device and precision,
which takes longer than the arithmetic on those of a small network.
"""

import math

import numpy as np
import torch
from torch import Tensor

from sknt._private import foreach_mul_, foreach_norm


def global_norm(gradients: list[Tensor]) -> float:
    """Return the global norm, even where its square overflows single precision."""
    if not gradients:
        return 0.0
    norms = torch.stack(foreach_norm(gradients))
    norm = float(torch.linalg.vector_norm(norms))
    if not math.isfinite(norm):
        norm = math.sqrt(sum(float(g.double().square().sum()) for g in gradients))
    return norm


def scale_down(gradients: list[Tensor], max_norm: float, norm: float) -> None:
    """Scale gradients whose global norm is above the maximum down to it, in place."""
    with np.errstate(over="ignore"):  # a norm beyond single precision leaves nothing
        divisor = np.float32(norm) + np.float32(1e-6)
    factor = np.float32(max_norm) * (np.float32(1) / divisor)  # as torch rounds it
    foreach_mul_(gradients, min(1.0, float(factor)))
