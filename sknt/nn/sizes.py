"""Sizes of a network: whether they are valid, and whether it fits into memory.

A machine that runs out of memory hangs or kills the process. An error that names the size
at fault is therefore raised before anything is built.
"""

import math
import os
from contextlib import suppress
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple

import torch

MAX_LAYERS = 1000
"""Most layers of a controller: torch's take time quadratic in their number to build."""

CONTAINER_LIMITS = (
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
)
"""Where Linux reports how much memory a container may use."""


class NetworkSizes(NamedTuple):
    """The sizes that a network is built with."""

    n_inputs: int
    n_outputs: int
    memory_size: int
    word_size: int
    n_read_heads: int
    n_write_heads: int
    hidden_size: int
    n_layers: int


def check_network_sizes(has_memory: bool, **sizes: Any) -> NetworkSizes:
    """Return sizes as Python's integers, because torch's layers refuse NumPy's.

    Raises
    ------
    ValueError
        If one is not a positive integer, there are too many layers, or the network would
        not fit into the memory of this machine.
    """
    for name, size in sizes.items():
        if not isinstance(size, Integral) or isinstance(size, bool) or size < 1:
            raise ValueError(f"{name}={size!r} is not a positive integer")
    checked = NetworkSizes(**{name: int(size) for name, size in sizes.items()})
    if checked.n_layers > MAX_LAYERS:
        raise ValueError(
            f"n_layers={checked.n_layers} is more than {MAX_LAYERS}; use fewer layers, and "
            "more units (hidden_size)"
        )
    _check_memory(checked, has_memory)
    return checked


def _check_memory(sizes: NetworkSizes, has_memory: bool) -> None:
    """Refuse a network that is larger than this machine's memory."""
    parts = _count_numbers(sizes, has_memory)
    n_bytes = sum(parts.values()) * torch.get_default_dtype().itemsize
    largest = max(parts, key=lambda part: parts[part])
    _check_bytes(n_bytes, "the network", f"most of it for {largest}", "smaller sizes")


def check_state_size(state: Any, memory_size: int) -> None:
    """Refuse a memory whose state of one sequence is larger than this machine's memory.

    Parameters
    ----------
    state : NamedTuple of Tensor
        As the memory returns it for one sequence, whether it takes room yet or not.
    memory_size : int
    """
    parts = {f: p for f, p in state._asdict().items() if isinstance(p, torch.Tensor)}
    n_bytes = {field: part.numel() * part.itemsize for field, part in parts.items()}
    if not n_bytes:
        return
    largest = max(n_bytes, key=lambda field: n_bytes[field])
    shape = tuple(parts[largest].shape[1:])
    _check_bytes(
        sum(n_bytes.values()),
        f"the state of one sequence with memory_size={memory_size}",
        f"most of it for its {largest} of shape {shape}",
        "fewer rows, or memory='sam', which can have many",
    )


def _check_bytes(n_bytes: int, what: str, most: str, way_out: str) -> None:
    if n_bytes > 2**30 and n_bytes > (limit := machine_memory()):
        raise ValueError(
            f"{what} would take {n_bytes / 2**30:,.1f} GiB, {most}; "
            f"this machine has {limit / 2**30:,.1f} GiB, so use {way_out}"
        )


def _count_numbers(sizes: NetworkSizes, has_memory: bool) -> dict[str, int]:
    """Return how many numbers each part of a network has at least, by its sizes."""
    n_in, n_out, rows, width, n_read, n_write, hidden, layers = sizes
    parts = {
        f"hidden_size={hidden} and n_layers={layers}": hidden * hidden * layers,
        f"n_inputs={n_in} and hidden_size={hidden}": n_in * hidden,
        f"n_outputs={n_out} and hidden_size={hidden}": n_out * hidden,
    }
    if has_memory:
        heads = f"n_read_heads={n_read} and n_write_heads={n_write}"
        parts |= {
            f"memory_size={rows} and word_size={width}": rows * width,
            f"memory_size={rows}, {heads}": rows * (n_read + n_write),
            f"word_size={width}, {heads} and hidden_size={hidden}": (
                width * (n_read + n_write) * hidden
            ),
            f"word_size={width}, n_read_heads={n_read} and n_outputs={n_out}": (
                width * n_read * n_out
            ),
        }
    return parts


def machine_memory() -> float:
    """Return how many bytes of memory this machine or container has; inf if unknown."""
    limits = [math.inf]
    with suppress(AttributeError, ValueError, OSError):  # not on Windows
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for path in CONTAINER_LIMITS:
        with suppress(OSError, ValueError):  # not in a container, or "max"
            limits.append(int(Path(path).read_text()))
    return min(limits)
