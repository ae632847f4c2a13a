"""What a memory network did, as arrays and as a picture."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sknt._base import SequenceEstimator
from sknt._private import check_matplotlib_support
from sknt._runtime import single_threaded
from sknt.data.arrays import as_numpy
from sknt.data.frames import is_frame

MOST_ROWS, LEAST_WEIGHT = 256, 0.01
"""Rows of a larger memory are drawn only if a head has more than this weight on them."""


class MemoryTraceDisplay:
    """Where the heads wrote and read, step by step.

    Make it with :meth:`from_estimator`. Absent steps are left out. The memory itself
    defines what there is to show (:meth:`sknt.memories.Memory.weightings`): the weightings
    of write and read heads, and any others. If there are none, only inputs and outputs are
    shown.

    Parameters
    ----------
    inputs : ndarray of shape (n_steps, n_features)
        The sequence as the network saw it.
    write_weights : ndarray of shape (n_steps, n_write_heads, memory_size) or None
        Weighting of each write head over the memory's rows; for an NTM, each sums to 1.
        None for a memory without write heads.
    read_weights : ndarray of shape (n_steps, n_read_heads, memory_size) or None
        The same for each read head.
    outputs : ndarray of shape (n_steps, n_outputs) or None
        The network's outputs, before they become probabilities or values; None where
        only the last step has a target.
    other_weights : dict of str to ndarray of shape (n_steps, n_rows) or None
        Further weightings of the memory by name, in the order of the picture.

    Attributes
    ----------
    weightings : dict of str to ndarray of shape (n_steps, n_rows)
        All weightings by name, such as "write head 0", in the order of the picture.
    figure_ : Figure
        After :meth:`plot`.
    axes_ : ndarray of Axes
        One for each row of the picture.

    Examples
    --------
    >>> from sknt import NTMSequenceClassifier
    >>> from sknt.datasets import make_copy
    >>> from sknt.inspection import MemoryTraceDisplay
    >>> X, y = make_copy(n_samples=20, n_bits=2, max_length=3, random_state=0)
    >>> model = NTMSequenceClassifier(
    ...     memory_size=16, return_sequences=True, max_epochs=1, random_state=0
    ... ).fit(X, y)
    >>> display = MemoryTraceDisplay.from_estimator(model, X[0])
    >>> display.read_weights.shape
    (3, 1, 16)
    """

    def __init__(
        self,
        *,
        inputs: NDArray[np.float64],
        write_weights: NDArray[np.float64] | None = None,
        read_weights: NDArray[np.float64] | None = None,
        outputs: NDArray[np.float64] | None = None,
        other_weights: Mapping[str, NDArray[np.float64]] | None = None,
    ):
        self.inputs = inputs
        self.write_weights = write_weights
        self.read_weights = read_weights
        self.outputs = outputs
        self.other_weights = other_weights

    @property
    def weightings(self) -> dict[str, NDArray[np.float64]]:
        """All weightings by name, in the order of the picture."""
        heads = {"write head": self.write_weights, "read head": self.read_weights}
        named = {
            f"{kind} {head}": weights[:, head]
            for kind, weights in heads.items()
            if weights is not None
            for head in range(weights.shape[1])
        }
        return named | dict(self.other_weights or {})

    @classmethod
    def from_estimator(cls, estimator: Any, sequence: Any) -> "MemoryTraceDisplay":
        """Run a fitted estimator over one sequence and keep what the heads did.

        Parameters
        ----------
        estimator : NTMSequenceClassifier or NTMSequenceRegressor
            Fitted; or a fitted pipeline or search that ends in one.
        sequence : array-like of shape (n_timesteps, n_features) or (n_timesteps,)

        Returns
        -------
        display : MemoryTraceDisplay

        Raises
        ------
        TypeError
            If the estimator is of any other kind.
        ValueError
            If it has no memory, or the sequence does not fit it.
        """
        estimator, sequence = _unwrap(estimator, _as_batch(sequence))
        if not isinstance(estimator, SequenceEstimator):
            raise TypeError(
                f"{type(estimator).__name__} has no memory to look into; give an "
                "NTMSequenceClassifier, an NTMSequenceRegressor, or a pipeline or search "
                "that ends in one"
            )
        check_is_fitted(estimator)
        network = estimator.net_.module_
        if not hasattr(network, "weightings"):
            raise ValueError(
                f"the module {type(network).__name__} has no weightings to show; a "
                "subclass of SequenceNetwork has"
            )
        if not network.has_memory:
            raise ValueError(
                "the estimator was fitted with memory=None, so there is nothing to show"
            )
        inputs = estimator._network_inputs(sequence).inputs
        values = inputs.padded()
        parameter = next(network.parameters())
        with torch.no_grad(), single_threaded():
            outputs, _, trace = network(
                torch.from_numpy(values).to(parameter),
                torch.from_numpy(inputs.lengths),
                return_states="heads",
            )
        weightings = {k: _array(w) for k, w in network.weightings(trace).items()}
        return cls(
            inputs=values[0],
            write_weights=_take_heads("write head", weightings),
            read_weights=_take_heads("read head", weightings),
            outputs=_array(outputs) if estimator.net_.per_step else None,
            other_weights=weightings or None,
        )

    def plot(self, *, cmap: str = "viridis") -> "MemoryTraceDisplay":
        """Draw inputs, heads and outputs over the steps.

        Of a memory with more than 256 rows, those are drawn, with their numbers, on which
        some head has a weight above 0.01 at some step.

        Parameters
        ----------
        cmap : str, default="viridis"
            Colours of the weightings.

        Returns
        -------
        display : MemoryTraceDisplay
            With `figure_` and `axes_`.
        """
        check_matplotlib_support("MemoryTraceDisplay.plot")
        import matplotlib.pyplot as plt
        from matplotlib.colors import CenteredNorm

        weightings = self.weightings
        rows = _rows_to_show(list(weightings.values()))
        panels: list[tuple[str, Any, dict[str, Any]]] = [
            ("inputs", self.inputs, {"cmap": "RdBu_r", "norm": CenteredNorm()})
        ]
        for name, weights in weightings.items():
            kind = name.removesuffix(" 0")
            is_alone = f"{kind} 1" not in weightings
            label = f"{kind if is_alone else name}\nmemory row"
            shown = weights if rows is None else weights[:, rows]
            panels.append((label, shown, {"cmap": cmap, "vmin": 0}))
        if self.outputs is not None:
            style = {"cmap": "RdBu_r", "norm": CenteredNorm()}
            panels.append(("outputs", self.outputs, style))
        self.figure_, axes = plt.subplots(
            len(panels),
            sharex=True,
            squeeze=False,
            layout="constrained",
            figsize=(7, 1.7 * len(panels)),
        )
        self.axes_ = axes[:, 0]
        for ax, (label, steps, style) in zip(self.axes_, panels, strict=True):
            image = ax.imshow(steps.T, aspect="auto", **style)
            ax.set_ylabel(label)
            ax.locator_params(integer=True)
            if rows is not None and label.endswith("row"):
                ax.yaxis.set_major_formatter(lambda place, _: _row_at(rows, place))
            self.figure_.colorbar(image, ax=ax)
        self.axes_[-1].set_xlabel("step")
        return self


def _rows_to_show(weightings: list[NDArray[np.float64]]) -> NDArray[np.intp] | None:
    """Return the rows that any head uses, or None for all rows of a small memory."""
    sizes = {weights.shape[1] for weights in weightings}
    if len(sizes) != 1 or sizes.pop() <= MOST_ROWS:
        return None
    used = np.max([weights.max(axis=0) for weights in weightings], axis=0) > LEAST_WEIGHT
    return np.flatnonzero(used) if used.any() else None


def _row_at(rows: NDArray[np.intp], place: float) -> str:
    """Return the number of the row that is drawn at a place, to label it."""
    index = round(place)
    return str(rows[index]) if 0 <= index < len(rows) else ""


def _take_heads(
    kind: str, weightings: dict[str, NDArray[np.float64]]
) -> NDArray[np.float64] | None:
    """Remove the weightings "<kind> 0", "<kind> 1" and so on, and stack them."""
    heads: list[NDArray[np.float64]] = []
    while (name := f"{kind} {len(heads)}") in weightings:
        heads.append(weightings.pop(name))
    return np.stack(heads, axis=1) if heads else None


def _as_batch(sequence: Any) -> Any:
    if hasattr(sequence, "to_frame"):  # a row of a data frame, with its columns' names
        return sequence.to_frame().T
    if is_frame(sequence):  # whose columns are matched by name
        return [sequence]
    array = np.asarray(as_numpy(sequence))
    if array.ndim > 2:
        raise ValueError(
            f"sequence has shape {array.shape}; give one sequence, such as X[0]"
        )
    return array[np.newaxis]


def _unwrap(estimator: Any, X: Any) -> tuple[Any, Any]:
    """Unwrap searches and pipelines, transforming X on the way."""
    if hasattr(estimator, "estimator"):
        check_is_fitted(estimator)
    if hasattr(estimator, "best_estimator_"):
        return _unwrap(estimator.best_estimator_, X)
    if isinstance(estimator, Pipeline):
        check_is_fitted(estimator)
        for _, step in estimator.steps[:-1]:
            if step not in (None, "passthrough"):
                X = step.transform(X)
        return _unwrap(estimator.steps[-1][1], X)
    return estimator, X


def _array(tensor: torch.Tensor) -> NDArray[np.float64]:
    return tensor[0].double().cpu().numpy()
