"""A network prepared for a pass over many batches."""

from typing import Any

import torch
from torch import Tensor

from sknt.nn.fused import lay_out


class PreparedNetwork:
    """A network with its path chosen and its weights laid out.

    Made by :meth:`sknt.nn.SequenceNetwork.prepare` for one pass over many batches, during
    which the weights must not change: once they have changed, make a new one. It computes
    no gradients.

    Attributes
    ----------
    backend : {"fused", "reference"}
        The path that batches take.
    """

    def __init__(self, network: Any, is_plain: bool):
        parameter = next(network.cell.controller.parameters())
        self.backend = network.backend_for(parameter)
        self.laid_out = None
        if is_plain and self.backend == "fused":
            self.laid_out = lay_out(network.cell, network.readout)
        self.reverse = None if network.reverse is None else network.reverse.prepare()
        self._network, self._is_plain = network, is_plain

    @torch.no_grad()
    def __call__(
        self,
        x: Tensor,
        lengths: Any = None,
        state: Any = None,
        return_states: bool | str = False,
    ) -> tuple[Any, ...]:
        """Run a batch, as :meth:`sknt.nn.SequenceNetwork.forward` does."""
        if not self._is_plain or (return_states and not self._network.has_memory):
            return self._network(x, lengths, state, return_states)
        return self._network._run(x, lengths, state, return_states, prepared=self)
