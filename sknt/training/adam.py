"""torch's Adam and AdamW, without what torch prepares for each step on the CPU.

torch checks its tensors and sorts them by device and precision at every step, which takes
longer than the update of a small network. Here a group of parameters on the CPU goes
directly to the same fused update: weights and states are the same to the bit.
"""

from collections.abc import Callable
from typing import Any

import torch

from sknt._private import foreach_add_, fused_adam_, fused_adamw_

LEFT_TO_TORCH = ("amsgrad", "capturable", "differentiable", "foreach")
"""Settings of a group with which torch takes the step."""

DTYPES = (torch.float32, torch.float64)
"""Precisions of parameters on the CPU that are updated here."""


class Adam(torch.optim.Adam):
    """Adam, with the parameters, the state and the results of ``torch.optim.Adam``."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Perform an update; a closure, if given, computes the gradient first."""
        if not (self._is_plain() and all(map(_is_plain, self.param_groups))):
            step: Any = torch.optim.Adam.step
            if getattr(step, "hooked", False):  # as this method is: hooks run once
                step = step.__wrapped__
            return step(self, closure)
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            self._update(group)
        return loss

    def _is_plain(self) -> bool:
        """Return whether no scaler of gradients takes part in the update."""
        return not (hasattr(self, "grad_scale") or hasattr(self, "found_inf"))

    def _update(self, group: dict[str, Any]) -> None:
        """Update the parameters of a group that have a gradient."""
        lists: list[list[Any]] = [[] for _ in range(6)]
        self._init_group(group, *lists)
        parameters, n_steps = lists[0], lists[-1]
        if not parameters:
            return
        foreach_add_(n_steps, 1)
        update = fused_adamw_ if group["decoupled_weight_decay"] else fused_adam_
        update(
            *lists,
            lr=group["lr"],
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=group["maximize"],
        )


class AdamW(Adam, torch.optim.AdamW):
    """AdamW, with the parameters, the state and the results of ``torch.optim.AdamW``."""


def _is_plain(group: dict[str, Any]) -> bool:
    """Return whether a group has the fused update of the CPU, in one precision."""
    if not group["fused"] or any(group[name] for name in LEFT_TO_TORCH):
        return False
    if not group["params"] or not isinstance(group["lr"], float):
        return False
    dtype = group["params"][0].dtype
    return dtype in DTYPES and all(p.is_cpu and p.dtype == dtype for p in group["params"])
