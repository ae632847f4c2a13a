"""Which rows are in use, and which are free to be written, as pure functions of tensors.

Shapes, in the letters of the literature: B batch, R read heads, V write heads, N memory
rows (``memory_size``).

References
----------
.. [1] Graves et al. (2016), "Hybrid computing using a neural network with dynamic external
   memory", Nature 538.
"""

import torch
from torch import Tensor


def retention(free_gate: Tensor, read_weights: Tensor) -> Tensor:
    """How much of each row is not freed by the read heads, DNC "dynamic memory allocation".

    Parameters
    ----------
    free_gate : Tensor of shape (B, R, 1)
        Free gates f in [0, 1].
    read_weights : Tensor of shape (B, R, N)
        What the heads read in the step before.

    Returns
    -------
    retention : Tensor of shape (B, N)
        ``ψ = Π_r (1 - f_r wʳ)``.
    """
    return (1 - free_gate * read_weights).prod(dim=1)


def usage(previous: Tensor, write_weights: Tensor, retention: Tensor) -> Tensor:
    """How much each row is in use: written, and not freed since.

    Parameters
    ----------
    previous : Tensor of shape (B, N)
        Usage before, in [0, 1].
    write_weights : Tensor of shape (B, V, N)
        What was written in the step before. Several heads count as one of weighting
        ``1 - Π_v (1 - w_v)``.
    retention : Tensor of shape (B, N)
        See :func:`retention`.

    Returns
    -------
    usage : Tensor of shape (B, N)
        ``(u + w - u∘w) ∘ ψ``, in [0, 1].
    """
    written = 1 - (1 - write_weights).prod(dim=1)
    return (previous + written - previous * written) * retention


def allocate(usage: Tensor) -> Tensor:
    """Weighting of the rows that are free, above all of the freest.

    Parameters
    ----------
    usage : Tensor of shape (B, N)
        In [0, 1].

    Returns
    -------
    allocation : Tensor of shape (B, N)
        ``a[φ_j] = (1 - u[φ_j]) Π_{i<j} u[φ_i]``, where φ sorts the rows by their usage;
        rows used alike stay in their order. The sum is ``1 - Π u``. No gradient flows
        through the choice of φ.

    Notes
    -----
    Other implementations raise the usage to ``ε + (1 - ε) u`` first, because they
    differentiate the product by dividing it by its factors. That is not needed here, and
    has a side effect: allocations from unused rows are then 1, ε, ε² ..., so that whoever
    allocates next finds the last of them the freest, or the first whose power of ε has
    underflowed.
    """
    ascending, order = usage.sort(dim=-1, stable=True)
    of_freer_rows = ascending[..., :-1].cumprod(dim=-1)
    of_freer_rows = torch.cat([torch.ones_like(ascending[..., :1]), of_freer_rows], dim=-1)
    ranked = (1 - ascending) * of_freer_rows
    return torch.zeros_like(ranked).scatter(-1, order, ranked)


def allocate_in_turn(usage: Tensor, gate: Tensor) -> Tensor:
    """Allocate rows to several write heads, each of which sees what those before it take.

    Parameters
    ----------
    usage : Tensor of shape (B, N)
        In [0, 1].
    gate : Tensor of shape (B, V, 1)
        How much of its allocation each head will write, ``gʷ gᵃ`` in [0, 1]. The next
        head's usage is higher by ``gʷ gᵃ a``.

    Returns
    -------
    allocations : Tensor of shape (B, V, N)
    """
    allocations = []
    for head in range(gate.shape[1]):
        allocations.append(allocate(usage))
        usage = usage + gate[:, head] * allocations[-1]
    return torch.stack(allocations, dim=1)
