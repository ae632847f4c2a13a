"""Neural Turing Machines as scikit-learn estimators, on sequences of unequal length."""

from sknt import datasets, inspection, metrics, nn, preprocessing
from sknt._version import __version__ as __version__
from sknt.classifier import NTMSequenceClassifier
from sknt.data.sequences import mark_padding, pad_sequences, unpad_sequences
from sknt.exporting import export_onnx, export_program
from sknt.persistence import load, save
from sknt.regressor import NTMSequenceRegressor

__all__ = [
    "NTMSequenceClassifier",
    "NTMSequenceRegressor",
    "datasets",
    "export_onnx",
    "export_program",
    "inspection",
    "load",
    "mark_padding",
    "metrics",
    "nn",
    "pad_sequences",
    "preprocessing",
    "save",
    "unpad_sequences",
]
