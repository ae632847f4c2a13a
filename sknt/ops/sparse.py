"""Selection of memory rows, and reading and writing of the rows selected alone (SAM).

Shapes, in the letters of the literature: B batch, H heads, N memory rows
(``memory_size``), W row width (``word_size``), K selected rows. Rows are named by their
indices, whole numbers of an integer type. Which rows are selected has no gradient.

References
----------
.. [1] Rae et al. (2016), "Scaling Memory-Augmented Neural Networks with Sparse Reads and
   Writes", arXiv:1610.09027.
"""

import math

import torch
from torch import Tensor

from sknt.ops.addressing import EPSILON

TIE = 64
"""Cosines that differ by less are equal, in units of the last place of 1."""


@torch.no_grad()
def nearest_rows(key: Tensor, memory: Tensor, count: int) -> Tensor:
    """Return the rows most similar to each head's key, by the cosine.

    Parameters
    ----------
    key : Tensor of shape (B, H, W)
    memory : Tensor of shape (B, N, W)
    count : int
        Number of rows K, at most N.

    Returns
    -------
    rows : Tensor of shape (B, H, K)
        Nearest first; of rows equally near, the lowest first.

    Notes
    -----
    Rows are equally near if their cosines are equal but for rounding (``TIE``). A vector
    written to several rows of zeros, with different weights, makes their cosines equal;
    rounding should not decide which of them is nearest. NaN is nearer than any number.
    """
    # Not by a matrix product: it may round the same row differently at different places.
    similarity = _cosine(key.unsqueeze(2), memory.unsqueeze(1))
    similarity = similarity.masked_fill(similarity.isnan(), math.inf)
    tolerance, rows = TIE * torch.finfo(similarity.dtype).eps, []
    for _ in range(count):
        is_nearest = similarity >= similarity.amax(-1, keepdim=True) - tolerance
        rows.append(is_nearest.byte().argmax(-1, keepdim=True))  # the first of them
        similarity = similarity.scatter(-1, rows[-1], -math.inf)
    return torch.cat(rows, dim=-1)


@torch.no_grad()
def least_recent_rows(last_access: Tensor, count: int) -> Tensor:
    """Return the rows whose last access is longest ago.

    Parameters
    ----------
    last_access : Tensor of shape (B, N)
        The step at which each row was last accessed.
    count : int
        Number of rows, at most N.

    Returns
    -------
    rows : Tensor of shape (B, count)
        All different, the least recently accessed one first; of rows last accessed at the
        same step, the lowest first.
    """
    return last_access.sort(dim=-1, stable=True).indices[:, :count]


def gather_rows(memory: Tensor, rows: Tensor) -> Tensor:
    """Return the contents of rows.

    Parameters
    ----------
    memory : Tensor of shape (B, N, W)
    rows : Tensor of shape (B, H, K)

    Returns
    -------
    contents : Tensor of shape (B, H, K, W)
    """
    places = rows.flatten(1).unsqueeze(-1).expand(-1, -1, memory.shape[-1])
    return memory.gather(1, places).unflatten(1, rows.shape[1:])


def sparse_content_weighting(key: Tensor, strength: Tensor, contents: Tensor) -> Tensor:
    """Weighting by similarity over the selected rows alone.

    Parameters
    ----------
    key : Tensor of shape (B, H, W)
    strength : Tensor of shape (B, H, 1)
        Key strength β ≥ 0.
    contents : Tensor of shape (B, H, K, W)

    Returns
    -------
    weights : Tensor of shape (B, H, K)
        ``softmax_k(β cos(key, contents[k]))``
    """
    return torch.softmax(strength * _cosine(key.unsqueeze(2), contents), dim=-1)


def sparse_read(weights: Tensor, contents: Tensor) -> Tensor:
    """Blend the selected rows.

    Parameters
    ----------
    weights : Tensor of shape (B, H, K)
    contents : Tensor of shape (B, H, K, W)

    Returns
    -------
    reads : Tensor of shape (B, H, W)
    """
    return (weights.unsqueeze(2) @ contents).squeeze(2)


def wipe_rows(memory: Tensor, rows: Tensor) -> Tensor:
    """Return the memory with rows of zeros, ``M ∘ (1 - 1_rows 1ᵀ)``.

    Parameters
    ----------
    memory : Tensor of shape (B, N, W)
    rows : Tensor of shape (B, K)
    """
    places = rows.unsqueeze(-1).expand(-1, -1, memory.shape[-1])
    return memory.scatter(1, places, 0.0)


def sparse_add(memory: Tensor, rows: Tensor, weights: Tensor, add: Tensor) -> Tensor:
    """Return ``M + Σ_h w_h a_hᵀ``, where each weighting is 0 outside its rows.

    Parameters
    ----------
    memory : Tensor of shape (B, N, W)
    rows : Tensor of shape (B, H, K)
        A row may occur more than once: its weights add up.
    weights : Tensor of shape (B, H, K)
    add : Tensor of shape (B, H, W)
    """
    places = rows.flatten(1).unsqueeze(-1).expand(-1, -1, memory.shape[-1])
    changes = weights.unsqueeze(-1) * add.unsqueeze(2)
    return memory.scatter_add(1, places, changes.flatten(1, 2))


def spread(rows: Tensor, weights: Tensor, n_rows: int) -> Tensor:
    """Return weightings over all rows, from those of the selected ones.

    Parameters
    ----------
    rows, weights : Tensor of shape (..., K)
        A row may occur more than once: its weights add up.
    n_rows : int
        Number of rows N.

    Returns
    -------
    weighting : Tensor of shape (..., N)
    """
    empty = weights.new_zeros(*weights.shape[:-1], n_rows)
    return empty.scatter_add(-1, rows, weights)


def _cosine(key: Tensor, rows: Tensor) -> Tensor:
    """Cosine over the last axis, with the others broadcast; NTM eq. 6."""
    norms = torch.linalg.vector_norm(key, dim=-1) * torch.linalg.vector_norm(rows, dim=-1)
    return (key * rows).sum(-1) / (norms + EPSILON)
