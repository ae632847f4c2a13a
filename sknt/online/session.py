"""Sessions: an estimator's outputs for sequences that arrive step by step."""

import copy
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from sknt.data.sequences import Layout, step_mask
from sknt.online.chunks import Chunk, ChunkReader, Place
from sknt.online.network import OnlineNetwork, OnlineState

Own = TypeVar("Own", bound="Session")


class _Taken(NamedTuple):
    """Where a session is. It is replaced as a whole, and nothing in it ever changes."""

    state: OnlineState
    last: tuple[Chunk, NDArray[np.float64]] | None  # what was taken last, and its outputs


class Session:
    """Sequences in progress: each call takes the next steps and gives their outputs.

    Made by an estimator's ``start``. The outputs are those of the estimator's own methods
    for the whole sequences, however these are divided into steps and chunks: the same to
    the bit where the kernels run, and up to rounding in double precision otherwise. With
    one target per sequence they are the outputs that there would be if the sequences ended
    now.

    A session keeps the weights and the scaling that the estimator had when it was started;
    fitting the estimator again does not change it. A call that fails, or is interrupted,
    takes no step.

    Attributes
    ----------
    n_steps : int or ndarray of shape (n_sequences,)
        Number of steps taken so far; absent ones do not count.
    backend : {"fused", "reference"}
        Path that takes the next step. A session whose numbers overflow in the kernels goes
        on in double precision on the reference path.
    """

    def __init__(
        self,
        network: OnlineNetwork,
        reader: ChunkReader,
        meaning: Any,
        *,
        per_step: bool,
        missing_target: Any,
    ):
        self._network, self._reader, self._meaning = network, reader, meaning
        self._per_step, self._missing_target = per_step, missing_target
        self._taken = _Taken(network.start(reader.n_sequences or 1), None)

    def predict(self, x: Any = None) -> Any:
        """Take the next steps and predict.

        Parameters
        ----------
        x : array-like or None, default=None
            One step of shape (n_features,), or a chunk of shape (n_steps, n_features). In
            a session of several sequences, of shape (n_sequences, n_features) or
            (n_sequences, n_steps, n_features), or a list of a chunk for each. A step
            that is all NaN is absent: the sequence has none, and stays as it is. A frame,
            or a row of one, needs the columns of fit.
            None takes no step: the result is that of the steps taken last.

        Returns
        -------
        y : ndarray, or a label or number
            As the estimator's ``predict`` gives it, without the axes that x does not have:
            with a target for each step, of shape (), (n_steps,), (n_sequences,) or
            (n_sequences, n_steps); with one target per sequence, of shape () or
            (n_sequences,); with several outputs, followed by (n_outputs,).
            `missing_target` at absent steps, and for sequences without any step so far.

        Raises
        ------
        ValueError
            If x is None before the first call, or of another shape, not numeric, infinite
            or partly NaN; the session is then left as it was.
        """
        return self._outputs(x, self._meaning.predict, self._missing_target)

    def copy(self: Own) -> Own:
        """Return a session that goes on from here, independently of this one."""
        return copy.copy(self)

    def reset(self, sequences: Any = None) -> None:
        """Start anew, with the weights that the session has.

        Parameters
        ----------
        sequences : array-like of int or bool or None, default=None
            Which of the sequences begin anew, as numbers or as a mask; None is all.

        Raises
        ------
        IndexError
            If there is no such sequence.
        """
        n = self._reader.n_sequences or 1
        which = np.arange(n)
        if sequences is not None:
            chosen = np.atleast_1d(np.asarray(sequences))
            if not chosen.size:
                return
            which = np.unique(which[chosen])
        state = self._network.start(n)
        if len(which) < n:
            state = self._network.reset(self._taken.state, which)
        self._taken = _Taken(state, None)

    @property
    def n_steps(self) -> Any:
        """Number of steps taken so far."""
        n_steps = self._taken.state.n_steps
        return int(n_steps[0]) if self._reader.n_sequences is None else n_steps.copy()

    @property
    def backend(self) -> str:
        """Path that takes the next step."""
        in_kernels = self._network.runs_in_kernels(self._taken.state)
        return "fused" if in_kernels else "reference"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} after n_steps={self.n_steps}>"

    def __getstate__(self) -> dict[str, Any]:
        """Return what is kept in files: the kernels' layout of a state is not."""
        state, last = self._taken
        in_kernels = self._network.runs_in_kernels(state)
        taken = self._network.named(state), in_kernels, last
        return {**self.__dict__, "_taken": taken}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        named, in_kernels, last = kept["_taken"]
        state = kept["_network"].adopted(named, in_kernels=in_kernels)
        self.__dict__.update(kept, _taken=_Taken(state, last))

    def __copy__(self: Own) -> Own:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)  # nothing in it is ever changed in place
        return other

    def _outputs(self, x: Any, meaning: Any, fill: Any) -> Any:
        """Take steps, and return what their outputs mean, laid out like x."""
        taken = self._taken
        if x is not None:
            chunk = self._reader.read(x)
            outputs, state = self._network.advance(chunk.values, chunk.lengths, taken.state)
            taken = _Taken(state, (chunk, outputs))
        if taken.last is None:
            raise ValueError("no step has been taken yet; give x, the next step or chunk")
        chunk, outputs = taken.last
        if self._per_step:
            result = _lay_out(meaning(outputs), chunk.lengths, chunk.present, fill)
        else:
            has_begun = taken.state.n_steps[:, np.newaxis] > 0
            lengths = has_begun[:, 0].astype(np.int64)
            result = _lay_out(meaning(outputs[:, np.newaxis]), lengths, has_begun, fill)
        result = result[chunk.place if self._per_step else _of_last(chunk.place)]
        self._taken = taken  # only now: an error or an interrupt before takes no step
        return result


class ClassifierSession(Session):
    """A session of a classifier."""

    def predict_proba(self, x: Any = None) -> NDArray[np.float64]:
        """Take the next steps and give probabilities.

        Parameters
        ----------
        x : array-like or None, default=None
            As in `predict`.

        Returns
        -------
        probabilities : ndarray of shape (..., n_classes)
            In the order of ``classes_``, with the axes of `predict` before them; NaN at
            absent steps.
        """
        return self._outputs(x, self._meaning.predict_proba, np.nan)

    def decision_function(self, x: Any = None) -> NDArray[np.float64]:
        """Take the next steps and give the logits.

        Parameters
        ----------
        x : array-like or None, default=None
            As in `predict`.

        Returns
        -------
        scores : ndarray of shape (...) for two classes, otherwise (..., n_classes)
            As the classifier's ``decision_function`` gives them, with the axes of
            `predict` before them; NaN at absent steps.
        """
        return self._outputs(x, self._meaning.decision_function, np.nan)


def _lay_out(
    packed: NDArray[Any], lengths: NDArray[np.int64], present: NDArray[np.bool_], fill: Any
) -> NDArray[Any]:
    """Lay packed results out like what was given, as the estimators do."""
    if present.all():
        return packed.copy()  # the caller may change it
    steps = packed[:, : lengths.max()][step_mask(lengths)]
    return Layout.of(present).unpack(steps, fill)


def _of_last(place: Place) -> Place:
    """Return what selects the axes of outputs (n_sequences, 1, ...) of sequences."""
    return (0, 0) if place[:1] == (0,) else (slice(None), 0)
