"""In which order rows were written, and how to follow it, as pure functions of tensors.

Shapes, in the letters of the literature: B batch, R read heads, V write heads, N memory
rows (``memory_size``). Each write head has links of its own.

References
----------
.. [1] Graves et al. (2016), "Hybrid computing using a neural network with dynamic external
   memory", Nature 538.
.. [2] Csordás & Schmidhuber (2019), "Improving Differentiable Neural Computers Through
   Memory Masking, De-allocation, and Link Distribution Sharpness Control",
   arXiv:1904.10278.
"""

import torch
from torch import Tensor

from sknt.ops.addressing import EPSILON


def links(previous: Tensor, write_weights: Tensor, precedence: Tensor) -> Tensor:
    """To which row, i, the writing went on from which row, j.

    Parameters
    ----------
    previous : Tensor of shape (B, V, N, N)
        Links before this step.
    write_weights : Tensor of shape (B, V, N)
        What is written in this step.
    precedence : Tensor of shape (B, V, N)
        Before this step, see :func:`precedence`.

    Returns
    -------
    links : Tensor of shape (B, V, N, N)
        ``L[i, j] = (1 - w[i] - w[j]) L[i, j] + w[i] p[j]``, and 0 on the diagonal. Sums of
        rows and of columns are at most 1.
    """
    to, come_from = write_weights.unsqueeze(-1), write_weights.unsqueeze(-2)
    linked = (1 - to - come_from) * previous + to * precedence.unsqueeze(-2)
    n_rows = linked.shape[-1]
    itself = torch.eye(n_rows, dtype=torch.bool, device=linked.device)
    return linked.masked_fill(itself, 0)


def precedence(previous: Tensor, write_weights: Tensor) -> Tensor:
    """How far each row was the last one written.

    Parameters
    ----------
    previous, write_weights : Tensor of shape (B, V, N)

    Returns
    -------
    precedence : Tensor of shape (B, V, N)
        ``(1 - Σ w) p + w``: its sum is at most 1.
    """
    return (1 - write_weights.sum(-1, keepdim=True)) * previous + write_weights


def follow_backward(links: Tensor, read_weights: Tensor) -> Tensor:
    """Move each read head to what was written before what it read.

    Parameters
    ----------
    links : Tensor of shape (B, V, N, N)
    read_weights : Tensor of shape (B, R, N)

    Returns
    -------
    weightings : Tensor of shape (B, R, V, N)
        ``Lᵀ wʳ``, with the links of each write head.
    """
    return (read_weights.unsqueeze(1) @ links).transpose(1, 2)


def follow_forward(links: Tensor, read_weights: Tensor) -> Tensor:
    """Move each read head to what was written after what it read.

    Parameters
    ----------
    links : Tensor of shape (B, V, N, N)
    read_weights : Tensor of shape (B, R, N)

    Returns
    -------
    weightings : Tensor of shape (B, R, V, N)
        ``L wʳ``, with the links of each write head.
    """
    return (read_weights.unsqueeze(1) @ links.mT).transpose(1, 2)


def sharpen_followed(weighting: Tensor, sharpness: Tensor) -> Tensor:
    """Concentrate what links lead to, which every step blurs a little [2]_.

    Parameters
    ----------
    weighting : Tensor of shape (..., N)
        From :func:`follow_forward` or :func:`follow_backward`.
    sharpness : Tensor of shape (..., 1)
        Exponent s ≥ 1.

    Returns
    -------
    sharpened : Tensor of shape (..., N)
        ``(f / max f)^s / Σ (f / max f)^s``, with ε added to both denominators: links that
        lead nowhere still do. Negative numbers, which only rounding can bring, count as 0.
    """
    weighting = torch.relu(weighting)
    largest = weighting.amax(dim=-1, keepdim=True)
    powers = (weighting / (largest + EPSILON)) ** sharpness
    return powers / (powers.sum(-1, keepdim=True) + EPSILON)
