"""Content lookup where rows can be all zeros, and where keys can be masked.

The NTM's lookup (:func:`sknt.ops.content_weighting`) divides by ``‖k‖‖m‖ + ε``: close to a
row of zeros, its gradient is up to 1/ε times as large as elsewhere. A DNC's rows do become
zeros, when they are freed. Here ε is inside both norms, and the factor is at most 1/√ε.
Shapes as in :mod:`sknt.ops.addressing`.

References
----------
.. [1] Csordás & Schmidhuber (2019), "Improving Differentiable Neural Computers Through
   Memory Masking, De-allocation, and Link Distribution Sharpness Control",
   arXiv:1904.10278.
"""

import torch
from torch import Tensor

from sknt.ops.addressing import EPSILON

MASK_FLOOR = 0.01
"""μ, the least that a column counts in a masked lookup: there is always one to compare."""


def masked_cosine(key: Tensor, memory: Tensor, mask: Tensor | None = None) -> Tensor:
    """Cosine of every head's key with every memory row, in the columns of its mask.

    Parameters
    ----------
    key : Tensor of shape (B, H, W)
    memory : Tensor of shape (B, N, W)
    mask : Tensor of shape (B, H, W) or None, default=None
        How much each column counts; None means all alike.

    Returns
    -------
    similarity : Tensor of shape (B, H, N)
        ``cos(k∘m, M∘m)`` with ‖x‖ = √(x·x + ε), in [-1, 1]; 0 for a row or key of zeros.
    """
    if mask is None:
        squares = memory.square().sum(-1).unsqueeze(-2)
    else:
        key = key * mask
        squares = mask.square() @ memory.square().mT  # no masked copy of M for every head
    row_norm = torch.sqrt(squares + EPSILON)
    key_norm = torch.sqrt(key.square().sum(-1, keepdim=True) + EPSILON)
    masked_key = key if mask is None else key * mask
    return (masked_key @ memory.mT) / (key_norm * row_norm)


def masked_content_weighting(
    key: Tensor, strength: Tensor, memory: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Weighting by similarity of content, in the columns of each head's mask.

    Parameters
    ----------
    key : Tensor of shape (B, H, W)
    strength : Tensor of shape (B, H, 1)
        Key strength β ≥ 0; at 0 the weighting is uniform.
    memory : Tensor of shape (B, N, W)
    mask : Tensor of shape (B, H, W) or None, default=None

    Returns
    -------
    weighting : Tensor of shape (B, H, N)
    """
    return torch.softmax(strength * masked_cosine(key, memory, mask), dim=-1)
