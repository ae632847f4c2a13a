"""An estimator as a program of torch, with any number of sequences and of steps."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from sklearn.utils.validation import check_is_fitted
from torch.export import Dim, ExportedProgram

from sknt._base import SequenceEstimator
from sknt.exporting._predictor import Predictor


def export_program(estimator: Any) -> ExportedProgram:
    """Export a fitted estimator with ``torch.export``.

    The program takes ``x``, float32 of shape (batch, steps, n_features), in which each
    sequence starts at step 0, and ``lengths``, int64 of shape (batch,): how many steps each
    sequence has. It returns, in double precision, what ``predict_proba`` gives, or
    ``predict`` of a regressor. Batch and steps are open. What follows a sequence's end is
    not read, and predictions there are NaN, or a regressor's `missing_target`.

    Parameters
    ----------
    estimator : NTMSequenceClassifier or NTMSequenceRegressor
        Fitted.

    Returns
    -------
    program : torch.export.ExportedProgram
        For ``torch.export.save`` and torch's compilers; ``program.module()`` is a torch
        module. It runs on the CPU.

    Raises
    ------
    TypeError
        If it is something else, such as a pipeline or a search: what comes before the
        estimator is not exported.
    sklearn.exceptions.NotFittedError
        If it has not been fitted.

    See Also
    --------
    export_onnx : Writes an ONNX file.

    Notes
    -----
    A program cannot raise errors as an estimator does. Its predictions are NaN for a
    sequence whose length is below 1 or above the number of steps, and for one with a value
    that is not finite.

    Examples
    --------
    >>> import torch
    >>> import sknt
    >>> X, y = sknt.datasets.make_copy(20, n_bits=2, max_length=3, random_state=0)
    >>> model = sknt.NTMSequenceClassifier(
    ...     memory=None, return_sequences=True, max_epochs=1, random_state=0
    ... )
    >>> program = sknt.export_program(model.fit(X, y))
    >>> x, lengths = torch.zeros(4, 9, X.shape[2]), torch.tensor([9, 3, 1, 5])
    >>> program.module()(x, lengths).shape
    torch.Size([4, 9, 2])
    """
    check_exportable(estimator)
    predictor = Predictor(estimator)
    n_steps = 2 * estimator.patch_size_ + 1
    x = torch.zeros(2, n_steps, estimator._n_inputs)
    lengths = torch.tensor([n_steps, n_steps - 1])
    batch, steps = Dim("batch"), Dim("steps")
    shapes = {"x": {0: batch, 1: steps}, "lengths": {0: batch}}
    with quiet(), torch.no_grad():
        return torch.export.export(predictor, (x, lengths), dynamic_shapes=shapes)


def check_exportable(estimator: Any) -> None:
    """Refuse whatever is not a fitted estimator of sknt."""
    if isinstance(estimator, SequenceEstimator):
        check_is_fitted(estimator)
        return
    kind, advice = type(estimator).__name__, "give one of them, fitted"
    if hasattr(estimator, "steps"):
        advice = (
            "export its last step, pipeline[-1], and transform sequences with "
            "pipeline[:-1] before they are given to the program"
        )
    elif hasattr(estimator, "estimator"):
        advice = "export the fitted estimator in it, such as best_estimator_"
    raise TypeError(
        f"estimator is a {kind}; only NTMSequenceClassifier and NTMSequenceRegressor can "
        f"be exported: {advice}"
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep torch's exporters from speaking of its own parts."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        logger.setLevel(level)
