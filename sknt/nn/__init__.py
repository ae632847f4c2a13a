"""Networks as torch modules: controllers, cells and the unrolled network."""

from sknt.memories import Trace
from sknt.nn.cell import CellState
from sknt.nn.controllers import CONTROLLERS
from sknt.nn.diagnostics import gradient_norms
from sknt.nn.network import BACKENDS, SequenceNetwork
from sknt.nn.pooling import POOLINGS
from sknt.nn.prepared import PreparedNetwork

__all__ = [
    "BACKENDS",
    "CONTROLLERS",
    "POOLINGS",
    "CellState",
    "PreparedNetwork",
    "SequenceNetwork",
    "Trace",
    "gradient_norms",
]
