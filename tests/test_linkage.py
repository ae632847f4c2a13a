"""Temporal links: worked examples, order of writing, bounds, and gradients."""

import numpy as np
import pytest
import reference_dnc
import torch
from torch.autograd import gradcheck
from torch.testing import assert_close

from sknt import ops
from sknt.ops.addressing import EPSILON


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def numbers(values):
    return torch.tensor(values, dtype=torch.float64)


def write_in_order(weightings, n_rows):
    """Links and precedence after these writes of one head, from nothing."""
    links = torch.zeros(1, 1, n_rows, n_rows, dtype=torch.float64)
    precedence = torch.zeros(1, 1, n_rows, dtype=torch.float64)
    for weighting in weightings:
        weighting = numbers(weighting).expand(1, 1, -1)
        links = ops.links(links, weighting, precedence)
        precedence = ops.precedence(precedence, weighting)
    return links, precedence


def one_hot(row, n_rows=3):
    return [float(i == row) for i in range(n_rows)]


def follow(function, links, weighting):
    return function(links, numbers(weighting).expand(1, 1, -1))[0, 0, 0]


def close(actual, expected):
    assert_close(actual, numbers(expected), rtol=0, atol=1e-12)


def test_precedence_of_worked_examples():
    before = numbers([[[0.1, 0.2, 0.3]]])

    def after(weighting):
        return ops.precedence(before, numbers([[weighting]]))

    close(after([0.5, 0.25, 0.0]), [[[0.525, 0.3, 0.075]]])
    assert torch.equal(after([0.0, 0.0, 0.0]), before)
    close(after([0.0, 1.0, 0.0]), [[[0.0, 1.0, 0.0]]])


def test_links_follow_the_order_of_writing():
    links, _ = write_in_order(map(one_hot, [0, 2, 1]), 3)
    expected = np.zeros((3, 3))
    expected[2, 0] = expected[1, 2] = 1
    close(links[0, 0], expected)
    close(follow(ops.follow_forward, links, one_hot(0)), one_hot(2))
    close(follow(ops.follow_backward, links, one_hot(1)), one_hot(2))


def test_writing_a_row_again_replaces_its_links():
    links, _ = write_in_order(map(one_hot, [0, 2, 1, 0]), 3)
    expected = np.zeros((3, 3))
    expected[0, 1] = expected[1, 2] = 1
    close(links[0, 0], expected)


def test_links_of_soft_writes_of_a_worked_example():
    links, precedence = write_in_order([[0.6, 0.3, 0], [0.1, 0.5, 0.2], [0, 0.2, 0.7]], 3)
    close(links[0, 0], [[0, 0.024, 0], [0.284, 0, 0.04], [0.19, 0.398, 0]])
    close(precedence[0, 0], [0.022, 0.256, 0.72])
    reads = [0.2, 0.3, 0.5]
    close(follow(ops.follow_forward, links, reads), [0.0072, 0.0768, 0.1574])
    close(follow(ops.follow_backward, links, reads), [0.1802, 0.2038, 0.012])


def test_not_writing_leaves_links_and_precedence_as_they_are():
    links, precedence = write_in_order(torch.rand(5, 4).softmax(-1).tolist(), 4)
    nothing = torch.zeros(1, 1, 4, dtype=torch.float64)
    assert torch.equal(ops.links(links, nothing, precedence), links)
    assert torch.equal(ops.precedence(precedence, nothing), precedence)


def test_links_lead_through_a_whole_sequence_in_both_directions():
    order = torch.randperm(8).tolist()
    links, _ = write_in_order([one_hot(row, 8) for row in order], 8)
    weighting = one_hot(order[0], 8)
    for row in order[1:]:
        weighting = follow(ops.follow_forward, links, weighting).tolist()
        assert weighting == one_hot(row, 8)
    for row in order[-2::-1]:
        weighting = follow(ops.follow_backward, links, weighting).tolist()
        assert weighting == one_hot(row, 8)
    assert not any(follow(ops.follow_backward, links, weighting))  # nothing came before


@pytest.mark.parametrize("focus", [0.0, 1.0, 8.0])
def test_links_are_bounded_and_do_not_lead_back_to_the_same_row(focus):
    links, precedence = torch.zeros(40, 2, 6, 6), torch.zeros(40, 2, 6)
    for _ in range(30):
        gate = torch.rand(40, 2, 1)
        written = gate * torch.softmax(focus * torch.randn(40, 2, 6), dim=-1)
        links = ops.links(links, written, precedence)
        precedence = ops.precedence(precedence, written)
        assert (links >= -1e-6).all()
        for axis in (-1, -2):
            assert (links.sum(axis) <= 1 + 1e-5).all()
        assert not links.diagonal(dim1=-2, dim2=-1).any()
        assert (precedence >= -1e-6).all()
        assert (precedence.sum(-1) <= 1 + 1e-5).all()


def test_links_of_each_write_head_equal_loops():
    previous = torch.rand(2, 3, 5, 5, dtype=torch.float64)
    written, precedence, read = (torch.rand(2, 3, 5, dtype=torch.float64) for _ in range(3))
    links = ops.links(previous, written, precedence)
    forward, backward = ops.follow_forward(links, read), ops.follow_backward(links, read)
    for b in range(2):
        for v in range(3):
            expected = reference_dnc.links(
                previous[b, v].numpy(), written[b, v].numpy(), precedence[b, v].numpy()
            )
            np.testing.assert_allclose(links[b, v], expected, rtol=0, atol=1e-12)
            for r in range(3):
                last = read[b, r].numpy()
                np.testing.assert_allclose(
                    forward[b, r, v], reference_dnc.forward(expected, last), atol=1e-12
                )
                np.testing.assert_allclose(
                    backward[b, r, v], reference_dnc.backward(expected, last), atol=1e-12
                )


# Sharpening


def test_a_sharpness_of_1_only_normalises_and_a_great_one_keeps_the_largest():
    weighting = numbers([0.1, 0.3, 0.2])
    plain = ops.sharpen_followed(weighting, numbers([1.0]))
    assert_close(plain, weighting / weighting.sum(), rtol=0, atol=1e-6)
    sharp = ops.sharpen_followed(weighting, numbers([60.0]))
    assert_close(sharp, numbers([0.0, 1.0, 0.0]), rtol=0, atol=1e-6)


def test_sharpening_equals_loops():
    weighting = torch.rand(4, 2, 3, 6, dtype=torch.float64)
    sharpness = 1 + 5 * torch.rand(4, 2, 1, 1, dtype=torch.float64)
    sharpened = ops.sharpen_followed(weighting, sharpness)
    for index in np.ndindex(4, 2, 3):
        expected = reference_dnc.sharpen(
            weighting[index].tolist(), sharpness[index[:2]].item(), EPSILON
        )
        np.testing.assert_allclose(sharpened[index], expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sharpness", [1.0, 1.5, 20.0])
@pytest.mark.parametrize("value", [0.0, -1e-9, 1e-30, 1.0])
def test_links_that_lead_nowhere_still_do_and_have_finite_gradients(
    value, sharpness, dtype
):
    weighting = torch.full((2, 7), value, dtype=dtype, requires_grad=True)
    exponent = torch.full((2, 1), sharpness, dtype=dtype, requires_grad=True)
    sharpened = ops.sharpen_followed(weighting, exponent)
    expected = torch.full((2, 7), 1 / 7 if value == 1 else 0.0, dtype=dtype)
    assert_close(sharpened, expected, rtol=0, atol=1e-6)
    (sharpened * torch.randn(7, dtype=dtype)).sum().backward()
    assert weighting.grad.isfinite().all()
    assert exponent.grad.isfinite().all()


def test_gradients_equal_finite_differences():
    def leaf(*shape):
        return torch.rand(*shape, dtype=torch.float64, requires_grad=True)

    links, written, precedence, read = (
        leaf(2, 2, 4, 4),
        leaf(2, 2, 4),
        leaf(2, 2, 4),
        leaf(2, 3, 4),
    )
    assert gradcheck(ops.links, (links, written, precedence))
    assert gradcheck(ops.precedence, (precedence, written))
    assert gradcheck(ops.follow_forward, (links, read))
    assert gradcheck(ops.follow_backward, (links, read))
    assert gradcheck(lambda f, s: ops.sharpen_followed(f, 1 + s), (leaf(3, 5), leaf(3, 1)))
