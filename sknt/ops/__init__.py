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
from sknt.ops.allocation import allocate, allocate_in_turn, retention, usage
from sknt.ops.linkage import (
    follow_backward,
    follow_forward,
    links,
    precedence,
    sharpen_followed,
)
from sknt.ops.lookup import masked_content_weighting, masked_cosine
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
    "allocate",
    "allocate_in_turn",
    "content_weighting",
    "cosine_similarity",
    "follow_backward",
    "follow_forward",
    "gather_rows",
    "interpolate",
    "least_recent_rows",
    "links",
    "masked_content_weighting",
    "masked_cosine",
    "nearest_rows",
    "precedence",
    "read",
    "retention",
    "sharpen",
    "sharpen_followed",
    "shift",
    "sparse_add",
    "sparse_content_weighting",
    "sparse_read",
    "spread",
    "usage",
    "wipe_rows",
    "write",
]
