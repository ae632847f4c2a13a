"""Which devices torch can compute on here."""

from typing import Any

import torch


def why_unavailable(device: Any) -> str | None:
    """Return why torch cannot compute on a device here, or None if it can."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, ImportError) as error:
        return str(error).splitlines()[0]
    return "it holds no data" if torch.device(device).type == "meta" else None
