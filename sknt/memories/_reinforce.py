"""Learning what to choose: REINFORCE with two baselines and an entropy term."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sknt.ops.addressing import EPSILON

N_AVERAGED = 10
"""Running statistics are the means of the first ten batches, and then decay by a tenth."""


class RewardStatistics(nn.Module):
    """Running mean b and variance σ² of the rewards, one reward per sequence."""

    mean: Tensor
    variance: Tensor
    n_batches: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("variance", torch.zeros(()))
        self.register_buffer("n_batches", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def normalize(self, rewards: Tensor) -> Tensor:
        """Return rewards relative to the mean of earlier batches, and include this batch.

        The variance does include this batch, so that no result is larger than √10 times
        the root of the batch's size, however unlike earlier ones a batch is. Rewards that
        are not finite stay out of the statistics.

        Parameters
        ----------
        rewards : Tensor of shape (n_sequences,)

        Returns
        -------
        normalized : Tensor of shape (n_sequences,)
            ``(R - b) / √(σ² + ε)``
        """
        first = self.n_batches == 0
        deviation = rewards - torch.where(first, rewards.mean(), self.mean)
        if rewards.isfinite().all():
            rate = 1 / (1 + self.n_batches.clamp(max=N_AVERAGED - 1))
            self.mean.lerp_(rewards.mean().to(self.mean), rate.to(self.mean))
            square = deviation.square().mean().to(self.variance)
            self.variance.lerp_(square, rate.to(self.variance))
            self.n_batches += 1
        return deviation / torch.sqrt(self.variance + EPSILON)


def reinforce_loss(
    log_probability: Tensor, entropy: Tensor, reward: Tensor, baseline: Tensor, cost: float
) -> Tensor:
    """Return the loss whose gradient trains the choices and the input baseline.

    Parameters
    ----------
    log_probability, entropy : Tensor of shape (batch, n_timesteps)
        Of each step's choices, summed over the heads.
    reward : Tensor of shape (batch, n_timesteps)
        The sequence's normalised reward at each step; 0 after the end, as all others are.
    baseline : Tensor of shape (batch, n_timesteps)
        The part of the reward that the step's inputs predict, b(x).
    cost : float
        Weight λ_H of the entropy.

    Returns
    -------
    loss : Tensor of shape (batch,)
        ``Σ_t -sg(R - b(x)) log p - λ_H H + huber(R - b(x))``
    """
    advantage = (reward - baseline).detach()
    predicting = F.huber_loss(baseline, reward, reduction="none")
    return (predicting - advantage * log_probability - cost * entropy).sum(1)
