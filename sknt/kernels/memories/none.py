"""The kernel of a controller without a memory: there is nothing to do."""

from typing import Any, NamedTuple

from sknt.kernels._compile import helper


class Dims(NamedTuple):
    """There are no sizes, but a struct needs a number."""

    nothing: int


def dims(memory: Any) -> Dims:
    """Return the sizes of nothing."""
    return Dims(0)


def state(d: Dims) -> dict[str, tuple[int, ...]]:
    """Return the parts: there are none."""
    return {}


interface = history = scratch = state


@helper
def activate(d, raw, interface, scratch):
    """Do nothing."""


@helper
def step(d, interface, state, reads, history, scratch):
    """Do nothing."""


@helper
def replay(d, interface, history, before, after):
    """Do nothing."""


@helper
def step_backward(d, interface, before, history, d_state, d_reads, d_interface, scratch):
    """Do nothing."""


@helper
def activate_backward(d, raw, interface, d_interface, scratch):
    """Do nothing."""
