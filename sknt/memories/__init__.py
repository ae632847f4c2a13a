"""Memories, and the registry that names them.

A new memory is one file with a subclass of :class:`~sknt.memories._base.Memory` and one
line in ``MEMORIES``.
"""

import inspect
from collections.abc import Mapping
from typing import Any

from sknt.memories._base import Memory
from sknt.memories.ntm import NTMInterface, NTMMemory, NTMState

MEMORIES: dict[str, type[Memory]] = {"ntm": NTMMemory}
"""Names of the memories; ``memory=None`` is the controller alone."""


def make_memory(
    name: str, *sizes: int, memory_params: Mapping[str, Any] | None = None
) -> Memory:
    """Build a memory by its name.

    Parameters
    ----------
    name : str
        A key of ``MEMORIES``.
    *sizes : int
        controller_size, memory_size, word_size, n_read_heads, n_write_heads.
    memory_params : mapping or None, default=None
        Options of this memory alone.

    Raises
    ------
    ValueError
        If the memory or one of the options is not known, or has a bad value.
    """
    if not isinstance(name, str) or name not in MEMORIES:
        raise ValueError(
            f"memory={name!r} is not known; choose from {sorted(MEMORIES)}, "
            "or None for the controller alone"
        )
    memory_class = MEMORIES[name]
    if not isinstance(memory_params, Mapping | None):
        raise ValueError(
            f"memory_params={memory_params!r} is no dictionary of options; give one such "
            "as {'shift_range': 1}"
        )
    options = dict(memory_params or {})
    known = [
        parameter.name
        for parameter in inspect.signature(memory_class).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    ]
    if unknown := sorted(set(options) - set(known), key=str):
        raise ValueError(
            f"memory_params has {', '.join(map(repr, unknown))}, which memory={name!r} "
            f"does not know; it knows {known}"
        )
    return memory_class(*sizes, **options)


__all__ = [
    "MEMORIES",
    "Memory",
    "NTMInterface",
    "NTMMemory",
    "NTMState",
    "make_memory",
]
