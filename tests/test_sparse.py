"""Selection of rows, and reading and writing the rows selected."""

import pytest
import torch
from torch.testing import assert_close

from sknt import ops


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_the_nearest_rows_are_those_of_the_largest_cosines():
    key, memory = torch.randn(3, 2, 5), torch.randn(3, 11, 5)
    cosines = torch.cosine_similarity(key[:, :, None], memory[:, None], dim=-1)
    rows = ops.nearest_rows(key, memory, 4)
    assert torch.equal(rows, cosines.topk(4, dim=-1).indices)


def test_length_does_not_make_a_row_nearer():
    memory = torch.tensor([[[10.0, 10.0], [0.1, 0.0], [-1.0, 0.0]]])
    assert ops.nearest_rows(torch.tensor([[[1.0, 0.1]]]), memory, 3).tolist() == [
        [[1, 0, 2]]
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("word_size", [1, 3, 8, 20, 33, 100])
@pytest.mark.parametrize("n_rows", [2, 7, 130])
def test_equal_rows_tie_and_the_lowest_comes_first(n_rows, word_size, dtype):
    key = torch.randn(2, 3, word_size, dtype=dtype)
    row = torch.randn(2, 1, word_size, dtype=dtype)
    rows = ops.nearest_rows(key, row.expand(-1, n_rows, -1), n_rows)
    assert torch.equal(rows, torch.arange(n_rows).expand(2, 3, -1))
    assert torch.equal(rows, ops.nearest_rows(0 * key, row.repeat(1, n_rows, 1), n_rows))


def test_the_least_recent_rows_are_different_and_the_lowest_of_equals_come_first():
    last_access = torch.tensor([[3.0, 0.0, 2.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0, 1.0]])
    assert ops.least_recent_rows(last_access, 1).tolist() == [[1], [0]]
    rows = ops.least_recent_rows(last_access, 5)
    assert rows.tolist() == [[1, 3, 4, 2, 0], [0, 1, 2, 3, 4]]


def test_reading_and_adding_equal_the_dense_operations():
    memory = torch.randn(2, 7, 3, dtype=torch.float64)
    rows = torch.tensor([[[1, 4], [4, 4]], [[0, 6], [5, 2]]])
    weights = torch.rand(2, 2, 2, dtype=torch.float64)
    add = torch.randn(2, 2, 3, dtype=torch.float64)
    spread = ops.spread(rows, weights, 7)
    assert_close(spread.sum(-1), weights.sum(-1))
    contents = ops.gather_rows(memory, rows)
    assert_close(ops.sparse_read(weights, contents), ops.read(spread, memory))
    assert_close(ops.sparse_add(memory, rows, weights, add), memory + spread.mT @ add)


def test_wiping_leaves_zeros_even_where_a_number_was_missing():
    memory = torch.randn(1, 4, 2)
    memory[0, 2] = torch.nan
    wiped = ops.wipe_rows(memory, torch.tensor([[2, 0]]))
    assert wiped[0, [0, 2]].tolist() == [[0, 0], [0, 0]]
    assert torch.equal(wiped[0, [1, 3]], memory[0, [1, 3]])


def test_the_choice_of_rows_has_no_gradient():
    key = torch.randn(1, 1, 3, requires_grad=True)
    memory = torch.randn(1, 4, 3, requires_grad=True)
    assert not ops.nearest_rows(key, memory, 2).requires_grad
