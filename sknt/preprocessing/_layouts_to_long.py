"""Sequences, and predictions for them, to long frames with one row for each step."""

from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from sknt.data.choices import check_choice
from sknt.data.sequences import (
    as_labels,
    as_numpy,
    is_list_of_sequences,
    padded_steps,
)
from sknt.preprocessing._layouts_data import (
    Columns,
    SequenceData,
    for_a_frame,
    names_of,
    one_or_list,
)
from sknt.preprocessing._layouts_frames import have_text, numbers_or_text, padded_frames


def to_long_frame(
    X: Any,
    y: Any = None,
    *,
    ids: Any = None,
    times: Any = None,
    id: str | list[str] | None = None,
    time: str | None = None,
    features: list[str] | None = None,
    target: str | list[str] | None = None,
    target_per: str | None = None,
    backend: str = "pandas",
) -> Any:
    """Turn sequences into a data frame with one row for each step.

    Parameters
    ----------
    X : SequenceData, array-like of shape (n_samples, n_timesteps, n_features), or list
        What :func:`from_long_frame` returned, or sequences as in ``fit``; data frames may
        have columns of text. Absent steps have no row, unless `times` has times for them.
    y : array-like or list, default=None
        Targets or predictions: one for each sequence, which its rows share, or one for
        each step. None takes those of a SequenceData.
    ids : array-like of shape (n_samples,), default=None
        Of each sequence; tuples for several columns. None takes those of a SequenceData,
        and otherwise counts from 0.
    times : list of array-like of shape (length_i,), default=None
        The times of each sequence's steps, or of its present ones.
    id : str or list of str, default=None
        Name of the column of ids. None takes that of a SequenceData, or "id".
    time : str, default=None
        Name of the column of times, by default "time". Without times there is no such
        column unless it is named here; then it counts the steps of X from 0.
    features : list of str, default=None
        Names of the features, by default "feature_0" and so on.
    target : str or list of str, default=None
        Name of the column of y, by default "target"; a list for several outputs.
    target_per : {"sequence", "step"}, default=None
        What has a target in y. None takes that of a SequenceData, or "sequence".
    backend : str, default="pandas"
        The library of the frame: "pandas", "polars" or "pyarrow", which has to be
        installed.

    Returns
    -------
    frame : data frame
        Columns of ids, times, features (floats, or text) and targets; sequences in turn.
        What is missing is NaN in pandas and null in other libraries. Nothing else changes
        from frame to sequences and back, apart from the order of the rows; but integers
        that have been padded are floats.

    Raises
    ------
    ValueError
        If ids, times, targets or names do not fit X, or a name is used twice.

    Examples
    --------
    >>> from sknt.preprocessing import to_long_frame
    >>> to_long_frame(
    ...     [[0.5, 1.5], [2.5]], ["up", "down"], ids=["b", "a"], features=["speed"]
    ... )
      id  speed target
    0  b    0.5     up
    1  b    1.5     up
    2  a    2.5   down

    Predictions beside the ids and times of the data, for polars:

    >>> import pandas as pd
    >>> from sknt.preprocessing import from_long_frame
    >>> events = pd.DataFrame({"id": [1, 1], "day": [2, 1], "pulse": [70.0, 60.0]})
    >>> data = from_long_frame(events, id="id", time="day")
    >>> to_long_frame(data, [0.25], target="risk", backend="polars").columns
    ['id', 'day', 'pulse', 'risk']
    """
    data = X if isinstance(X, SequenceData) else None
    old = data.columns if data else None
    per = target_per or (old.target_per if old and y is None else "sequence")
    check_choice("target_per", per, ("sequence", "step"))
    if data:
        X, y = data.X, data.y if y is None else y
        ids = data.ids if ids is None else ids
        times = data.times if times is None else times
    values, present = padded_frames(X) if have_text(X) else padded_steps(X)
    columns = Columns(
        _given(names_of(features) if features is not None else None, old, "features")
        or [f"feature_{feature}" for feature in range(values.shape[2])],
        _or(_given(one_or_list(id), old, "id"), "id"),
        _or(_given(time, old, "time"), None if times is None else "time"),
        _or(_given(one_or_list(target), old, "target"), "target"),
        time_zone=old.time_zone if old else None,
    )
    ids = range(len(values)) if ids is None else ids
    if len(ids) != len(values):
        raise ValueError(f"ids has {len(ids)} entries, but X has {len(values)} sequences")
    if len(columns.features) != values.shape[2]:
        raise ValueError(
            f"features has {len(columns.features)} names, but X has {values.shape[2]} "
            "features"
        )
    rows = present if times is None else _rows_with_times(present, times)
    counts = rows.sum(axis=1)
    found: dict[str, NDArray[Any]] = {}
    _add(found, names_of(columns.id), _repeated_ids(ids, columns.id, counts))
    if columns.time is not None:
        when = np.nonzero(rows)[1] if times is None else np.concatenate(_arrays(times))
        _add(found, [columns.time], [when])
    _add(found, columns.features, [numbers_or_text(own) for own in values[rows].T])
    if y is not None:
        targets = _targets_of_rows(y, rows, counts, per)
        outputs = [targets] if targets.ndim == 1 else list(targets.T)
        names = names_of(columns.target)
        if len(names) != len(outputs):
            names = [f"{names[0]}_{output}" for output in range(len(outputs))]
        _add(found, names, outputs)
    return _frame(found, columns, backend)


def _given(given: Any, old: Columns | None, name: str) -> Any:
    """Return what an argument names, or else what the columns of the data do."""
    return getattr(old, name, None) if given is None else given


def _or(name: Any, default: Any) -> Any:
    return default if name is None else name


def _add(found: dict[str, Any], names: list[str], columns: list[Any]) -> None:
    for name, column in zip(names, columns, strict=True):
        if name in found:
            raise ValueError(f"two columns would have the name {name!r}; rename one")
        found[name] = column


def _arrays(sequences: Any) -> list[NDArray[Any]]:
    return [np.asarray(as_numpy(sequence)) for sequence in sequences]


def _rows_with_times(present: NDArray[np.bool_], times: Any) -> NDArray[np.bool_]:
    """Return which steps have a time: the present ones, or all up to some step."""
    if len(times) != len(present):
        raise ValueError(f"times has {len(times)} entries, X {len(present)} sequences")
    rows = present.copy()
    for sample, (steps, own) in enumerate(zip(present, times, strict=True)):
        if len(own) == steps.sum():
            continue
        if len(own) > len(steps) or steps[len(own) :].any():
            raise ValueError(
                f"sample {sample} has {len(own)} times, but {steps.sum()} present steps"
            )
        rows[sample] = np.arange(len(steps)) < len(own)
    return rows


def _repeated_ids(ids: Any, id: Any, counts: NDArray[np.int64]) -> list[NDArray[Any]]:
    if isinstance(id, list) and len(id) > 1:
        if not all(isinstance(own, tuple) and len(own) == len(id) for own in ids):
            raise ValueError(
                f"ids must be tuples of {len(id)} values, one for each of {id}"
            )
        return [np.repeat(as_labels(list(part)), counts) for part in zip(*ids, strict=True)]
    return [np.repeat(as_labels(ids if hasattr(ids, "dtype") else list(ids)), counts)]


def _targets_of_rows(
    y: Any, rows: NDArray[np.bool_], counts: NDArray[np.int64], per: str
) -> NDArray[Any]:
    if len(y) != len(rows):
        raise ValueError(f"y has {len(y)} entries, but X has {len(rows)} sequences")
    if per == "sequence":
        targets = as_labels(y)
        if targets.ndim > 2:
            raise ValueError(
                f"y has shape {targets.shape}; for a target for each step, use "
                'target_per="step"'
            )
        return np.repeat(targets, counts, axis=0)
    if is_list_of_sequences(y):
        parts = []
        for sample, steps in enumerate(y):
            own = as_labels(steps)
            if len(own) not in (counts[sample], rows.shape[1]):
                raise ValueError(
                    f"sample {sample} of y has {len(own)} targets, but X has "
                    f"{counts[sample]} steps"
                )
            parts.append(own if len(own) == counts[sample] else own[rows[sample]])
        return np.concatenate(parts)
    targets = as_labels(y)
    if targets.shape[1:2] != rows.shape[1:]:
        raise ValueError(
            f"y has shape {targets.shape}, but X has {rows.shape[1]} steps; for a target "
            'for each sequence, use target_per="sequence"'
        )
    return targets[rows]


def _frame(found: dict[str, NDArray[Any]], columns: Columns, backend: Any) -> Any:
    data = {name: for_a_frame(values) for name, values in found.items()}
    frame = nw.from_dict(data, backend=backend)
    if columns.time_zone is not None and columns.time in data:
        when = nw.col(columns.time).dt.replace_time_zone("UTC")
        frame = frame.with_columns(when.dt.convert_time_zone(columns.time_zone))
    if backend != "pandas":
        floats = [name for name, values in found.items() if values.dtype.kind == "f"]
        frame = frame.with_columns(
            nw.when(~nw.col(name).is_nan()).then(nw.col(name)).alias(name)
            for name in floats
        )
    return frame.to_native()
