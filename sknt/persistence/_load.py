"""The function that loads a model."""

import os
import warnings
from typing import Any

import sklearn
from sklearn.base import BaseEstimator
from sklearn.exceptions import InconsistentVersionWarning

from sknt._version import __version__
from sknt.persistence._decoding import Decoder
from sknt.storage.container import read
from sknt.training.devices import why_unavailable


def load(path: str | os.PathLike[str], device: str | None = None) -> Any:
    """Load a model from a file that :func:`sknt.save` has written.

    Nothing from the file is executed: it can be from a source that you do not trust.

    Parameters
    ----------
    path : str or path-like
    device : str or None, default=None
        Device to load sknt's estimators on, such as "cpu" or "cuda"; it becomes their
        parameter ``device``. None is the device that they were on; if this machine does
        not have it, they are loaded on the CPU, with a ``DeviceWarning``.

    Returns
    -------
    estimator : estimator
        It predicts as the saved one did, and goes on training from where that was.

    Raises
    ------
    ValueError
        If the file was not written by :func:`sknt.save`, is damaged or not whole, was
        written by a newer release in another format, or is not valid; or if the device
        is not available.

    Warns
    -----
    InconsistentVersionWarning
        If parts of scikit-learn were saved with another version of it.

    See Also
    --------
    save : Saves a model.
    """
    if device is not None and (reason := why_unavailable(device)):
        raise ValueError(
            f"device={str(device)!r} is not available here ({reason}); use device='cpu'"
        )
    name, written_by = os.fspath(path), __version__
    try:
        structure, tensors, written_by = read(name)
        if "checkpoint" in structure:
            raise ValueError(
                "it is the checkpoint of a fit that has not ended; call fit with the same "
                "data and parameters, among them this directory as checkpoint, to go on"
            )
        decoder = Decoder(tensors, None if device is None else str(device))
        versions, model = structure["versions"], decoder.decode(structure["model"])
        if set(structure) != {"versions", "model"} or not isinstance(model, BaseEstimator):
            raise ValueError("it does not hold an estimator")
    except (OSError, MemoryError, Warning):
        raise
    except ValueError as error:
        raise ValueError(_message(name, written_by, str(error))) from error
    except Exception as error:
        what = f"it is not valid ({type(error).__name__}: {error})"
        raise ValueError(_message(name, written_by, what)) from error
    _check_version(versions, decoder.classes)
    return model


def _message(name: Any, written_by: str, what: str) -> str:
    other = f". sknt {written_by} has written it, and this is sknt {__version__}"
    return f"{name!r} cannot be loaded: {what}{other if written_by != __version__ else ''}"


def _check_version(versions: Any, classes: list[str]) -> None:
    saved = str(versions.get("sklearn")) if isinstance(versions, dict) else "unknown"
    others = [cls for cls in classes if cls.startswith("sklearn.")]
    if others and saved != sklearn.__version__:
        warnings.warn(
            InconsistentVersionWarning(
                estimator_name=others[0].rpartition(".")[2],
                current_sklearn_version=sklearn.__version__,
                original_sklearn_version=saved,
            ),
            stacklevel=3,
        )
