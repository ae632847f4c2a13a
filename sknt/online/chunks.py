"""What a session takes: one step or a chunk of steps, of one or of several sequences."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sknt.data.arrays import is_list
from sknt.data.frames import column_names, is_frame
from sknt.data.padding import pad_sequences
from sknt.data.reading import readable
from sknt.data.sequences import FLOAT32_MAX, step_mask
from sknt.training.scaling import Scaling

Place = tuple[Any, ...]
"""What selects, of arrays (n_sequences, n_timesteps, ...), the axes that were given."""


class Chunk(NamedTuple):
    """Checked and scaled steps of all sequences of a session."""

    values: NDArray[np.float64]  # (n_sequences, longest, n_features), packed to the left
    lengths: NDArray[np.int64]  # (n_sequences,), 0 for a sequence without a step
    present: NDArray[np.bool_]  # (n_sequences, n_timesteps), of the steps as given
    place: Place


class ChunkReader(NamedTuple):
    """Checks what a session is given, as its estimator checks X.

    Attributes
    ----------
    n_features : int
        Per step.
    names : tuple of str or None
        Of the features, if they are known.
    scaling : Scaling or None
        None leaves features as they are.
    n_sequences : int or None
        None is one sequence without an axis for it.
    """

    n_features: int
    names: tuple[str, ...] | None
    scaling: Scaling | None
    n_sequences: int | None

    def read(self, x: Any) -> Chunk:
        """Check and scale one step or a chunk of steps.

        Raises
        ------
        TypeError
            If x is a container of a kind that is not read as steps.
        ValueError
            If x is not numeric or of another shape, has other columns than the frames in
            fit, an infinite value, or a step that is partly NaN.
        """
        values, place = self._shape(self._as_floats(x))
        present = np.ones(values.shape[:2], bool)
        lengths = np.full(len(values), values.shape[1])
        if not (np.abs(values) <= FLOAT32_MAX).all():
            present = self._find_present(values, place)
            lengths = present.sum(axis=1)
            packed = np.zeros((len(values), lengths.max(), self.n_features))
            packed[np.arange(packed.shape[1]) < lengths[:, np.newaxis]] = values[present]
            values = packed
        if self.scaling is not None and values.shape[1]:
            values = self.scaling.apply(values)
            values[~step_mask(lengths)] = 0
        return Chunk(values, lengths, present, place)

    def _as_floats(self, x: Any) -> NDArray[np.float64]:
        if not isinstance(x, np.ndarray) or isinstance(x, np.ma.MaskedArray):
            self._check_names(x)
            if is_list(x) and any(np.ndim(part) == 2 for part in x):
                x = pad_sequences(x)
            x = readable(x)
        array = np.asarray(x)
        if array.dtype.kind not in "biufO":
            raise ValueError(f"x is not numeric: it is of dtype {array.dtype}")
        try:
            return array.astype(np.float64)
        except (OverflowError, TypeError, ValueError) as error:
            raise ValueError(f"x is not numeric: {error}") from error

    def _check_names(self, x: Any) -> None:
        """Refuse frames, and rows of frames, whose columns are not those in fit."""
        if self.names is None:
            return
        if is_list(x):
            for part in x:
                self._check_names(part)
            return
        index: Any = getattr(x, "index", None)  # that of a row: pandas' Series
        if is_frame(x):
            found = tuple(column_names(x))
        elif index is None or callable(index):
            return
        else:
            found = tuple(index)
        if found != self.names and all(isinstance(name, str) for name in found):
            raise ValueError(
                f"x has the columns {list(found)}, but those in fit were "
                f"{list(self.names)}; give the same ones in the same order"
            )

    def _shape(self, x: NDArray[np.float64]) -> tuple[NDArray[np.float64], Place]:
        """Return x with all three axes, and what selects those that it had."""
        f, n = self.n_features, self.n_sequences
        if f == 1 and x.ndim == (0 if n is None else 1) and x.size == (n or 1):
            x = x[..., np.newaxis]  # a number is a step of one feature
        if n is None:
            if x.shape == (f,):
                return x[np.newaxis, np.newaxis], (0, 0)
            if x.ndim == 2 and x.shape[1] == f:
                return x[np.newaxis], (0,)
            expected = f"({f},) for one step or (n_steps, {f}) for a chunk"
        else:
            if x.shape == (n, f):
                return x[:, np.newaxis], (slice(None), 0)
            if x.ndim == 3 and x.shape[::2] == (n, f):
                return x, ()
            expected = f"({n}, {f}) for one step of each sequence, or ({n}, n_steps, {f})"
        raise ValueError(
            f"x has shape {x.shape}; expected {expected}: {f} feature(s) per step, as in "
            f"fit, and {'one sequence' if n is None else f'{n} sequences'}, as in start"
        )

    def _find_present(self, values: NDArray[np.float64], place: Place) -> NDArray[np.bool_]:
        """Return which steps are present, and refuse those that cannot be taken."""
        missing = np.isnan(values)
        present = np.asarray(~missing.all(axis=2))
        too_large = np.abs(values) > FLOAT32_MAX
        if too_large.any():
            *where, feature = np.argwhere(too_large)[0].tolist()
            raise ValueError(
                "x contains infinity or a value too large for float32: "
                f"{_describe(where, place)}feature {feature}. Clip or scale the data"
            )
        partly = present & missing.any(axis=2)
        if partly.any():
            where = np.argwhere(partly)[0].tolist()
            features = np.flatnonzero(missing[tuple(where)]).tolist()
            raise ValueError(
                f"x contains NaN in part of a step: {_describe(where, place)}feature(s) "
                f"{features}. A step that is all NaN is absent; fill other gaps"
            )
        return present


def _describe(where: list[int], place: Place) -> str:
    """Name a sequence and a step, unless there is only one."""
    sequence = "" if place[:1] == (0,) else f"sequence {where[0]}, "
    step = "" if len(place) == 2 else f"step {where[1]} of the chunk, "
    return sequence + step
