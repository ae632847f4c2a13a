"""Where a gradient comes from: its norm by part of the network."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from sknt.memories import Memory


def gradient_norms(network: nn.Module) -> dict[str, float]:
    """Return the norm of the gradient of each part of a network.

    Parameters
    ----------
    network : SequenceNetwork
        After a backward pass.

    Returns
    -------
    norms : dict
        The norms by name: those of the parts that the memory names
        (:meth:`sknt.memories.Memory.parts`; for an NTM, the fields of the interface by
        head, such as "read head 0: gate"), and for everything else the parameters' own
        names. Their squares add up to the square of the global norm. Parameters without a
        gradient are left out.

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
    squares = {
        name: _row_squares(parameter.grad)
        for name, parameter in network.named_parameters()
        if parameter.grad is not None
    }
    left = {name: np.ones(len(rows), bool) for name, rows in squares.items()}
    norms: dict[str, float] = {}
    for part, places in _parts(network).items():
        places = {name: rows for name, rows in places.items() if name in squares}
        if places:
            total = sum(squares[name][rows].sum() for name, rows in places.items())
            norms[part] = float(total) ** 0.5
        for name, rows in places.items():
            left[name][rows] = False
    for name, is_left in left.items():
        if is_left.any():
            norms[name] = float(squares[name][is_left].sum()) ** 0.5
    return norms


def _row_squares(gradient: Tensor) -> NDArray[np.float64]:
    """Return the sum of squares of each row; for a scalar, its own square."""
    rows = gradient.detach().cpu().double().square()
    return rows.reshape(len(rows) if rows.ndim else 1, -1).sum(1).numpy()


def _parts(network: nn.Module) -> dict[str, dict[str, slice]]:
    """Return the parts that the memory names, with the network's names of parameters."""
    memory = getattr(getattr(network, "cell", None), "memory", None)
    if not isinstance(memory, Memory):
        return {}
    return {
        part: {f"cell.memory.{name}": rows for name, rows in places.items()}
        for part, places in memory.parts().items()
    }
