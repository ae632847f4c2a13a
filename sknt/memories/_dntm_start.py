"""How a D-NTM begins: its addresses, and what its heads do before they have learned.

Heads that can move begin as those of the NTM: they write row after row, and look up what
was written. Heads that cannot have to find a place for what they write, and prefer rows
that are still empty. Heads that choose single rows have to try them all, and begin with
weak preferences.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from sknt.memories._dntm_fields import DNTMInterface

ADDRESS_NORM = 2.0
"""Initial norm of an address."""

MIX, READ_RECENCY = -2.0, -2.0
"""Added to the initial biases of the mixes and of the read heads' recency gates."""

READ_STRENGTH, WRITE_STRENGTH, WRITE_RECENCY = 10.0, 15.0, -2.0
"""Added to the initial biases of heads that do not move."""

ERASE, WRITE_CONTENT = -2.0, -0.3
"""Initial biases of erase vectors, and of each element of a write key's content."""

WEAK_STRENGTH, HIGH_RECENCY = 3.0, 2.0
"""Added to the biases of strengths and write heads' recency with shifts, or if hard."""

READ_GATE, WRITE_GATE, WRITE_SHIFT = 2.0, -2.0, 2.0
"""Added to the initial biases of the gates and of write heads' shift by +1."""

FIRST_ROW_LOGIT = 10.0
"""With shifts, heads start on row 0: the logits of w_0 begin as this there, 0 elsewhere."""


def spread_addresses(memory_size: int, address_size: int) -> Tensor:
    """Return addresses that lie well apart, (memory_size, address_size).

    They wind around a torus, by another irrational angle in each of its planes, so that
    the rotation from a row's address to the next row's is the same for all rows. The
    angles are those of the generalised golden ratio, the root of φ^(d + 1) = 1 + φ for d
    planes [1]_. A last single dimension alternates between two values.

    References
    ----------
    .. [1] Roberts (2018), "The unreasonable effectiveness of quasirandom sequences".
    """
    n_planes = address_size // 2
    ratio = 2.0
    for _ in range(100):
        ratio = (1 + ratio) ** (1 / (n_planes + 1))
    rows = torch.arange(memory_size, dtype=torch.float64).unsqueeze(1)
    turns = rows * ratio ** -torch.arange(1.0, n_planes + 1, dtype=torch.float64)
    angles = 2 * math.pi * turns
    parts = [angles.cos(), angles.sin()]
    if address_size % 2:
        parts.append((1 - 2 * (rows % 2)) / math.sqrt(2))
    addresses = F.normalize(torch.cat(parts, dim=1), dim=1)
    return (ADDRESS_NORM * addresses).to(torch.get_default_dtype())


def random_addresses(memory_size: int, address_size: int) -> Tensor:
    """Return addresses with a norm of about 1, (memory_size, address_size)."""
    return torch.randn(memory_size, address_size) / math.sqrt(address_size)


def initialize_choices(biases: DNTMInterface) -> None:
    """Let heads that choose single rows do so with little strength."""
    n_read = len(biases.key) - len(biases.erase)
    biases.strength.add_(WEAK_STRENGTH)
    biases.recency[:n_read] += READ_RECENCY
    biases.recency[n_read:] += HIGH_RECENCY
    biases.gate.add_(READ_GATE)


def initialize_lookup(weights: DNTMInterface, biases: DNTMInterface, address: int) -> None:
    """Let a read head look for what the write head of the same number would write.

    What is written comes from the controller's output at first, as the keys do: the
    inputs' own share of it begins small. All fields are views, and are changed in place.
    """
    n_pairs = min(len(biases.key) - len(biases.erase), len(biases.erase))
    for part in (weights, biases):
        part.key[..., :n_pairs, address:] = part.candidate[..., :n_pairs, :]
    biases.mix.add_(MIX)


def initialize_tape(weights: DNTMInterface, biases: DNTMInterface, address: int) -> None:
    """Let heads that can move write row after row, and look contents up."""
    n_read = len(biases.key) - len(biases.erase)
    n_pairs = min(n_read, len(biases.erase))
    reads, writes = slice(n_read), slice(n_read, None)
    for part in (weights, biases):
        part.key[..., :n_pairs, :address] = 0
    biases.strength.add_(WEAK_STRENGTH)
    biases.recency[reads] += READ_RECENCY
    biases.recency[writes] += HIGH_RECENCY
    biases.gate[reads] += READ_GATE
    biases.gate[writes] += WRITE_GATE
    biases.shift[writes, biases.shift.shape[-1] // 2 + 1] += WRITE_SHIFT


def initialize_allocation(
    weights: DNTMInterface, biases: DNTMInterface, address: int
) -> None:
    """Let heads that cannot move write to rows that are still empty.

    Contents are never negative, so that a key whose content is negative fits a row the
    less, the more has been written to it. Among the empty rows, the address decides. Read
    heads have the address of a write head: they learn where that writes, and the same map
    can lead both from one row to the next. Those that look nothing up do only this.
    """
    n_write = len(biases.erase)
    n_read = len(biases.key) - n_write
    reads, writes = slice(n_read), slice(n_read, None)
    weights.key[..., writes, address:] = 0
    biases.key[writes, address:] = WRITE_CONTENT
    for part in (weights, biases):
        for head in range(n_read):
            write_head = n_read + head % n_write
            part.key[..., head, :address] = part.key[..., write_head, :address]
        part.key[..., n_write:n_read, address:] = 0
    biases.strength[reads] += READ_STRENGTH
    biases.strength[writes] += WRITE_STRENGTH
    biases.recency[reads] += READ_RECENCY
    biases.recency[writes] += WRITE_RECENCY
    biases.erase.add_(ERASE)
