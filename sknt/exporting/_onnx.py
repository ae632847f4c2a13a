"""An estimator as an ONNX file."""

import json
import os
from typing import Any

import torch
from sklearn.base import is_classifier
from torch.export import ExportedProgram

from sknt._version import __version__
from sknt.exporting._program import export_program, quiet
from sknt.storage.writing import write_atomically


def export_onnx(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Write a fitted estimator to an ONNX file, which runs without sknt and torch.

    The model has the inputs ``x``, float32 of shape (batch, steps, n_features), in which
    each sequence starts at step 0, and ``lengths``, int64 of shape (batch,): how many steps
    each sequence has. Its output, float64, is called ``probabilities`` and is what
    ``predict_proba`` gives, or ``values``, what ``predict`` of a regressor gives. Any
    number of sequences and of steps can be given.

    The model's metadata are text: ``sknt_version``; ``estimator``, the name of the class;
    and as JSON ``classes``, ``multilabel`` (of a classifier) and ``feature_names`` (if
    there are any).

    Parameters
    ----------
    estimator : NTMSequenceClassifier or NTMSequenceRegressor
        Fitted.
    path : str or path-like
        The file. One that exists is replaced once the new one is complete.

    Raises
    ------
    ImportError
        If onnx and onnxscript are not installed.
    TypeError
        If it is something else, such as a pipeline or a search: what comes before the
        estimator is not exported.
    sklearn.exceptions.NotFittedError
        If it has not been fitted.

    See Also
    --------
    export_program : Makes a program of torch.

    Notes
    -----
    Predictions are equal up to rounding: the network runs in single precision. They are NaN
    for a sequence whose length is below 1 or above the number of steps, and for one with a
    value that is not finite.

    Examples
    --------
    >>> import sknt
    >>> model = sknt.NTMSequenceClassifier(memory_size=16)
    >>> model.fit(X, y)  # doctest: +SKIP
    >>> sknt.export_onnx(model, "model.onnx")  # doctest: +SKIP
    """
    own = find_translations()  # first, since packages may be missing
    content = to_onnx(export_program(estimator), estimator, own)
    write_atomically(os.fspath(path), [content])


def to_onnx(
    program: ExportedProgram, estimator: Any, translations: dict[Any, Any]
) -> bytes:
    """Return the ONNX file of an exported estimator."""
    classifies = is_classifier(estimator)
    with quiet(), torch.no_grad():
        converted = torch.onnx.export(
            program,
            dynamo=True,
            verbose=False,
            optimize=False,
            output_names=["probabilities" if classifies else "values"],
            custom_translation_table=translations,
        )
        assert converted is not None
        _simplify(converted.model)
        inputs: Any = converted.model.graph.inputs
        batch, steps, _ = inputs[0].shape
        converted.rename_axes({batch: "batch", steps: "steps"})
    converted.model.metadata_props.update(_metadata(estimator))
    model = converted.model_proto
    _forget_origins(model.graph)
    return model.SerializeToString()


def find_translations() -> dict[Any, Any]:
    """Return ONNX for operators that torch's exporter lacks, by operator."""
    try:
        import onnx  # noqa: F401
        from onnxscript import opset18
    except ImportError as error:
        raise ImportError(
            f"{error}. To export ONNX files, install sknt[onnx], or onnx and onnxscript"
        ) from error

    op: Any = opset18

    def stable_sort(
        values: Any, *, stable: bool = True, dim: int = -1, descending: bool = False
    ) -> Any:
        """TopK of all: of equal values, the one with the lower index comes first."""
        length = op.Gather(op.Shape(values), op.Constant(value_ints=[dim]))
        return op.TopK(values, length, axis=dim, largest=int(descending), sorted=1)

    def product_so_far(values: Any, dim: int, dtype: Any = None) -> Any:
        """Products of the last axis: those of rows in which ones follow the value."""
        length = op.Gather(op.Shape(values), op.Constant(value_ints=[-1]))
        square = op.Concat(length, length, axis=0)
        one = op.CastLike(op.Constant(value_float=1.0), values)
        until = op.Trilu(op.Expand(op.Constant(value_int=1), square), upper=0)
        rows = op.Unsqueeze(values, op.Constant(value_ints=[-2]))
        factors = op.Where(op.Cast(until, to=9), rows, one)  # 9 is bool
        return op.ReduceProd(factors, op.Constant(value_ints=[-1]), keepdims=0)

    return {
        torch.ops.aten.sort.stable: stable_sort,
        torch.ops.aten.cumprod.default: product_so_far,
    }


def _simplify(model: Any) -> None:
    """Insert the bodies of functions and fold constants.

    The exporter's own optimisation does so, too, but goes on to leave out additions of less
    than about 1e-8: it takes them for 0, also where they are to prevent a division by it.
    """
    from onnxscript import optimizer

    optimizer.inline(model)
    optimizer.fold_constants(model)
    optimizer.remove_unused_nodes(model)


def _forget_origins(graph: Any) -> None:
    """Leave out where each part came from, with the paths of source files."""
    values = (*graph.input, *graph.output, *graph.value_info)
    for part in (graph, *graph.node, *graph.initializer, *values):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):  # the body of a Scan
                _forget_origins(attribute.g)


def _metadata(estimator: Any) -> dict[str, str]:
    """Return what a client needs to know of a model, as text."""
    told = {"sknt_version": __version__, "estimator": type(estimator).__name__}
    if is_classifier(estimator):
        told["classes"] = json.dumps(estimator.classes_.tolist())
        told["multilabel"] = json.dumps(bool(estimator._multilabel))
    if hasattr(estimator, "feature_names_in_"):
        told["feature_names"] = json.dumps(estimator.feature_names_in_.tolist())
    return told
