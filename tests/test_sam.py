"""Sparse access memory: its equations, its selection of rows, and its gradients."""

import math

import numpy as np
import pytest
import reference_sam
import torch
from helpers import leaves
from reference_sam import Reference
from torch.autograd import gradcheck
from torch.testing import assert_close

from sknt.memories import make_memory
from sknt.memories.sam import SAMInterface
from sknt.nn.unroll import map_state

HIDDEN = 5
# memory_size, word_size, n_read_heads, n_write_heads, n_nearest
SIZES = [
    (1, 1, 1, 1, 1),
    (4, 3, 1, 1, 4),
    (5, 4, 2, 2, 1),
    (9, 4, 1, 1, 4),
    (9, 3, 3, 1, 2),
    (9, 3, 1, 3, 4),
    (12, 5, 2, 3, 4),
    (40, 6, 3, 2, 5),
]
ANY_SIZES = pytest.mark.parametrize("sizes", SIZES, ids=str)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def make_sam(sizes, std=1.0, **options):
    *sizes, n_nearest = sizes
    options = {"n_nearest": n_nearest, **options}
    memory = make_memory("sam", HIDDEN, *sizes, memory_params=options)
    with torch.no_grad():
        for parameter in memory.parameters():
            parameter.normal_(std=std)
    return memory.double()


def hidden_outputs(n_steps, n_sequences=3):
    return torch.tanh(torch.randn(n_steps, n_sequences, HIDDEN, dtype=torch.float64))


def run(memory, hiddens, state=None):
    """Return the reads and the states of all steps."""
    state = memory.initial_state(hiddens.shape[1]) if state is None else state
    reads, states = [], []
    for hidden in hiddens:
        read, state = memory.step(memory.interface(hidden), state)
        reads.append(read)
        states.append(state)
    return torch.stack(reads), states


def dense(rows, weights, n_rows):
    """Weightings over all rows of one sequence, by loops."""
    weighting = np.zeros((len(rows), n_rows))
    for head, (some_rows, some_weights) in enumerate(zip(rows, weights, strict=True)):
        for row, weight in zip(some_rows, some_weights, strict=True):
            weighting[head, int(row)] += weight
    return weighting


def numpy(tensor):
    return tensor.detach().double().numpy()


# Against the NumPy reference


@pytest.mark.parametrize("clip", [1.5, 20.0, None])
@ANY_SIZES
def test_sam_equals_loops_over_the_equations_in_every_step(sizes, clip):
    n_rows, word_size, n_read_heads, n_write_heads, n_nearest = sizes
    memory = make_sam(sizes, std=2.0, interface_clip=clip)
    hiddens = hidden_outputs(3 * n_rows + 5)
    reads, states = run(memory, hiddens)
    fields = reference_sam.plain_heads(
        numpy(memory.projection.weight),
        numpy(memory.projection.bias),
        n_read_heads,
        n_write_heads,
        word_size,
    )
    for i in range(hiddens.shape[1]):
        slow = Reference(n_rows, word_size, n_read_heads, n_nearest)
        for t, state in enumerate(states):
            told = reference_sam.told(fields, numpy(hiddens[t, i]), clip)
            expected = slow.step(told)
            _, last_access, read_rows, read_weights, write_rows, write_weights, step = (
                numpy(leaf[i]) for leaf in state
            )
            actual = {
                "reads": numpy(reads[t, i]),
                "memory": numpy(state.memory[i]),
                "unused": write_rows[:, -1],
                "writing": dense(write_rows, write_weights, n_rows),
                "reading": dense(read_rows, read_weights, n_rows),
                "last_access": last_access,
            }
            assert step == t + 1
            for name, value in actual.items():
                np.testing.assert_allclose(
                    value, expected[name], rtol=1e-10, atol=1e-10, err_msg=f"{name}, {t}"
                )


def test_the_loops_select_sharply_and_rows_are_used_again():
    """What the comparison above would be blind to otherwise."""
    sizes = (9, 4, 1, 1, 4)
    _, states = run(make_sam(sizes, std=2.0), hidden_outputs(40))
    assert torch.stack([state.read_weights for state in states]).max() > 2 / 4
    wiped = torch.stack([state.write_rows[:, 0, -1] for state in states])
    assert all(len(set(rows.tolist())) > 5 for rows in wiped.T)


# Which rows a step touches


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
            n_heads = (len(state.read_rows[i]), n_write_heads)
            sums = sum(
                dense(numpy(rows[i]), numpy(weights[i]), n_rows).sum(0)
                for rows, weights in (
                    (state.read_rows, state.read_weights),
                    (state.write_rows, state.write_weights),
                )
            )
            assert sums.max() <= sum(n_heads) + 1e-9
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


# Limits


def test_with_as_many_nearest_rows_as_rows_the_read_is_a_softmax_over_all():
    memory = make_sam((7, 4, 2, 1, 7))
    hiddens = hidden_outputs(12)
    reads, states = run(memory, hiddens)
    for hidden, read, state in zip(hiddens, reads, states, strict=True):
        told = memory.interface(hidden)
        rows, keys = state.memory.unsqueeze(1), told.key.unsqueeze(2)
        similarity = torch.cosine_similarity(rows, keys, dim=-1)
        weights = torch.softmax(told.strength * similarity, dim=-1)
        assert_close(read, weights @ state.memory, rtol=0, atol=1e-6)


def test_a_head_reads_back_what_it_wrote_in_this_step():
    memory = make_sam((5, 4, 1, 1, 1))
    word = torch.tensor([[[0.5, -0.5, 0.1, 0.9]]], dtype=torch.float64)
    one = torch.ones(1, 1, 1, dtype=torch.float64)
    interface = SAMInterface(word, one, one, 0 * one, word)
    read, _ = memory.step(interface, memory.initial_state(1))
    assert torch.equal(read, word)


def test_a_closed_write_gate_wipes_the_least_recent_row_and_adds_nothing():
    memory = make_sam((3, 2, 1, 1, 2))
    _, states = run(memory, hidden_outputs(9))
    told = memory.interface(hidden_outputs(1)[0])
    told = told._replace(write_gate=torch.zeros_like(told.write_gate))
    _, state = memory.step(told, states[-1])
    for i in range(3):
        wiped = int(state.write_rows[i, 0, -1])
        expected = states[-1].memory[i].clone()
        assert expected[wiped].any()
        expected[wiped] = 0
        assert torch.equal(state.memory[i], expected)


def test_two_write_heads_wipe_before_either_writes():
    """Else the first one's word would be lost where the second one wipes."""
    memory = make_sam((3, 1, 1, 2, 1))
    state = map_state(torch.clone, memory.initial_state(1))
    state.read_rows[:] = 1.0  # the row that the second head wipes
    state.read_weights[:] = 1.0
    half = torch.full((1, 2, 1), 0.5, dtype=torch.float64)
    add = torch.tensor([[[1.0], [0.0]]], dtype=torch.float64)
    key = torch.ones(1, 1, 1, dtype=torch.float64)
    _, state = memory.step(SAMInterface(key, key, 2 * half, half, add), state)
    assert state.memory.flatten().tolist() == [0.5, 0.5, 0]


def test_missing_numbers_stay_missing():
    memory = make_sam((6, 3, 1, 1, 2))
    hiddens = hidden_outputs(3)
    hiddens[1, 0] = math.nan
    reads, _ = run(memory, hiddens)
    assert reads[1:, 0].isnan().all()
    assert reads[:, 1:].isfinite().all()


# Gradients


@ANY_SIZES
def test_the_gradient_of_a_step_equals_finite_differences(sizes):
    memory = make_sam(sizes, std=0.7)
    _, states = run(memory, hidden_outputs(6, 2))
    state, hidden = states[-1], hidden_outputs(1, 2)[0]
    floats = ("memory", "read_weights")
    started = [getattr(state, name).detach().clone() for name in floats]
    # Wide apart, so that small changes move no row across another or the threshold.
    started[0] = torch.randn_like(started[0])
    given = [*memory.interface(hidden), *started]
    given = [tensor.detach().requires_grad_() for tensor in given]

    def step(*tensors):
        interface = SAMInterface(*tensors[:-2])
        parts = dict(zip(floats, tensors[-2:], strict=True))
        reads, new = memory.step(interface, state._replace(**parts))
        return reads, new.memory, new.read_weights, new.write_weights

    assert gradcheck(step, given)


def test_gradients_flow_through_a_state_that_is_carried_on():
    memory = make_sam((9, 4, 2, 2, 3))
    hiddens = hidden_outputs(8).requires_grad_()
    reads, states = run(memory, hiddens)
    whole = torch.autograd.grad(reads.square().sum(), [hiddens, *memory.parameters()])
    first, states = run(memory, hiddens[:3])
    second, _ = run(memory, hiddens[3:], states[-1])
    loss = first.square().sum() + second.square().sum()
    parts = torch.autograd.grad(loss, [hiddens, *memory.parameters()])
    assert_close(whole, parts, rtol=0, atol=1e-12)
    # The second part alone reaches back to the first, through memory and weights.
    late, early = [], run(memory, hiddens[:3])[1][-1]
    second, _ = run(memory, hiddens[3:], early)
    for name in ("memory", "read_weights"):
        field = getattr(early, name)
        late.append(torch.autograd.grad(second.sum(), field, retain_graph=True)[0])
    assert all(gradient.abs().max() > 1e-6 for gradient in late)


@pytest.mark.parametrize("clip", [20.0, None])
def test_gradients_are_finite_from_empty_rows_with_closed_gates(clip):
    memory = make_sam((6, 3, 1, 1, 4), std=30.0, interface_clip=clip)
    hiddens = hidden_outputs(20).requires_grad_()
    reads, _ = run(memory, hiddens)
    for gradient in torch.autograd.grad(
        reads.square().sum(), [hiddens, *memory.parameters()]
    ):
        assert gradient.isfinite().all()


# Options, penalty, pictures


@pytest.mark.parametrize("n_nearest", [0, -1, 8, 2.0, True, "4"])
def test_a_wrong_number_of_nearest_rows_is_refused(n_nearest):
    with pytest.raises(
        ValueError, match=f"n_nearest={n_nearest!r} is not a number of rows"
    ):
        make_sam((7, 2, 1, 1, n_nearest))


@pytest.mark.parametrize(("n_rows", "expected"), [(1, 1), (3, 3), (4, 4), (64, 4)])
def test_four_rows_are_read_unless_there_are_fewer(n_rows, expected):
    memory = make_memory("sam", HIDDEN, n_rows, 3, 2, 1)
    assert memory.n_nearest == expected
    assert memory.initial_state(2).read_rows.shape == (2, 2, expected)


def test_more_write_heads_than_rows_and_more_rows_than_floats_can_count_are_refused():
    with pytest.raises(ValueError, match="n_write_heads=3 is more than memory_size=2 rows"):
        make_memory("sam", HIDDEN, 2, 3, 1, 3)
    with pytest.raises(ValueError, match=f"memory_size={2**24 + 1} is more than"):
        make_memory("sam", HIDDEN, 2**24 + 1, 3, 1, 1)


def test_many_rows_need_no_room_before_the_first_step():
    memory = make_memory("sam", HIDDEN, 2**24, 100, 1, 1)
    state = memory.initial_state(64)
    assert sum(leaf.untyped_storage().nbytes() for leaf in leaves(state)) < 1000


def test_weightings_show_the_rows_read_and_written():
    memory = make_sam((8, 4, 2, 2, 3))
    _, states = run(memory, hidden_outputs(10))
    trace = make_trace(memory, states)
    weightings = memory.weightings(trace)
    assert list(weightings) == [
        "write head 0",
        "write head 1",
        "read head 0",
        "read head 1",
    ]
    for head in range(2):
        read, write = weightings[f"read head {head}"], weightings[f"write head {head}"]
        assert read.shape == write.shape == (3, 10, 8)
        assert_close(read.sum(-1), torch.ones(3, 10, dtype=torch.float64))
        assert ((read > 0).sum(-1) <= 3).all()
        assert ((write > 0).sum(-1) <= 4).all()
        for t, state in enumerate(states):
            for i in range(3):
                rows, weights = numpy(state.read_rows[i]), numpy(state.read_weights[i])
                expected = dense(rows, weights, 8)[head]
                np.testing.assert_allclose(numpy(read[i, t]), expected)


def make_trace(memory, states, interfaces=None):
    from sknt.memories import Trace

    slim = [memory.slim(state) for state in states]
    return Trace(map_state(lambda *steps: torch.stack(steps, 1), *slim), interfaces)


def test_the_penalty_is_on_what_is_written_and_on_strength():
    memory = make_sam((8, 2, 1, 1, 3))
    interfaces = SAMInterface(
        key=torch.ones(1, 2, 1, 2),
        strength=torch.tensor([2.0, 3.0]).reshape(1, 2, 1, 1),
        write_gate=torch.tensor([0.5, 0.0]).reshape(1, 2, 1, 1),
        interpolation_gate=torch.ones(1, 2, 1, 1),
        add=torch.tensor([[1.0, -1.0], [1.0, 1.0]]).reshape(1, 2, 1, 2),
    )
    _, states = run(memory, hidden_outputs(2, 1))
    penalty = memory.penalty(make_trace(memory, states, interfaces))
    assert penalty.tolist() == pytest.approx([0.03 * 2 * 0.25 + 0.001 * (4 + 9)])


def test_the_parts_cover_the_projection():
    memory = make_sam((8, 3, 2, 1, 3))
    parts = memory.parts()
    rows = [
        range(len(memory.projection.bias))[p["projection.bias"]] for p in parts.values()
    ]
    assert sorted(row for part in rows for row in part) == [*range(sum(map(len, rows)))]
    assert sum(map(len, rows)) == len(memory.projection.bias)
    with torch.no_grad():
        memory.projection.bias[parts["write head 0: add"]["projection.bias"]] += 5
        memory.projection.bias[parts["read head 1: strength"]["projection.bias"]] += 7
    told = memory.interface(torch.zeros(1, HIDDEN, dtype=torch.float64))
    assert (told.add > 0.9).all()
    assert told.strength[0, 1] > 3
