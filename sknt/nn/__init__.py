"""Networks as torch modules: controllers, cells and the unrolled network."""

from sknt.nn.cell import CellState
from sknt.nn.controllers import CONTROLLERS
from sknt.nn.diagnostics import gradient_norms
from sknt.nn.network import BACKENDS, SequenceNetwork
from sknt.nn.unroll import Trace

__all__ = [
    "BACKENDS",
    "CONTROLLERS",
    "CellState",
    "SequenceNetwork",
    "Trace",
    "gradient_norms",
]
