"""The NTM's kernel, which in addition keeps the first number of its memory in mind.

When the state is not the one that it expects, the reads become NaN.
"""

import math

from sknt.kernels.contract import stage
from sknt.kernels.memories import ntm
from sknt.kernels.pointers import number

dims, transposed = ntm.dims, ntm.transposed
state, interface, history, scratch = ntm.state, ntm.interface, ntm.history, ntm.scratch
activate, activate_backward = ntm.activate, ntm.activate_backward
replay, step_backward, _step = ntm.replay, ntm.step_backward, ntm.step


def private(d):
    return {"unused": (3,), "first": (1,)}


@stage
def prepare(d, state, blank):
    state.first[0] = number(state.memory, math.nan if blank else state.memory[0])


@stage
def step(d, interface, state, reads, history, scratch):
    expected = state.memory[0] == state.first[0]
    _step(d, interface, state, reads, history, scratch)
    state.first[0] = state.memory[0]
    if not expected:
        reads[0] = number(reads, math.nan)
