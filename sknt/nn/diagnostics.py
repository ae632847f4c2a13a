"""Where a gradient comes from: its norm by the parts of a network."""

import torch
from torch import Tensor

from sknt.memories import NTMMemory
from sknt.nn.network import SequenceNetwork


def gradient_norms(network: SequenceNetwork) -> dict[str, float]:
    """Return the norm of the gradient of each part of a network.

    Parameters
    ----------
    network : SequenceNetwork
        After a backward pass.

    Returns
    -------
    norms : dict
        For an NTM the parts of the interface by head, such as "read head 0: gate", from
        the rows of the projection that they are computed by; for everything else the
        parameters' own names. Their squares sum up to that of the global norm. Parameters
        without a gradient are left out.

    Examples
    --------
    >>> import torch
    >>> from sknt.nn import SequenceNetwork, gradient_norms
    >>> network = SequenceNetwork(n_inputs=3, n_outputs=2, memory_size=16)
    >>> network(torch.ones(4, 7, 3))[0].sum().backward()
    >>> norms = gradient_norms(network)
    >>> "write head 0: erase" in norms, "readout.weight" in norms
    (True, True)
    """
    norms: dict[str, float] = {}
    memory = getattr(getattr(network, "cell", None), "memory", None)
    named = dict(network.named_parameters())
    if isinstance(memory, NTMMemory):
        named = {k: p for k, p in named.items() if "memory.projection." not in k}
        weight, bias = memory.projection.weight.grad, memory.projection.bias.grad
        if weight is not None and bias is not None:
            columns = torch.cat([weight, bias.unsqueeze(1)], dim=1).T
            squares = columns.double().square().sum(0)
            norms |= _by_head(memory, squares)
    for name, parameter in named.items():
        if parameter.grad is not None:
            norms[name] = float(parameter.grad.double().square().sum().sqrt())
    return norms


def _by_head(memory: NTMMemory, squares: Tensor) -> dict[str, float]:
    norms = {}
    for name, field in memory.split_interface(squares)._asdict().items():
        for head, square in enumerate(field.sum(-1).tolist()):
            # Read heads come first; only write heads have erase and add vectors.
            number = head if name in ("erase", "add") else head - memory.n_read_heads
            whose = f"write head {number}" if number >= 0 else f"read head {head}"
            norms[f"{whose}: {name}"] = square**0.5
    return norms
