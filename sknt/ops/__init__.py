"""Pure functions on tensors, without parameters or state."""

from sknt.ops.addressing import (
    content_weighting,
    cosine_similarity,
    interpolate,
    read,
    sharpen,
    shift,
    write,
)

__all__ = [
    "content_weighting",
    "cosine_similarity",
    "interpolate",
    "read",
    "sharpen",
    "shift",
    "write",
]
