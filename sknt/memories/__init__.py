"""Memories, and the registry that names them.

A new memory is one file with a subclass of :class:`~sknt.memories.Memory` and one line in
``MEMORIES`` or, outside this package, a call to :func:`register_memory`.
"""

import inspect
from collections.abc import Mapping
from typing import Any

from sknt.memories._base import Memory, Trace
from sknt.memories._contract import check_contract
from sknt.memories._dntm_fields import DNTMInterface, DNTMState
from sknt.memories.dnc import DNCInterface, DNCMemory, DNCState
from sknt.memories.dntm import DNTMMemory
from sknt.memories.ntm import NTMInterface, NTMMemory, NTMState
from sknt.memories.sam import SAMInterface, SAMMemory, SAMState

MEMORIES: dict[str, type[Memory]] = {
    "ntm": NTMMemory,
    "dnc": DNCMemory,
    "dntm": DNTMMemory,
    "sam": SAMMemory,
}
"""Names of the memories; ``memory=None`` is the controller alone."""

_OWN = frozenset(MEMORIES)


def register_memory(name: str, memory_class: type[Memory]) -> None:
    """Register a memory under a name, which estimators and networks then accept.

    Parameters
    ----------
    name : str
        The value of ``memory=``. A name registered earlier is replaced.
    memory_class : type
        A subclass of :class:`Memory`.

    Raises
    ------
    TypeError
        If the name is not a string, or the class is not a memory.
    ValueError
        If the name is that of a built-in memory.

    Notes
    -----
    A memory is registered in this process alone. A pickled estimator holds its memory's
    name, not its class: register the memory in a module that every process imports,
    including the workers of ``n_jobs=2``.
    """
    if not isinstance(name, str):
        raise TypeError(f"name={name!r} is of type {type(name).__name__}; use a string")
    if not (isinstance(memory_class, type) and issubclass(memory_class, Memory)):
        raise TypeError(
            f"memory_class={memory_class!r} is not a subclass of sknt.memories.Memory"
        )
    if name in _OWN:
        raise ValueError(f"name={name!r} is one of sknt's own memories; choose another")
    MEMORIES[name] = memory_class


def make_memory(
    name: str,
    *sizes: int,
    memory_params: Mapping[str, Any] | None = None,
    n_inputs: int = 0,
) -> Memory:
    """Build a memory by its name.

    Parameters
    ----------
    name : str
        A key of ``MEMORIES``.
    *sizes : int
        controller_size, memory_size, word_size, n_read_heads, n_write_heads.
    memory_params : mapping or None, default=None
        Options specific to this memory.
    n_inputs : int, default=0
        Number of features of a step, for a memory that uses them.

    Raises
    ------
    ValueError
        If the memory or one of the options is not known, or has a bad value.
    TypeError
        If a registered memory breaks the contract, as a trial step shows.
    """
    if not isinstance(name, str) or name not in MEMORIES:
        raise ValueError(
            f"memory={name!r} is not known; choose from {sorted(MEMORIES)}, "
            "or None for the controller alone. A custom memory has to be registered first, "
            "with sknt.memories.register_memory"
        )
    memory_class = MEMORIES[name]
    if not isinstance(memory_params, Mapping | None):
        raise ValueError(
            f"memory_params={memory_params!r} is not a dictionary of options; use one "
            "such as {'shift_range': 1}"
        )
    options = dict(memory_params or {})
    known = [
        parameter.name
        for parameter in inspect.signature(memory_class).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
        and not (memory_class.uses_inputs and parameter.name == "n_inputs")
    ]
    if unknown := sorted(set(options) - set(known), key=str):
        raise ValueError(
            f"memory_params has {', '.join(map(repr, unknown))}, which memory={name!r} "
            f"does not know; it knows {known}{_owners(unknown)}"
        )
    if memory_class.uses_inputs:
        if "n_inputs" not in inspect.signature(memory_class).parameters:
            raise TypeError(
                f"{memory_class.__name__}.uses_inputs is True, so its __init__ needs a "
                "parameter n_inputs, the number of inputs of a step"
            )
        options["n_inputs"] = n_inputs
    memory = memory_class(*sizes, **options)
    if name not in _OWN:
        check_contract(memory, sizes[0], sizes[2], sizes[3], n_inputs)
    return memory


def _owners(options: list[Any]) -> str:
    """Say which of sknt's own memories know all of some options."""
    owners = [
        name
        for name in sorted(_OWN)
        if set(options) <= set(inspect.signature(MEMORIES[name]).parameters) - {"n_inputs"}
    ]
    if not owners:
        return ""
    names = " or ".join(f"memory={name!r}" for name in owners)
    return f". {names} does: in a search over memories, give each a grid of its own"


__all__ = [
    "MEMORIES",
    "DNCInterface",
    "DNCMemory",
    "DNCState",
    "DNTMInterface",
    "DNTMMemory",
    "DNTMState",
    "Memory",
    "NTMInterface",
    "NTMMemory",
    "NTMState",
    "SAMInterface",
    "SAMMemory",
    "SAMState",
    "Trace",
    "make_memory",
    "register_memory",
]
