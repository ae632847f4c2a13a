"""Which rows the sparse access memory reads, writes and wipes."""

import numpy as np
import pytest
import torch
from sam_helpers import ANY_SIZES, dense, hidden_outputs, make_sam, numpy, run

from sknt.memories.sam import SAMInterface
from sknt.nn import SequenceNetwork
from sknt.nn.unroll import map_state


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@ANY_SIZES
def test_a_step_changes_at_most_the_rows_read_before_and_one_more_for_each_head(sizes):
    n_rows, _, _, n_write_heads, n_nearest = sizes
    memory = make_sam(sizes)
    hiddens = hidden_outputs(2 * n_rows + 4)
    _, states = run(memory, hiddens)
    before = memory.initial_state(3)
    for state in states:
        changed = (state.memory != before.memory).any(-1).sum(-1)
        assert (changed <= n_write_heads * (n_nearest + 1)).all()
        before = state


def test_what_is_neither_read_nor_written_has_no_gradient():
    sizes = (30, 4, 1, 1, 4)
    memory = make_sam(sizes)
    _, states = run(memory, hidden_outputs(5))
    state = states[-1]
    matrix = torch.randn(3, 30, 4, dtype=torch.float64, requires_grad=True)
    interface = memory.interface(hidden_outputs(1)[0])
    reads, new = memory.step(interface, state._replace(memory=matrix))
    gradient = torch.autograd.grad(reads.square().sum(), matrix)[0]
    for i in range(3):
        reached = set(gradient[i].abs().sum(-1).nonzero().flatten().tolist())
        wiped = int(new.write_rows[i, 0, -1])
        assert reached == set(new.read_rows[i, 0].int().tolist()) - {wiped}


@pytest.mark.parametrize(
    ("keeps_reading_row_0", "expected"),
    [(False, [0, 1, 2, 3, 0, 1, 2, 3, 0]), (True, [0, 1, 2, 3, 1, 2, 3, 1, 2])],
)
def test_rows_are_wiped_in_turn_and_a_row_in_use_is_spared(keeps_reading_row_0, expected):
    memory = make_sam((4, 9, 1, 1, 1))
    one = torch.ones(1, 1, 1, dtype=torch.float64)
    words = torch.eye(9, dtype=torch.float64)
    state, wiped = memory.initial_state(1), []
    for step in range(9):
        word = words[step].expand(1, 1, -1)
        key = words[0].expand(1, 1, -1) if keeps_reading_row_0 else word
        _, state = memory.step(SAMInterface(key, one, one, 0 * one, word), state)
        wiped.append(int(state.write_rows[0, 0, -1]))
    assert wiped == expected


@ANY_SIZES
def test_a_row_is_used_again_only_when_all_others_were_accessed_later(sizes):
    n_rows, _, _, n_write_heads, _ = sizes
    _, states = run(make_sam(sizes), hidden_outputs(4 * n_rows))
    for i in range(3):
        last = np.zeros(n_rows)
        for t, state in enumerate(states):
            unused = [int(row) for row in state.write_rows[i, :, -1]]
            assert len(set(unused)) == n_write_heads
            others = [row for row in range(n_rows) if row not in unused]
            for row in unused:
                assert all((last[row], row) < (last[other], other) for other in others)
            sums = sum(
                dense(numpy(rows[i]), numpy(weights[i]), n_rows).sum(0)
                for rows, weights in (
                    (state.read_rows, state.read_weights),
                    (state.write_rows, state.write_weights),
                )
            )
            last[sums > 0.005] = t + 1


def test_weights_up_to_the_threshold_are_no_access():
    memory = make_sam((4, 1, 1, 1, 1))
    interface = SAMInterface(
        key=torch.ones(1, 1, 1),
        strength=torch.ones(1, 1, 1),
        write_gate=torch.full((1, 1, 1), 0.005),
        interpolation_gate=torch.zeros(1, 1, 1),
        add=-torch.ones(1, 1, 1),
    )
    interface = map_state(torch.Tensor.double, interface)
    _, state = memory.step(interface, memory.initial_state(1))
    assert state.last_access.tolist() == [[0, 1, 0, 0]]  # row 1 is read, row 0 written
    enough = interface._replace(write_gate=torch.full((1, 1, 1), 0.0051).double())
    _, state = memory.step(enough, memory.initial_state(1))
    assert state.last_access.tolist() == [[1, 1, 0, 0]]


def test_the_number_of_a_step_and_of_a_row_is_exact_in_single_precision():
    memory = make_sam((2000, 2, 1, 1, 3)).float()
    state = memory.initial_state(1)
    many = 2**24 - 2
    state = state._replace(
        step=state.step + many, last_access=torch.arange(2000.0)[None] + many - 3000
    )
    _, state = run(memory, hidden_outputs(2, 1).float(), state)
    assert state[-1].step.item() == 2**24
    # Row 0 is the least recent, and then the first that was not accessed in this step.
    assert state[0].write_rows[0, 0, -1] == 0
    assert state[1].write_rows[0, 0, -1] == state[0].read_rows.max() + 1


@pytest.mark.parametrize("row", [-1.0, 6.0, 0.5, float("nan")])
@pytest.mark.parametrize("backend", ["fused", "reference"])
def test_a_state_with_rows_that_there_are_not_is_refused(backend, row):
    network = SequenceNetwork(3, 2, memory="sam", memory_size=6, backend=backend)
    x = torch.randn(2, 4, 3)
    state = network(x)[1]
    rows = torch.full_like(state.memory.read_rows, row)
    bad = state._replace(memory=state.memory._replace(read_rows=rows))
    with pytest.raises(ValueError, match=r"state\.memory\.read_rows .* from 0 to 5"):
        network(x, state=bad)
    network(x, state=state)
