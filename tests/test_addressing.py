"""The pure functions of sknt.ops: against loops, at their limits, and their gradients."""

import numpy as np
import pytest
import reference_ntm
import torch
from torch.autograd import gradcheck
from torch.testing import assert_close

from sknt import ops
from sknt.ops.addressing import EPSILON

B, H, N, W = 2, 3, 5, 4
DTYPES = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)]
)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def weightings(*shape):
    """Uneven weightings, in which no row is near 0, where ε would matter."""
    return torch.softmax(torch.randn(*shape, dtype=torch.float64), dim=-1)


def normal(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def one_hot(row, n_rows=N):
    return torch.eye(n_rows, dtype=torch.float64)[row].expand(1, 1, -1)


def for_every_head(function, *per_head, memory=None):
    """Apply a NumPy function of one head to every head of every sequence."""
    results = []
    for b in range(B):
        shared = () if memory is None else (memory[b].numpy(),)
        for h in range(H):
            own = (argument[b, h].numpy() for argument in per_head)
            results.append(np.ravel(function(*own, *shared)))
    return torch.from_numpy(np.stack(results)).view(B, H, -1)


def check(function, arguments, expected, dtype, tolerance):
    actual = function(*(argument.to(dtype) for argument in arguments))
    assert actual.dtype == dtype
    assert_close(actual.double(), expected, rtol=tolerance, atol=tolerance)


# Against loops


@DTYPES
def test_cosine_similarity_equals_loops(dtype, tolerance):
    key, memory = normal(B, H, W), normal(B, N, W)
    expected = for_every_head(
        lambda k, m: [reference_ntm.cosine(k, row) for row in m], key, memory=memory
    )
    check(ops.cosine_similarity, (key, memory), expected, dtype, tolerance)


@DTYPES
def test_content_weighting_equals_loops(dtype, tolerance):
    key, strength, memory = normal(B, H, W), 5 * torch.rand(B, H, 1), normal(B, N, W)
    expected = for_every_head(reference_ntm.content, key, strength, memory=memory)
    check(
        ops.content_weighting, (key, strength.double(), memory), expected, dtype, tolerance
    )


@DTYPES
def test_interpolate_equals_loops(dtype, tolerance):
    arguments = weightings(B, H, N), weightings(B, H, N), torch.rand(B, H, 1).double()
    expected = for_every_head(reference_ntm.interpolate, *arguments)
    check(ops.interpolate, arguments, expected, dtype, tolerance)


@DTYPES
@pytest.mark.parametrize("n_shifts", [1, 3, 5])  # 5: as many shifts as rows
def test_shift_equals_loops(n_shifts, dtype, tolerance):
    weighting, distribution = weightings(B, H, N), weightings(B, H, n_shifts)
    expected = for_every_head(reference_ntm.shift, weighting, distribution)
    check(ops.shift, (weighting, distribution), expected, dtype, tolerance)


@DTYPES
def test_sharpen_equals_loops(dtype, tolerance):
    weighting, gamma = weightings(B, H, N), 1 + 4 * torch.rand(B, H, 1).double()
    expected = for_every_head(reference_ntm.sharpen, weighting, gamma)
    check(ops.sharpen, (weighting, gamma), expected, dtype, tolerance)


def test_sharpen_is_equation_9_without_any_epsilon_where_no_row_is_near_zero():
    weighting, gamma = weightings(B, H, N), 1 + 4 * torch.rand(B, H, 1).double()
    powers = weighting**gamma
    assert weighting.min() > 1e-3
    assert_close(
        ops.sharpen(weighting, gamma),
        powers / powers.sum(-1, keepdim=True),
        rtol=1e-4,  # γ ε / ŵ is at most 5e-5
        atol=0,
    )


@DTYPES
def test_read_equals_loops(dtype, tolerance):
    weighting, memory = weightings(B, H, N), normal(B, N, W)
    expected = for_every_head(reference_ntm.read, weighting, memory=memory)
    check(ops.read, (weighting, memory), expected, dtype, tolerance)


@DTYPES
def test_write_equals_loops(dtype, tolerance):
    arguments = normal(B, N, W), weightings(B, N), torch.rand(B, W).double(), normal(B, W)
    expected = torch.stack(
        [
            torch.from_numpy(reference_ntm.write(*(a[b].numpy() for a in arguments)))
            for b in range(B)
        ]
    )
    check(ops.write, arguments, expected, dtype, tolerance)


# Limits and invariants: similarity and content


def test_similarity_of_a_row_with_itself_is_one_and_with_its_opposite_minus_one():
    key = normal(B, 1, W)
    memory = torch.cat([key, -key], dim=1)
    expected = torch.tensor([[1.0, -1.0]], dtype=torch.float64).expand(B, 1, 2)
    assert_close(ops.cosine_similarity(key, memory), expected, rtol=0, atol=1e-7)


def test_similarity_does_not_depend_on_the_length_of_key_or_row():
    key, memory = normal(B, H, W), normal(B, N, W)
    assert_close(
        ops.cosine_similarity(100 * key, 7 * memory),
        ops.cosine_similarity(key, memory),
        rtol=0,
        atol=1e-7,
    )


def test_a_zero_row_has_similarity_0_and_a_finite_zero_gradient_through_its_norm():
    key = normal(1, 1, W)
    memory = torch.zeros(1, N, W, dtype=torch.float64, requires_grad=True)
    similarity = ops.cosine_similarity(key, memory)
    assert torch.equal(similarity, torch.zeros_like(similarity))
    similarity.sum().backward()
    # Only the dot product contributes: k / (‖k‖·0 + ε).
    assert_close(memory.grad, (key / EPSILON).expand(1, N, W))


def test_a_zero_key_has_similarity_0_and_a_finite_zero_gradient_through_its_norm():
    key = torch.zeros(1, 1, W, dtype=torch.float64, requires_grad=True)
    memory = normal(1, N, W)
    similarity = ops.cosine_similarity(key, memory)
    assert torch.equal(similarity, torch.zeros_like(similarity))
    similarity.sum().backward()
    assert_close(key.grad, (memory / EPSILON).sum(1, keepdim=True))


def test_strength_0_is_uniform():
    weighting = ops.content_weighting(
        normal(B, H, W), torch.zeros(B, H, 1, dtype=torch.float64), normal(B, N, W)
    )
    assert_close(weighting, torch.full_like(weighting, 1 / N))


def test_a_huge_strength_selects_the_most_similar_row_and_stays_finite():
    key, memory = torch.randn(B, H, W), torch.randn(B, N, W)
    weighting = ops.content_weighting(key, torch.full((B, H, 1), 1e5), memory)
    nearest = ops.cosine_similarity(key, memory).argmax(-1)
    expected = torch.nn.functional.one_hot(nearest, N).float()
    assert_close(weighting, expected)


def test_content_weighting_follows_its_rows_when_they_are_permuted():
    key, strength, memory = normal(B, H, W), normal(B, H, 1).exp(), normal(B, N, W)
    order = torch.tensor([3, 0, 4, 1, 2])
    assert_close(
        ops.content_weighting(key, strength, memory[:, order]),
        ops.content_weighting(key, strength, memory)[..., order],
    )


# Interpolation


def test_gate_1_takes_the_content():
    content, previous = weightings(B, H, N), weightings(B, H, N)
    assert torch.equal(
        ops.interpolate(content, previous, torch.ones(B, H, 1).double()), content
    )


def test_gate_0_takes_the_previous():
    content, previous = weightings(B, H, N), weightings(B, H, N)
    assert torch.equal(
        ops.interpolate(content, previous, torch.zeros(B, H, 1).double()), previous
    )


# Shift


@pytest.mark.parametrize("row", range(N))
def test_a_shift_of_0_0_1_moves_focus_to_the_next_row_and_from_the_last_to_the_first(row):
    assert torch.equal(ops.shift(one_hot(row), one_hot(2, 3)), one_hot((row + 1) % N))


@pytest.mark.parametrize("row", range(N))
def test_a_shift_of_1_0_0_moves_focus_to_the_row_before_and_from_the_first_to_the_last(
    row,
):
    assert torch.equal(ops.shift(one_hot(row), one_hot(0, 3)), one_hot((row - 1) % N))


@pytest.mark.parametrize("distribution", [[1.0], [0.0, 1.0, 0.0], [0, 0, 1.0, 0, 0]])
def test_a_shift_by_zero_rows_is_the_identity(distribution):
    weighting = weightings(B, H, N)
    distribution = torch.tensor(distribution, dtype=torch.float64).expand(B, H, -1)
    assert torch.equal(ops.shift(weighting, distribution), weighting)


def test_a_shift_range_of_2_reaches_two_rows_further():
    assert torch.equal(ops.shift(one_hot(N - 1), one_hot(4, 5)), one_hot(1))


def test_a_shift_spread_over_all_rows_makes_every_weighting_uniform():
    weighting = weightings(B, H, N)
    uniform = torch.full((B, H, N), 1 / N, dtype=torch.float64)
    assert_close(ops.shift(weighting, uniform), uniform)


def test_shifting_a_rotated_weighting_equals_rotating_the_shifted_one():
    weighting, distribution = weightings(B, H, N), weightings(B, H, 3)
    assert_close(
        ops.shift(weighting.roll(2, -1), distribution),
        ops.shift(weighting, distribution).roll(2, -1),
    )


# Sharpening


def test_gamma_1_changes_nothing():
    weighting = weightings(B, H, N)
    gamma = torch.ones(B, H, 1, dtype=torch.float64)
    assert_close(ops.sharpen(weighting, gamma), weighting, rtol=0, atol=N * EPSILON)


@pytest.mark.parametrize("gamma", [1.0, 3.0, 21.0])
def test_sharpening_leaves_a_one_hot_weighting_as_it_is(gamma):
    gamma = torch.full((1, 1, 1), gamma, dtype=torch.float64)
    assert_close(ops.sharpen(one_hot(2), gamma), one_hot(2), rtol=0, atol=N * EPSILON)


def test_a_larger_gamma_gives_more_to_the_largest_row_and_keeps_the_order():
    weighting = weightings(B, H, N)
    gamma = torch.full((B, H, 1), 2.0, dtype=torch.float64)
    sharpened = ops.sharpen(weighting, gamma)
    assert (sharpened.amax(-1) > weighting.amax(-1)).all()
    assert torch.equal(sharpened.argsort(-1), weighting.argsort(-1))


def test_gamma_21_of_a_uniform_weighting_over_4096_rows_stays_uniform_in_float32():
    # (1/4096)**21 is 1e-76, which is zero in float32: the plain quotient is 0/0.
    weighting = torch.full((1, 1, 4096), 1 / 4096, requires_grad=True)
    gamma = torch.full((1, 1, 1), 21.0, requires_grad=True)
    sharpened = ops.sharpen(weighting, gamma)
    assert_close(sharpened, torch.full_like(sharpened, 1 / 4096), rtol=1e-4, atol=0)
    (sharpened * torch.randn(4096)).sum().backward()
    assert weighting.grad.isfinite().all()
    assert gamma.grad.isfinite().all()


def test_sharpening_rows_of_exactly_zero_has_finite_gradients():
    weighting = torch.eye(N)[None].clone().requires_grad_()
    gamma = torch.full((1, N, 1), 21.0, requires_grad=True)
    (ops.sharpen(weighting, gamma) * torch.randn(N)).sum().backward()
    assert weighting.grad.isfinite().all()
    assert gamma.grad.isfinite().all()


# Every weighting


@pytest.mark.parametrize(
    "function",
    [
        lambda: ops.content_weighting(
            normal(B, H, W), normal(B, H, 1).exp(), normal(B, N, W)
        ),
        lambda: ops.interpolate(
            weightings(B, H, N), weightings(B, H, N), torch.rand(B, H, 1).double()
        ),
        lambda: ops.shift(weightings(B, H, N), weightings(B, H, 3)),
        lambda: ops.sharpen(weightings(B, H, N), 1 + normal(B, H, 1).exp()),
    ],
    ids=["content_weighting", "interpolate", "shift", "sharpen"],
)
def test_weightings_are_not_negative_and_sum_to_one(function):
    weighting = function()
    assert weighting.shape == (B, H, N)
    assert (weighting >= 0).all()
    assert_close(weighting.sum(-1), torch.ones(B, H, dtype=torch.float64))


# Reading and writing


def test_reading_with_a_one_hot_weighting_is_the_row_itself():
    memory = normal(1, N, W)
    assert torch.equal(ops.read(one_hot(3), memory)[:, 0], memory[:, 3])


def test_reading_with_a_uniform_weighting_is_the_mean_of_the_rows():
    memory = normal(B, N, W)
    uniform = torch.full((B, H, N), 1 / N, dtype=torch.float64)
    assert_close(ops.read(uniform, memory), memory.mean(1, keepdim=True).expand(B, H, W))


def test_erase_of_ones_and_weight_one_clears_the_row_and_no_other():
    memory = normal(1, N, W)
    ones, zeros = torch.ones(1, W).double(), torch.zeros(1, W).double()
    expected = memory.clone()
    expected[:, 2] = 0
    assert torch.equal(ops.write(memory, one_hot(2)[0], ones, zeros), expected)


def test_erase_of_zeros_adds_to_what_is_there():
    memory, add = normal(1, N, W), normal(1, W)
    expected = memory.clone()
    expected[:, 2] += add
    zeros = torch.zeros(1, W).double()
    assert torch.equal(ops.write(memory, one_hot(2)[0], zeros, add), expected)


def test_a_weighting_of_zeros_writes_nothing():
    memory, erase, add = normal(B, N, W), torch.rand(B, W).double(), normal(B, W)
    zeros = torch.zeros(B, N, dtype=torch.float64)
    assert torch.equal(ops.write(memory, zeros, erase, add), memory)


def test_what_is_written_to_a_cleared_row_is_read_back():
    memory, add = normal(1, N, W), normal(1, W)
    ones = torch.ones(1, W).double()
    written = ops.write(memory, one_hot(4)[0], ones, add)
    assert torch.equal(ops.read(one_hot(4), written)[:, 0], add)


def test_write_does_not_change_the_tensor_given():
    # One matrix expanded to all sequences, like initial memories: writing in place would
    # reach every sequence's.
    matrix = normal(N, W)
    memory = matrix.expand(B, -1, -1)
    before = matrix.clone()
    written = ops.write(memory, weightings(B, N), torch.rand(B, W).double(), normal(B, W))
    assert torch.equal(matrix, before)
    assert not torch.equal(written, memory)


def test_a_head_that_writes_later_erases_what_an_earlier_one_added():
    memory, first, second = normal(1, N, W), normal(1, W), normal(1, W)
    focus, ones = one_hot(1)[0], torch.ones(1, W).double()
    in_turn = ops.write(ops.write(memory, focus, ones, first), focus, ones, second)
    # Heads that wrote at once would leave the sum of both.
    assert torch.equal(in_turn[:, 1], second)
    assert not torch.allclose(in_turn[:, 1], first + second)


# Gradients


def requiring_grad(*tensors):
    return tuple(tensor.detach().clone().requires_grad_() for tensor in tensors)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("cosine_similarity", lambda: (normal(B, H, W), normal(B, N, W))),
        (
            "content_weighting",
            lambda: (normal(B, H, W), normal(B, H, 1).exp(), normal(B, N, W)),
        ),
        (
            "interpolate",
            lambda: (
                weightings(B, H, N),
                weightings(B, H, N),
                torch.rand(B, H, 1).double(),
            ),
        ),
        ("shift", lambda: (weightings(B, H, N), weightings(B, H, 3))),
        ("shift", lambda: (weightings(B, H, N), weightings(B, H, 5))),
        ("sharpen", lambda: (weightings(B, H, N), 1 + normal(B, H, 1).exp())),
        ("read", lambda: (weightings(B, H, N), normal(B, N, W))),
        (
            "write",
            lambda: (
                normal(B, N, W),
                weightings(B, N),
                torch.rand(B, W).double(),
                normal(B, W),
            ),
        ),
    ],
)
def test_gradients_equal_finite_differences(function, arguments):
    assert gradcheck(getattr(ops, function), requiring_grad(*arguments()))
