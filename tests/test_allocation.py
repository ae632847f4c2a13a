"""Usage and allocation: worked examples, limits, and gradients."""

import numpy as np
import pytest
import reference_dnc
import torch
from torch.autograd import gradcheck
from torch.testing import assert_close

from sknt import ops


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def rows(*values):
    """One sequence's numbers, as a batch of one."""
    return torch.tensor([values], dtype=torch.float64)


WORKED = {
    "two nearly free rows": ([0.9, 0.2, 0.5, 0.1], [0.001, 0.08, 0.01, 0.9]),
    "ties go to the lowest row": ([0.5, 0.5, 0.5], [0.5, 0.25, 0.125]),
    "nothing used": ([0, 0, 0, 0], [1, 0, 0, 0]),
    "all used": ([1, 1, 1], [0, 0, 0]),
    "one row entirely free": ([0.3, 0, 0.3, 0.6], [0, 1, 0, 0]),
}


@pytest.mark.parametrize(("usage", "expected"), WORKED.values(), ids=list(WORKED))
def test_allocation_of_worked_examples(usage, expected):
    allocated = ops.allocate(rows(*usage))
    assert_close(allocated, rows(*expected), rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        reference_dnc.allocation(usage), expected, rtol=0, atol=1e-12
    )


def test_the_derivative_of_allocation_of_a_worked_example():
    usage = rows(0.9, 0.2, 0.5, 0.1)
    jacobian = torch.autograd.functional.jacobian(ops.allocate, usage).squeeze()
    expected = torch.tensor(
        [
            [-0.01, 0.005, 0.002, 0.01],
            [0, -0.1, 0, 0.8],
            [0, 0.05, -0.02, 0.1],
            [0, 0, 0, -1],
        ],
        dtype=torch.float64,
    )
    assert_close(jacobian, expected, rtol=0, atol=1e-12)


def test_usage_of_a_worked_example():
    read_weights = torch.stack([rows(0, 0.5, 0.5, 0), rows(0.2, 0, 0, 0.8)], dim=1)
    free_gate = rows([1.0], [0.5])
    write_weights = rows(0.5, 0.25, 0.25, 0).unsqueeze(1)
    retention = ops.retention(free_gate, read_weights)
    usage = ops.usage(rows(0.2, 0.5, 0, 1), write_weights, retention)
    assert_close(usage, rows(0.54, 0.3125, 0.125, 0.6), rtol=0, atol=1e-12)


def test_allocation_equals_loops_and_sums_to_what_is_free():
    usage = torch.rand(20, 9, dtype=torch.float64)
    usage[::2] = (usage[::2] * 4).round() / 4  # with ties, zeros and ones
    allocated = ops.allocate(usage)
    for i in range(len(usage)):
        expected = reference_dnc.allocation(usage[i].tolist())
        np.testing.assert_allclose(allocated[i], expected, rtol=1e-12, atol=1e-15)
    assert_close(allocated.sum(-1), 1 - usage.prod(-1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_freest_row_gets_the_most_and_a_free_one_all(dtype):
    usage = torch.rand(50, 8, dtype=dtype)
    # The least used row may leave more than half to the next, unless it is half free.
    usage[:, 3] *= 0.5
    allocated = ops.allocate(usage)
    freest = usage.argmin(-1)
    half_free = usage.amin(-1) <= 0.5
    assert torch.equal(allocated.argmax(-1)[half_free], freest[half_free])
    usage[:, 5] = 0
    allocated = ops.allocate(usage)
    assert_close(allocated[:, 5], torch.ones(50, dtype=dtype), rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("value", [0, 0.25, 1])
def test_gradients_are_finite_where_all_rows_are_used_alike(value, dtype):
    usage = torch.full((2, 40), float(value), dtype=dtype, requires_grad=True)
    (ops.allocate(usage) * torch.randn(40, dtype=dtype)).sum().backward()
    assert usage.grad.isfinite().all()
    assert usage.grad.abs().max() <= 100


def test_gradients_equal_finite_differences_away_from_ties():
    ladder = torch.linspace(0.05, 0.95, 6, dtype=torch.float64)
    usage = torch.stack([ladder[torch.randperm(6)] for _ in range(3)]).requires_grad_()
    gate = torch.rand(3, 2, 1, dtype=torch.float64, requires_grad=True)
    assert gradcheck(ops.allocate, usage)
    assert gradcheck(ops.allocate_in_turn, (usage, gate))

    write_weights = torch.rand(3, 2, 6, dtype=torch.float64, requires_grad=True)
    read_weights = torch.rand(3, 2, 6, dtype=torch.float64, requires_grad=True)
    assert gradcheck(
        lambda u, w, f, r: ops.usage(u, w, ops.retention(f, r)),
        (usage, write_weights, gate, read_weights),
    )


def test_heads_that_allocate_in_turn_take_different_rows():
    usage = torch.zeros(1, 5, dtype=torch.float64)
    gate = torch.tensor([[[1.0], [1.0], [0.0], [1.0]]]).double()
    allocated = ops.allocate_in_turn(usage, gate)[0]
    # The third head does not write: the fourth may take the same row.
    assert_close(allocated, torch.eye(5).double()[[0, 1, 2, 2]], rtol=0, atol=1e-6)
    alone = ops.allocate_in_turn(usage, gate[:, :1])[:, 0]
    assert torch.equal(alone, ops.allocate(usage))


def test_usage_stays_within_0_and_1_and_rows_that_are_freed_are_allocated_again():
    usage = torch.zeros(2, 4)
    nothing = torch.zeros(2, 1, 4)
    keep = torch.ones(2, 4)
    taken = []
    for _ in range(4):
        allocated = ops.allocate(usage)
        taken.append(allocated[0].argmax().item())
        usage = ops.usage(usage, allocated.unsqueeze(1), keep)
    assert taken == [0, 1, 2, 3]
    assert_close(usage, torch.ones(2, 4), rtol=0, atol=1e-5)
    assert ops.allocate(usage).max() < 1e-5  # nothing is left
    read_row_2 = torch.eye(4)[2].expand(2, 1, 4)
    freed = ops.retention(torch.ones(2, 1, 1), read_row_2)
    usage = ops.usage(usage, nothing, freed)
    assert_close(ops.allocate(usage), torch.eye(4)[2].expand(2, 4), rtol=0, atol=1e-5)


def test_usage_is_between_0_and_1_whatever_is_written_and_freed():
    usage = torch.rand(100, 6).round(decimals=1)
    for _ in range(50):
        write_weights = torch.softmax(5 * torch.randn(100, 3, 6), dim=-1)
        read_weights = torch.softmax(5 * torch.randn(100, 2, 6), dim=-1)
        retention = ops.retention(torch.rand(100, 2, 1), read_weights)
        usage = ops.usage(usage, write_weights, retention)
        assert (usage >= -1e-6).all()
        assert (usage <= 1 + 1e-6).all()
