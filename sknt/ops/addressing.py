"""Addressing, reading and writing as pure functions of tensors (NTM eq. 2-9).

Shapes, in the letters of the literature: B batch, H heads, N memory rows
(``memory_size``), W row width (``word_size``), S shifts (``2 * shift_range + 1``).
Nothing here has parameters or state; the memories combine these functions.

References
----------
.. [1] Graves, Wayne & Danihelka (2014), "Neural Turing Machines", arXiv:1410.5401.
"""

import torch
from torch import Tensor

EPSILON = 1e-8
"""Keeps the quotients and logarithms of addressing finite, here and in the kernels."""


def cosine_similarity(key: Tensor, memory: Tensor) -> Tensor:
    """Cosine of every head's key with every memory row, NTM eq. 6.

    Parameters
    ----------
    key : Tensor of shape (B, H, W)
    memory : Tensor of shape (B, N, W)

    Returns
    -------
    similarity : Tensor of shape (B, H, N)
        ``k·m / (‖k‖‖m‖ + ε)``, in [-1, 1]. A row or key of zeros has similarity 0 and
        a gradient of 0 through its norm.
    """
    key_norm = torch.linalg.vector_norm(key, dim=-1, keepdim=True)
    row_norm = torch.linalg.vector_norm(memory, dim=-1).unsqueeze(-2)
    return (key @ memory.mT) / (key_norm * row_norm + EPSILON)


def content_weighting(key: Tensor, strength: Tensor, memory: Tensor) -> Tensor:
    """Weighting by similarity of content, NTM eq. 5.

    Parameters
    ----------
    key : Tensor of shape (B, H, W)
    strength : Tensor of shape (B, H, 1)
        Key strength β ≥ 0; at 0 the weighting is uniform.
    memory : Tensor of shape (B, N, W)

    Returns
    -------
    weighting : Tensor of shape (B, H, N)
    """
    return torch.softmax(strength * cosine_similarity(key, memory), dim=-1)


def interpolate(content: Tensor, previous: Tensor, gate: Tensor) -> Tensor:
    """Mix the content weighting with the last step's, NTM eq. 7.

    Parameters
    ----------
    content, previous : Tensor of shape (B, H, N)
    gate : Tensor of shape (B, H, 1)
        Interpolation gate g in [0, 1]: 1 takes the content, 0 the previous weighting.

    Returns
    -------
    weighting : Tensor of shape (B, H, N)
    """
    return torch.lerp(previous, content, gate)


def shift(weighting: Tensor, distribution: Tensor) -> Tensor:
    """Rotate a weighting by a distribution over shifts, NTM eq. 8.

    Parameters
    ----------
    weighting : Tensor of shape (B, H, N)
    distribution : Tensor of shape (B, H, S)
        Probabilities of the shifts -shift_range ... +shift_range, in this order. A shift
        of +1 moves the focus to the next row, from the last row to the first.

    Returns
    -------
    shifted : Tensor of shape (B, H, N)
        ``Σ_j weighting[(n - j) mod N] · distribution[j]``
    """
    reach = distribution.shape[-1] // 2
    if reach == 0:
        return weighting
    circular = torch.cat(
        [weighting[..., -reach:], weighting, weighting[..., :reach]], dim=-1
    )
    # Row n's window holds rows n - reach ... n + reach, and a shift by j comes from row
    # n - j: the distribution is reversed.
    windows = circular.unfold(-1, distribution.shape[-1], 1)
    return (windows @ distribution.flip(-1).unsqueeze(-1)).squeeze(-1)


def sharpen(weighting: Tensor, gamma: Tensor) -> Tensor:
    """Raise a weighting to the power γ and normalise it again, NTM eq. 9.

    Parameters
    ----------
    weighting : Tensor of shape (B, H, N)
    gamma : Tensor of shape (B, H, 1)
        Exponent γ ≥ 1; at 1 the weighting stays as it is.

    Returns
    -------
    sharpened : Tensor of shape (B, H, N)
        ``ŵ^γ / Σ ŵ^γ``, computed as the softmax of ``γ log(ŵ + ε)``: the powers
        themselves would all underflow to zero for many rows and a large γ.
    """
    return torch.softmax(gamma * torch.log(weighting + EPSILON), dim=-1)


def read(weighting: Tensor, memory: Tensor) -> Tensor:
    """Blend the memory rows by each head's weighting, NTM eq. 2.

    Parameters
    ----------
    weighting : Tensor of shape (B, H, N)
    memory : Tensor of shape (B, N, W)

    Returns
    -------
    reads : Tensor of shape (B, H, W)
    """
    return weighting @ memory


def write(memory: Tensor, weighting: Tensor, erase: Tensor, add: Tensor) -> Tensor:
    """Erase and then add with one head, NTM eq. 3-4.

    Parameters
    ----------
    memory : Tensor of shape (B, N, W)
    weighting : Tensor of shape (B, N)
    erase, add : Tensor of shape (B, W)
        Erase vector in [0, 1] and add vector.

    Returns
    -------
    memory : Tensor of shape (B, N, W)
        ``M ∘ (1 - w eᵀ) + w aᵀ``; the tensor given is not changed.
    """
    focus = weighting.unsqueeze(-1)
    # Outer products by bmm: broadcasting is several times slower, forward and backward.
    kept = torch.addcmul(memory, memory, focus @ erase.unsqueeze(-2), value=-1)
    return torch.baddbmm(kept, focus, add.unsqueeze(-2))
