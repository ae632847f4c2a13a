"""Gradients of the sparse access memory."""

import pytest
import torch
from sam_helpers import ANY_SIZES, hidden_outputs, make_sam, run
from torch.autograd import gradcheck
from torch.testing import assert_close

from sknt.memories.sam import SAMInterface


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


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


def test_the_gradient_of_a_state_that_is_carried_on_is_that_of_the_whole():
    memory = make_sam((9, 4, 2, 2, 3))
    hiddens = hidden_outputs(8).requires_grad_()
    wanted = [hiddens, *memory.parameters()]
    reads, _ = run(memory, hiddens)
    whole = torch.autograd.grad(reads.square().sum(), wanted)

    early, states = run(memory, hiddens[:3])
    carried = [states[-1].memory, states[-1].read_weights]
    cut = [field.detach().requires_grad_() for field in carried]
    late, _ = run(
        memory, hiddens[3:], states[-1]._replace(memory=cut[0], read_weights=cut[1])
    )
    second = torch.autograd.grad(late.square().sum(), [*wanted, *cut])
    assert all(gradient.abs().max() > 1e-6 for gradient in second[-2:])
    first = torch.autograd.grad(
        [early.square().sum(), *carried],
        wanted,
        [torch.ones_like(early.sum()), *second[-2:]],
    )
    for one, two, both in zip(first, second, whole, strict=False):
        assert_close(one + two, both, rtol=0, atol=1e-12)


@pytest.mark.parametrize("clip", [20.0, None])
def test_gradients_are_finite_from_empty_rows_with_closed_gates(clip):
    memory = make_sam((6, 3, 1, 1, 4), std=30.0, interface_clip=clip)
    hiddens = hidden_outputs(20).requires_grad_()
    reads, _ = run(memory, hiddens)
    for gradient in torch.autograd.grad(
        reads.square().sum(), [hiddens, *memory.parameters()]
    ):
        assert gradient.isfinite().all()
