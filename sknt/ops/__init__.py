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
from sknt.ops.sparse import (
    gather_rows,
    least_recent_rows,
    nearest_rows,
    sparse_add,
    sparse_content_weighting,
    sparse_read,
    spread,
    wipe_rows,
)

__all__ = [
    "content_weighting",
    "cosine_similarity",
    "gather_rows",
    "interpolate",
    "least_recent_rows",
    "nearest_rows",
    "read",
    "sharpen",
    "shift",
    "sparse_add",
    "sparse_content_weighting",
    "sparse_read",
    "spread",
    "wipe_rows",
    "write",
]
