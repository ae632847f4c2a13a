"""The function that saves a model."""

import os
from typing import Any

import numpy
import sklearn
import skorch
import torch

from sknt._version import __version__
from sknt.persistence._encoding import Encoder
from sknt.storage.container import to_bytes
from sknt.storage.writing import write_atomically


def save(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Save a model to a file that :func:`sknt.load` loads without running code from it.

    Parameters
    ----------
    estimator : estimator
        A classifier or regressor of sknt, a transformer of ``sknt.preprocessing`` or
        scikit-learn, or a Pipeline, ColumnTransformer, FeatureUnion or
        TransformedTargetRegressor of such parts; fitted or not.
    path : str or path-like
        The file, with any suffix or none. One that exists is replaced once the new one is
        complete: after an error or a killed process, it is still the old one.

    Raises
    ------
    TypeError
        If a part of the model could be rebuilt only by running code, such as a function in
        net_params or a memory of your own. The message names it.

    See Also
    --------
    load : Loads the model.

    Examples
    --------
    >>> import sknt
    >>> model = sknt.NTMSequenceClassifier(memory_size=16)
    >>> sknt.save(model, "model.sknt")  # doctest: +SKIP
    >>> sknt.load("model.sknt").memory_size  # doctest: +SKIP
    16
    """
    if isinstance(estimator, str | os.PathLike):
        raise TypeError(
            f"estimator is {estimator!r}; the model comes first: save(model, path)"
        )
    encoder = Encoder()
    versions = {part.__name__: part.__version__ for part in (numpy, sklearn, skorch, torch)}
    model = {"versions": versions, "model": encoder.encode(estimator, "model")}
    write_atomically(os.fspath(path), [to_bytes(model, encoder.tensors, __version__)])
