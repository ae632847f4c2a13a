"""Sparse access memory: its equations, their limits, what it shows and penalises."""

import math

import numpy as np
import pytest
import reference_sam
import torch
from helpers import leaves
from reference_sam import Reference
from sam_helpers import ANY_SIZES, HIDDEN, dense, hidden_outputs, make_sam, numpy, run
from torch.testing import assert_close

from sknt.memories import Trace, make_memory
from sknt.memories.sam import SAMInterface
from sknt.nn.unroll import map_state


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


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


@pytest.mark.parametrize("n_nearest", [0, -1, 8, 2.0, True, "4"])
def test_a_wrong_number_of_nearest_rows_is_refused(n_nearest):
    with pytest.raises(
        ValueError, match=f"n_nearest={n_nearest!r} is not a number of rows"
    ):
        make_sam((7, 2, 1, 1, n_nearest))


@pytest.mark.parametrize(("n_rows", "expected"), [(1, 1), (3, 3), (8, 8), (64, 8)])
def test_eight_rows_are_read_unless_there_are_fewer(n_rows, expected):
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
