"""The mode that finds kernels which write outside of their arrays."""

import numpy as np
import pytest
from helpers import in_subprocess

from sknt.kernels import guards
from sknt.kernels.layout import gaps, place

NETWORKS = """
    import torch
    from sknt.memories import MEMORIES
    from sknt.nn import SequenceNetwork
    torch.manual_seed(0)
    x, lengths = torch.randn(5, 9, 3), [9, 2, 5, 1, 7]
    for memory in [*MEMORIES, None]:
        network = SequenceNetwork(
            3, 2, memory=memory, memory_size=7, word_size=5, n_read_heads=2, n_write_heads=2
        )
        traces = memory is not None
        outputs, _, *trace = network(x, lengths, return_states=traces)
        loss = outputs.square().sum()
        loss.backward(retain_graph=True)
        loss.backward()
        for parameter in network.parameters():
            assert parameter.grad is None or parameter.grad.isfinite().all(), memory
"""


@pytest.mark.slow
def test_no_kernel_writes_between_parts_or_reads_what_nobody_wrote():
    in_subprocess(NETWORKS, SKNT_CHECK_KERNELS="1")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_number_in_a_gap_is_found_and_its_neighbour_named(dtype):
    shapes = {"keys": (2, 5), "weights": (7,)}
    size = place(shapes).size
    rows = guards.fill(np.empty((3, size), dtype))
    for name, start in zip(shapes, place(shapes).starts, strict=True):
        rows[:, start : start + np.prod(shapes[name])] = 0.0
    guards.check(rows, gaps(shapes), "the state")
    rows[1, gaps(shapes)["keys"].start] = np.nan  # another NaN than that of the guards
    with pytest.raises(RuntimeError, match="the state: .* beyond the end of 'keys'"):
        guards.check(rows, gaps(shapes), "the state")
