"""Random choices of rows, from a counter-based generator.

A number is a function of a key, a count and the number of the head, all of them whole
numbers: no generator is carried along or changed. Kernels can compute the same numbers in
32-bit integers, and a step can be repeated.
"""

import torch
from torch import Tensor

LIMIT = 2**24
"""Keys and counts are below this, so that single precision holds them exactly."""

EVEN = 1e-3
"""Rows whose probabilities differ by less than this part count as equally probable."""

_MASK = 2**32 - 1


def scramble(numbers: Tensor) -> Tensor:
    """Permute the whole numbers below 2**32 at random.

    Multiplications, shifts and exclusive ors, each of which can be undone; both factors are
    below 2**31, so that products fit into 63 bits. The factors are those of an exhaustive
    search for low bias (Wellons, "Hash Prospector").

    Parameters
    ----------
    numbers : Tensor of int64

    Returns
    -------
    numbers : Tensor of int64, of the same shape
    """
    numbers = numbers & _MASK
    numbers = ((numbers ^ (numbers >> 16)) * 0x21F0AAAD) & _MASK
    numbers = ((numbers ^ (numbers >> 15)) * 0x735A2D97) & _MASK
    return numbers ^ (numbers >> 15)


def make_keys(batch_size: int, seed: int) -> Tensor:
    """Return a key for each sequence of a batch: whole numbers from 1 to 2**24 - 1.

    Returns
    -------
    keys : Tensor of int64 of shape (batch_size,)
    """
    rows = scramble(torch.tensor(seed)) ^ torch.arange(batch_size)
    return 1 + scramble(rows) % (LIMIT - 1)


def uniforms(draw: Tensor, n_heads: int) -> Tensor:
    """Return a number between 0 and 1, both excluded, for each head.

    Parameters
    ----------
    draw : Tensor of shape (batch, 2)
        Key and count of each sequence, as whole numbers of any dtype.
    n_heads : int

    Returns
    -------
    numbers : Tensor of shape (batch, n_heads), of the dtype of draw
        Odd multiples of 2**-24, which single precision holds exactly.
    """
    key, count = draw.to(torch.int64).unbind(-1)
    heads = torch.arange(n_heads, device=draw.device)
    bits = scramble(scramble(scramble(key) ^ count).unsqueeze(-1) ^ heads)
    return (2 * (bits >> 9) + 1).to(draw.dtype) / LIMIT


def choose(probabilities: Tensor, numbers: Tensor) -> Tensor:
    """Return the row that each number falls on, if rows are as wide as they are probable.

    Parameters
    ----------
    probabilities : Tensor of shape (batch, n_heads, n_rows)
    numbers : Tensor of shape (batch, n_heads)
        Between 0 and 1.

    Returns
    -------
    rows : Tensor of int64 of shape (batch, n_heads)
    """
    ends = probabilities.cumsum(-1)
    passed = (ends <= numbers.unsqueeze(-1)).sum(-1)
    return passed.clamp(max=probabilities.shape[-1] - 1)  # the sum may be just below 1


def most_probable(probabilities: Tensor) -> Tensor:
    """Return the most probable row; of rows equally probable, the lowest.

    Rows are equally probable if nothing but rounding tells them apart (``EVEN``): with an
    address of one number, for example, all rows without contents are equally near to a key.

    Parameters
    ----------
    probabilities : Tensor of shape (batch, n_heads, n_rows)

    Returns
    -------
    rows : Tensor of int64 of shape (batch, n_heads)
    """
    least = probabilities.amax(-1, keepdim=True) * (1 - EVEN)
    return (~(probabilities < least)).byte().argmax(-1)  # the first of them, also of NaN
