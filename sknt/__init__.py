"""Neural Turing Machines as scikit-learn estimators, on sequences of unequal length."""

from sknt import datasets, inspection, metrics, nn, preprocessing
from sknt.classifier import NTMSequenceClassifier
from sknt.data.sequences import mark_padding, pad_sequences, unpad_sequences
from sknt.regressor import NTMSequenceRegressor

__all__ = [
    "NTMSequenceClassifier",
    "NTMSequenceRegressor",
    "datasets",
    "inspection",
    "mark_padding",
    "metrics",
    "nn",
    "pad_sequences",
    "preprocessing",
    "unpad_sequences",
]
__version__ = "0.1.0"
