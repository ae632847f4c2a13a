"""Networks as torch modules: controllers, cells and the unrolled network."""

from sknt.nn.cell import CellState
from sknt.nn.controllers import CONTROLLERS
from sknt.nn.network import SequenceNetwork
from sknt.nn.unroll import Trace

__all__ = ["CONTROLLERS", "CellState", "SequenceNetwork", "Trace"]
