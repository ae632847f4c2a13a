"""Fitted estimators as programs that run without sknt: ``torch.export`` and ONNX.

``_predictor`` is all that an estimator computes as a torch module, with ``_convolutions``
for the regression beside the network; ``_program`` records it, and ``_onnx`` writes it to a
file with the operators that torch's exporter lacks.
"""

from sknt.exporting._onnx import export_onnx
from sknt.exporting._program import export_program

__all__ = ["export_onnx", "export_program"]
