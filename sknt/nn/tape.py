"""Gradients of what the kernels compute, added without autograd's own graph."""

from itertools import chain
from typing import Any

import torch
from torch import Tensor


class Tape:
    """What the kernels did in an update, for gradients without autograd's own graph.

    Around a small network, autograd takes as long as the kernels. Here the results of a
    pass through the kernels are leaves of its graph: once their gradients are known,
    :meth:`backward` adds those of the parameters, as autograd would have done.
    """

    def __init__(self) -> None:
        # Each pass, its results, and what it started from: the state and the parameters.
        self._records: list[tuple[Any, list[Tensor], list[Tensor]]] = []

    @staticmethod
    def serves(tensors: list[Tensor]) -> bool:
        """Return whether nothing listens to the tensors' gradients."""
        return not any(t._backward_hooks or t._post_accumulate_grad_hooks for t in tensors)

    def run(
        self,
        plan: Any,
        batch: Any,
        x: Tensor,
        first: list[Tensor],
        parameters: list[Tensor],
        traces: str | None,
    ) -> tuple[Tensor, list[Tensor]]:
        """Run a batch; return the outputs and the parts of the trace."""
        from sknt.kernels.engine import Pass

        kept = Pass(plan, batch, x, first, parameters)
        outputs, _, steps = kept.call.run(first, traces, keeps=True)
        results = [outputs, *steps]
        for result in results:
            result.requires_grad_()
        self._records.append((kept, results, [*first, *parameters]))
        return outputs, steps

    def backward(self) -> None:
        """Add the gradients of the parameters, from those of what :meth:`run` returned."""
        while self._records:
            kept, results, tensors = self._records.pop()
            d_outputs, *d_steps = (result.grad for result in results)
            needs = [tensor.requires_grad for tensor in tensors[: len(kept.n_first)]]
            _, *gradients = kept.backward(d_outputs, None, d_steps, False, needs)
            computed: list[Tensor] = []  # from parameters
            theirs: list[Tensor] = []  # the gradients with respect to them
            for tensor, gradient in zip(tensors, chain(*gradients), strict=True):
                if not tensor.requires_grad:
                    continue
                if not tensor.is_leaf:
                    computed.append(tensor)
                    theirs.append(gradient)
                elif tensor.grad is None:
                    tensor.grad = gradient
                else:
                    tensor.grad += gradient
            if computed:
                torch.autograd.backward(computed, theirs)
