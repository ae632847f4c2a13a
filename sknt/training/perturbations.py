"""What consolidation adds: noise to the inputs, and a penalty to the gradient."""

from typing import Any

import torch
from torch import Tensor

from sknt.nn.pooling import step_mask


class AddToGradient(torch.autograd.Function):
    """Pass outputs through, and add the gradient of a penalty to theirs."""

    @staticmethod
    def forward(ctx: Any, outputs: Tensor, penalty: Tensor) -> Tensor:
        """Return the outputs."""
        ctx.save_for_backward(penalty)
        return outputs.view_as(outputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Return the outputs' gradient, and that of the penalty itself."""
        return gradient, torch.ones_like(ctx.saved_tensors[0])


def with_noise(values: Tensor, lengths: Tensor, scale: float, seed: int) -> Tensor:
    """Add Gaussian noise to a batch's features, scaled to their standard deviation in it.

    Parameters
    ----------
    values : Tensor of shape (batch, n_timesteps, n_features)
    lengths : Tensor of shape (batch,)
    scale : float
        Standard deviation of the noise, as a fraction of that of the present steps.
    seed : int
        Such as the number of updates, so that training can be repeated and continued.

    Returns
    -------
    noisy : Tensor of the shape and dtype of values
    """
    present = step_mask(lengths, values.shape[1])[..., 0]
    deviation = values[present].double().std(0, correction=0)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(values.shape, generator=generator, dtype=torch.float64)
    limit = torch.finfo(values.dtype).max
    noisy = values + scale * deviation * noise
    return noisy.clamp(-limit, limit).to(values.dtype)
