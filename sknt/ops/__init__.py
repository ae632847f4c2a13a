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

__all__ = [
    "allocate",
    "allocate_in_turn",
    "content_weighting",
    "cosine_similarity",
    "follow_backward",
    "follow_forward",
    "interpolate",
    "links",
    "masked_content_weighting",
    "masked_cosine",
    "precedence",
    "read",
    "retention",
    "sharpen",
    "sharpen_followed",
    "shift",
    "usage",
    "write",
]
