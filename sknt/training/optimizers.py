"""Optimizers by name, and Muon, which torch provides for matrices alone."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from sknt._private import (
    foreach_add_,
    foreach_addcdiv_,
    foreach_addcmul_,
    foreach_div,
    foreach_lerp_,
    foreach_mul_,
    foreach_sqrt_,
)
from sknt.training.adam import Adam, AdamW

STEP_SIZE = 0.25
"""Root mean square of a matrix's step, as a fraction of the learning rate.

Liu et al. use 0.2, the mean size of Adam's steps, so that a rate for Adam suits Muon.
"""

COEFFICIENTS, N_ITERATIONS = (3.4445, -4.7750, 2.0315), 5
"""Coefficients of the Newton-Schulz iteration, as chosen by Jordan et al."""


class Muon(torch.optim.Optimizer):
    r"""Orthogonalised steps for matrices, and Adam's steps for everything else.

    A matrix moves along :math:`U V^\top`, where :math:`U \Sigma V^\top` is the mean of its
    gradients, so that what is learned from few sequences moves it as far as what is learned
    from all. Where the gradient is small compared with `eps`, the step shrinks accordingly.

    Parameters
    ----------
    params : iterable of Tensor or of dict
    lr : float, default=0.01
        Learning rate of Adam's steps; the root mean square of a matrix's step is a
        quarter of it.
    betas : pair of float, default=(0.9, 0.99)
        Decay rates of the mean of the gradients (with Nesterov momentum for matrices) and
        of the mean of their squares.
    eps : float, default=1e-3
        Size of the gradient's elements at which the step is halved.
    switches : bool, default=False
        Whether a learning-rate schedule may set a group's `orthogonal`, which is true at
        first, to false; matrices then take Adam's steps, as vectors do.

    References
    ----------
    .. [1] K. Jordan et al. (2024). "Muon: An optimizer for hidden layers in neural
       networks".
    .. [2] J. Liu et al. (2025). "Muon is scalable for LLM training".
    .. [3] D. P. Kingma, J. Ba (2015). "Adam: A method for stochastic optimization".
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.01,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-3,
        switches: bool = False,
    ):
        defaults = {"lr": lr, "betas": betas, "eps": eps, "switches": switches}
        super().__init__(params, {**defaults, "orthogonal": True})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Perform an update; a closure, if given, computes the gradient first."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if parameters:
                self._update(parameters, [p.grad for p in parameters], group)
        return loss

    def _update(
        self, parameters: list[Tensor], gradients: list[Tensor], group: dict[str, Any]
    ) -> None:
        """Update the parameters of a group that have a gradient."""
        betas = group["betas"]
        states = [self.state[parameter] for parameter in parameters]
        for state, parameter in zip(states, parameters, strict=True):
            if not state:
                state["step"], state["exp_avg"] = 0, torch.zeros_like(parameter)
                state["exp_avg_sq"] = torch.zeros_like(parameter)
            state["step"] += 1
        squares = [state["exp_avg_sq"] for state in states]
        foreach_lerp_([state["exp_avg"] for state in states], gradients, 1 - betas[0])
        foreach_mul_(squares, betas[1])
        foreach_addcmul_(squares, gradients, gradients, value=1 - betas[1])
        rest: dict[int, list[Any]] = {}  # by the number of steps
        for parameter, gradient, state in zip(parameters, gradients, states, strict=True):
            if parameter.ndim == 2 and group["orthogonal"]:
                _move_along_orthogonal(parameter, gradient, state, group)
            else:
                rest.setdefault(state["step"], []).append((parameter, state))
        for n_steps, pairs in rest.items():
            _move_as_adam(n_steps, pairs, group)


def _move_along_orthogonal(
    parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]
) -> None:
    """Take Muon's step."""
    lr, beta, eps = group["lr"], group["betas"][0], group["eps"]
    ahead = state["exp_avg"].lerp(gradient, 1 - beta) / (1 - beta ** (state["step"] + 1))
    tiny = torch.finfo(ahead.dtype).tiny
    largest = ahead.abs().max().clamp_min(tiny)  # its square may overflow
    scaled = ahead / largest
    norm = torch.linalg.vector_norm(scaled).clamp_min(tiny)
    damping = norm / (norm + eps * ahead.numel() ** 0.5 / largest)
    size = STEP_SIZE * max(ahead.shape) ** 0.5
    parameter.sub_(orthogonalize(scaled / norm) * (lr * size * damping))


def _move_as_adam(n_steps: int, pairs: list[Any], group: dict[str, Any]) -> None:
    """Take Adam's step with parameters that have seen as many steps."""
    betas = group["betas"]
    parameters = [parameter for parameter, _ in pairs]
    means = [state["exp_avg"] for _, state in pairs]
    squares = [state["exp_avg_sq"] for _, state in pairs]
    roots = foreach_div(squares, 1 - betas[1] ** n_steps)
    foreach_sqrt_(roots)
    foreach_add_(roots, group["eps"])
    value = -group["lr"] / (1 - betas[0] ** n_steps)
    foreach_addcdiv_(parameters, means, roots, value=value)


def orthogonalize(matrix: Tensor) -> Tensor:
    """Bring a matrix's singular values close to 1 by the Newton-Schulz iteration.

    Each iteration multiplies the matrix by a polynomial of its Gram matrix. The polynomials
    are multiplied first, because the Gram matrix is the smaller one.

    Parameters
    ----------
    matrix : Tensor of shape (n_rows, n_columns)
        Of Frobenius norm 1 or 0.

    Returns
    -------
    orthogonal : Tensor of shape (n_rows, n_columns)
        Singular values above 0.003 are mapped into 0.6 to 1.2, smaller ones to values
        below that.
    """
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.mT
    gram = wide @ wide.mT
    a, b, c = COEFFICIENTS
    polynomials: list[Tensor] = []
    while len(polynomials) < N_ITERATIONS:
        if polynomials:
            gram = polynomials[-1] @ gram @ polynomials[-1]
        polynomial = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        polynomial.diagonal().add_(a)
        polynomials.append(polynomial)
    result = torch.linalg.multi_dot([*polynomials, wide])
    return result if matrix.shape[0] <= matrix.shape[1] else result.mT


OPTIMIZERS: dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]] = {
    # β2 = 0.99 tracks the gradient's size faster than torch's 0.999, which helps.
    "adam": (Adam, {"betas": (0.9, 0.99), "fused": True}),
    "adamw": (AdamW, {"betas": (0.9, 0.99), "fused": True}),
    "muon": (Muon, {}),
    "muon-adam": (Muon, {"switches": True}),
    "rmsprop": (torch.optim.RMSprop, {"momentum": 0.9}),
    "sgd": (torch.optim.SGD, {"momentum": 0.9, "fused": True}),
}
"""Names of the optimizers, with the settings in which they differ from torch's."""

RELATIVE_EPSILON = {"adam": 2e-4, "adamw": 2e-4, "muon": 5e-4, "muon-adam": 5e-4}
"""The optimizers' ε as a fraction of max_grad_norm: both are sizes of gradients.

It keeps steps small where gradients are small.
"""

UNCLIPPED_EPSILON = 3e-4
"""ε where gradients are not clipped."""
