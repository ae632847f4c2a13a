"""Steps taken together and outputs pooled: patches of a sequence, and one output for it."""

import torch
from torch import Tensor

POOLINGS = ("last", "mean", "max", "concat")
"""How the features of a sequence's steps become those of the sequence."""

N_POOLED = 64
"""Number of features of a step that are pooled."""


def step_mask(lengths: Tensor, n_timesteps: int) -> Tensor:
    """Return which steps are present, of shape (batch, n_timesteps, 1)."""
    return (torch.arange(n_timesteps) < lengths[:, None])[..., None]


def at_last_steps(outputs: Tensor, lengths: Tensor) -> Tensor:
    """Return the outputs at each sequence's last step, of shape (batch, n_outputs)."""
    return outputs[torch.arange(outputs.shape[0]), lengths - 1]


def to_patches(x: Tensor, lengths: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Fold successive steps into one, the last one of a sequence filled up with zeros.

    Parameters
    ----------
    x : Tensor of shape (batch, n_timesteps, n_inputs)
    lengths : Tensor of int64 of shape (batch,)
    size : int
        Number of steps in a patch.

    Returns
    -------
    patches : Tensor of shape (batch, n_patches, size * n_inputs)
    lengths : Tensor of shape (batch,)
        Number of patches of each sequence.
    """
    n_of_patches = (lengths + size - 1).div(size, rounding_mode="floor")
    n_sequences, n_steps, n_inputs = x.shape
    if torch.compiler.is_exporting():
        return _to_more_patches(x, lengths, size), n_of_patches
    present = step_mask(lengths, n_steps).to(x.device)
    x = torch.where(present, x, torch.zeros((), dtype=x.dtype, device=x.device))
    n_patches = -(-n_steps // size)
    x = torch.nn.functional.pad(x, (0, 0, 0, n_patches * size - n_steps))
    return x.reshape(n_sequences, n_patches, size * n_inputs), n_of_patches


def _to_more_patches(x: Tensor, lengths: Tensor, size: int) -> Tensor:
    """Fold an open number of steps, with empty patches at the end.

    There are at least two: a single one would be a case of its own in what torch records.
    """
    n_steps = x.shape[1]
    steps = torch.arange(n_steps // size + 2)[:, None] * size + torch.arange(size)
    present = (steps < lengths[:, None, None])[..., None].to(x.device)
    folded = x[:, steps.clamp(max=n_steps - 1).to(x.device)]
    return torch.where(present, folded, 0).flatten(2)


def reverse_steps(x: Tensor, lengths: Tensor) -> Tensor:
    """Reverse the order of each sequence's present steps; the others stay where they are.

    Parameters
    ----------
    x : Tensor of shape (batch, n_timesteps, n_features)
    lengths : Tensor of int64 of shape (batch,)
    """
    steps = torch.arange(x.shape[1])
    mirrored = lengths[:, None] - 1 - steps
    order = torch.where(mirrored >= 0, mirrored, steps).to(x.device)
    return x.gather(1, order[..., None].expand_as(x))


def pool(features: Tensor, lengths: Tensor, pooling: str) -> Tensor:
    """Pool the features of a sequence's steps.

    Parameters
    ----------
    features : Tensor of shape (batch, n_timesteps, n_features)
    lengths : Tensor of int64 of shape (batch,)
    pooling : str
        One of POOLINGS; "concat" is last, mean and max side by side.

    Returns
    -------
    pooled : Tensor of shape (batch, n_features), for "concat" (batch, 3 * n_features)
    """
    parts = []
    present = step_mask(lengths, features.shape[1]).to(features.device)
    if pooling in ("last", "concat"):
        parts.append(at_last_steps(features, lengths))
    if pooling in ("mean", "concat"):
        zero = torch.zeros((), dtype=features.dtype, device=features.device)
        total = torch.where(present, features, zero).sum(1)
        parts.append(total / lengths[:, None].to(total.device))
    if pooling in ("max", "concat"):
        parts.append(features.masked_fill(~present, -torch.inf).amax(1))
    return torch.cat(parts, 1)
