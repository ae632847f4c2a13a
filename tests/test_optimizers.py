"""Muon against torch's optimizers, and the epsilon that the estimators choose."""

import copy

import numpy as np
import pytest
import torch
from helpers import stepwise_classifier, tiny_copy

from sknt.training.optimizers import N_ITERATIONS, STEP_SIZE, Muon, orthogonalize


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, 3e-4),
        ({"max_grad_norm": "auto", "return_sequences": False}, 6e-4),
        ({"max_grad_norm": 5}, 1e-3),
        ({"max_grad_norm": 5, "optimizer": "adamw"}, 1e-3),
        ({"max_grad_norm": 5, "optimizer": "muon"}, 2.5e-3),
        ({"max_grad_norm": None}, 3e-4),
        ({"net_params": {"optimizer__eps": 1e-5}}, 1e-5),
        ({"net_params": {"optimizer": torch.optim.Adam}}, 1e-8),
        ({"optimizer": "sgd"}, None),
    ],
)
def test_epsilon_is_relative_to_the_clip_unless_it_is_given(params, expected):
    model = stepwise_classifier(max_epochs=1, **params)
    X, y = tiny_copy(random_state=0)
    model.fit(X, y if model.return_sequences else np.arange(len(X)) % 2)
    assert model.net_.optimizer_.param_groups[0].get("eps") == pytest.approx(expected)


SHAPES = [(40, 12), (12, 40), (7, 7), (1, 9), (9, 1)]


def gradients(shape, n, seed=0):
    rng = np.random.RandomState(seed)
    return [torch.tensor(rng.normal(size=shape), dtype=torch.float32) for _ in range(n)]


def steps_of(optimizer_class, grads, **params):
    parameter = torch.nn.Parameter(torch.zeros_like(grads[0]))
    optimizer = optimizer_class([parameter], **params)
    values = [parameter.detach().clone()]
    for grad in grads:
        parameter.grad = grad.clone()
        optimizer.step()
        values.append(parameter.detach().clone())
    return torch.stack(values).diff(dim=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_singular_values_go_through_the_polynomial_and_nothing_else_changes(shape):
    matrix = gradients(shape, 1)[0]
    matrix /= matrix.norm()
    u, sigma, vh = np.linalg.svd(matrix.double().numpy(), full_matrices=False)
    for _ in range(N_ITERATIONS):
        sigma = 3.4445 * sigma - 4.7750 * sigma**3 + 2.0315 * sigma**5
    assert orthogonalize(matrix).numpy() == pytest.approx((u * sigma) @ vh, abs=2e-5)
    assert 0.6 < sigma.min() <= sigma.max() < 1.2


# Theirs is computed in bfloat16, which loses the small singular values of a square matrix.
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape[0] != shape[1]])
def test_a_matrix_moves_as_with_torchs_muon(shape):
    grads = gradients(shape, 5)
    ours = steps_of(Muon, grads, lr=0.1, betas=(0.9, 0.99), eps=0.0)
    theirs = steps_of(
        torch.optim.Muon,
        grads,
        lr=0.1,
        momentum=0.9,
        weight_decay=0.0,
        adjust_lr_fn="match_rms_adamw",  # 0.2 instead of our STEP_SIZE
    )
    difference = (ours / STEP_SIZE - theirs / 0.2).norm() / (ours / STEP_SIZE).norm()
    assert difference < 0.03


def test_a_vector_moves_as_with_adam():
    grads = gradients((30,), 20)
    params = {"lr": 0.1, "betas": (0.9, 0.99), "eps": 1e-3}
    ours, adams = (steps_of(kind, grads, **params) for kind in (Muon, torch.optim.Adam))
    assert torch.allclose(ours, adams, atol=1e-6)


def test_a_matrix_can_switch_to_adams_steps():
    grads = gradients((6, 5), 10)
    params = {"lr": 0.1, "betas": (0.9, 0.99), "eps": 1e-3}
    adams = steps_of(torch.optim.Adam, grads, **params)
    parameter = torch.nn.Parameter(torch.zeros(6, 5))
    optimizer = Muon([parameter], **params)
    for i, grad in enumerate(grads):
        optimizer.param_groups[0]["orthogonal"] = i < 4
        before, parameter.grad = parameter.detach().clone(), grad
        optimizer.step()
        step = parameter.detach() - before
        assert torch.allclose(step, adams[i], atol=1e-6) == (i >= 4)


def test_the_step_of_a_matrix_is_smaller_where_its_gradient_is():
    direction = torch.linalg.qr(gradients((6, 6), 1)[0])[0]
    direction *= 6 / direction.norm()  # elements with a root mean square of 1
    large, equal, small = (
        steps_of(Muon, [direction * size], lr=0.1, eps=1e-2)[0].norm()
        for size in (1e4, 1e-2, 1e-6)
    )
    assert equal / large == pytest.approx(0.5, rel=1e-3)
    assert small / large == pytest.approx(1e-4, rel=1e-3)


@pytest.mark.parametrize("size", [0.0, 1e-38, 1e-30, 1e30, 1e37])
@pytest.mark.parametrize("eps", [0.0, 1e-3])
@pytest.mark.parametrize("shape", [(5, 3), (4,)])
def test_a_step_is_finite_whatever_the_size_of_the_gradient(shape, eps, size):
    grads = [grad.clamp(-2, 2) * size for grad in gradients(shape, 3)]
    if eps == 0 and len(shape) == 1 and size < 1e-20:
        eps = 1e-30  # Adam's own division by 0
    steps = steps_of(Muon, grads, lr=10.0, eps=eps)
    assert torch.isfinite(steps).all()
    assert steps.abs().max() <= 10 * 10  # Adam's can be 1 / sqrt(1 - 0.99) of the rate


def test_a_closure_computes_the_gradient_and_its_loss_is_returned():
    parameter = torch.nn.Parameter(torch.ones(3, 2))
    optimizer = Muon([parameter], lr=0.01)

    def closure():
        optimizer.zero_grad()
        loss = parameter.square().sum()
        loss.backward()
        return loss

    losses = [optimizer.step(closure).item() for _ in range(20)]
    assert losses[0] == 6
    assert losses == sorted(losses, reverse=True)


def test_training_continues_from_a_saved_state():
    grads = gradients((5, 4), 6)
    whole = torch.nn.Parameter(torch.zeros(5, 4))
    first = Muon([whole])
    for grad in grads[:3]:
        whole.grad = grad
        first.step()
    half = torch.nn.Parameter(whole.detach().clone())
    second = Muon([half], lr=1.0)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for grad in grads[3:]:
        whole.grad, half.grad = grad, grad.clone()
        first.step()
        second.step()
    assert torch.equal(whole, half)
