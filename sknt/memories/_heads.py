"""What memories with read and write heads share: fields of an interface, and weightings."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor


def split_columns(columns: Tensor, shapes: Sequence[tuple[int, int]]) -> list[Tensor]:
    """Split the columns of an interface, (..., n_columns), into fields of these shapes."""
    parts = columns.split([count * width for count, width in shapes], dim=-1)
    return [p.unflatten(-1, shape) for p, shape in zip(parts, shapes, strict=True)]


def weightings_of_heads(states: Any) -> dict[str, Tensor]:
    """Name the weightings of a trace's states, those of write heads first."""
    kinds = {"write": states.write_weights, "read": states.read_weights}
    return {
        f"{kind} head {head}": weights[:, :, head]
        for kind, weights in kinds.items()
        for head in range(weights.shape[2])
    }
