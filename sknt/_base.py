"""What both estimators share: parameters, checks of X and y, the fit, the outputs."""

import functools
from collections.abc import Callable, Iterator
from itertools import chain, islice
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, is_classifier
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted
from skorch.callbacks import EarlyStopping

from sknt._fitting import (
    TrainingData,
    canonical_data,
    make_net,
    split_off_validation,
    train,
)
from sknt._input import SequenceInputMixin
from sknt._optimizers import OPTIMIZERS
from sknt._runtime import single_threaded
from sknt._stream import chunks, is_stream, refuse_with_stream
from sknt._targets import check_targets
from sknt._training import SequenceNet
from sknt.callbacks import (
    Consolidation,
    EpochProgress,
    LengthCurriculum,
    ScikitLearnCallbacks,
    TrainingGuard,
    ValidationScore,
)
from sknt.memories import MEMORIES
from sknt.nn import BACKENDS, CONTROLLERS, gradient_norms
from sknt.sequences import Sequences, check_sequences

NESTED = ("memory_params", "net_params")
"""Dictionaries whose keys are parameters too: ``memory_params__shift_range``."""


FIXED = (
    "memory",
    "memory_size",
    "word_size",
    "n_read_heads",
    "n_write_heads",
    "controller",
    "hidden_size",
    "n_layers",
    "memory_params",
    "return_sequences",
    "optimizer",
    "device",
    "backend",
    "net_params",
)
"""Parameters that a fit which goes on from the last one cannot change."""


class SequenceEstimator(SequenceInputMixin, CallbackSupportMixin, BaseEstimator):
    """Base class of the estimators; they say how targets become numbers and back.

    A subclass has ``_encode_targets`` and ``_finish_targets``, which turn targets into
    numbers to train on, ``_criterion`` and ``_validation_score``.
    """

    net_: SequenceNet
    _criterion: Any
    _n_outputs: int
    _fitted_params: dict[str, Any]

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "memory": [StrOptions(set(MEMORIES)), None],
        "memory_size": [Interval(Integral, 1, None, closed="left")],
        "word_size": [Interval(Integral, 1, None, closed="left")],
        "n_read_heads": [Interval(Integral, 1, None, closed="left")],
        "n_write_heads": [Interval(Integral, 1, None, closed="left")],
        "controller": [StrOptions(set(CONTROLLERS))],
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "memory_params": [dict, None],
        "return_sequences": ["boolean"],
        "missing_target": [Real, str, None],
        "optimizer": [StrOptions(set(OPTIMIZERS))],
        # Beyond it the optimizers' own arithmetic overflows single precision.
        "learning_rate": [Interval(Real, 0, 1e30, closed="right")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "schedule": [StrOptions({"auto", "constant", "consolidate"})],
        "consolidation": [Interval(Real, 0, None, closed="neither")],
        "max_grad_norm": [
            Interval(Real, 0, None, closed="neither"),
            StrOptions({"auto"}),
            None,
        ],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "device": [str, torch.device],
        "backend": [StrOptions(set(BACKENDS))],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "net_params": [dict, None],
    }

    def __init__(
        self,
        memory,
        memory_size,
        word_size,
        n_read_heads,
        n_write_heads,
        controller,
        hidden_size,
        n_layers,
        memory_params,
        return_sequences,
        missing_target,
        optimizer,
        learning_rate,
        max_epochs,
        batch_size,
        schedule,
        consolidation,
        max_grad_norm,
        early_stopping,
        validation_fraction,
        n_iter_no_change,
        tol,
        warm_start,
        device,
        backend,
        random_state,
        verbose,
        net_params,
    ):
        self.memory = memory
        self.memory_size = memory_size
        self.word_size = word_size
        self.n_read_heads = n_read_heads
        self.n_write_heads = n_write_heads
        self.controller = controller
        self.hidden_size = hidden_size
        self.n_layers = n_layers
        self.memory_params = memory_params
        self.return_sequences = return_sequences
        self.missing_target = missing_target
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.schedule = schedule
        self.consolidation = consolidation
        self.max_grad_norm = max_grad_norm
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.device = device
        self.backend = backend
        self.random_state = random_state
        self.verbose = verbose
        self.net_params = net_params

    # Parameters

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters, those inside memory_params and net_params too.

        Parameters
        ----------
        deep : bool, default=True
            Whether to list the entries of the two dictionaries as
            ``memory_params__<name>`` and ``net_params__<name>``.

        Returns
        -------
        params : dict
        """
        params = super().get_params(deep=deep)
        if deep:
            for name in NESTED:
                entries = getattr(self, name)
                if isinstance(entries, dict):
                    params |= {f"{name}__{key}": v for key, v in entries.items()}
        return params

    def set_params(self, **params: Any) -> "SequenceEstimator":
        """Set parameters, those inside memory_params and net_params too.

        Parameters
        ----------
        **params : dict
            ``memory_params__shift_range=2`` sets one entry in a new dictionary, which
            is how a grid search reaches it.

        Returns
        -------
        self : estimator
        """
        plain = {k: v for k, v in params.items() if k.split("__")[0] not in NESTED}
        plain |= {name: params[name] for name in NESTED if name in params}
        super().set_params(**plain)
        for name in NESTED:
            prefix = f"{name}__"
            entries = {
                key.removeprefix(prefix): value
                for key, value in params.items()
                if key.startswith(prefix)
            }
            if entries:
                present = getattr(self, name)
                if not isinstance(present, dict | None):
                    raise ValueError(
                        f"{name}={present!r} is no dictionary, so {sorted(entries)} cannot "
                        "be set in it"
                    )
                setattr(self, name, {**(present or {}), **entries})
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags

    # Data

    def _check_X(self, X: Any, *, reset: bool) -> Sequences:
        """Check sequences; with ``reset``, remember their number of features."""
        sequences = check_sequences(self._validate_X(X, reset=reset))
        self._check_n_inputs(sequences.values.shape[2], reset=reset)
        return sequences

    def _check_y(
        self, y: Any, sequences: Sequences, *, per_step: bool
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Bring targets into the layout of X, and tell which entries hold one."""
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the "
                "target y is None"
            )
        return check_targets(
            y,
            sequences.present,
            per_step=per_step,
            missing_target=self.missing_target,
        )

    @staticmethod
    def _check_same_shape(y: NDArray[Any], predicted: NDArray[Any]) -> None:
        if y.shape != predicted.shape:
            raise ValueError(
                f"y has shape {y.shape}, but predictions have shape {predicted.shape}"
            )

    # Fit

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        *,
        partial: bool = False,
        context: Any = None,
        classes: Any = None,
    ) -> "SequenceEstimator":
        """Fit; with ``partial``, do one epoch from where the last call ended."""
        goes_on = hasattr(self, "net_") and (partial or self.warm_start)
        n_epochs = 1 if partial else self.max_epochs
        before = self.__dict__.copy()
        streams = is_stream(X) and not partial
        try:
            if goes_on:
                self._check_unchanged()
            rng = check_random_state(self.random_state)
            seeds = rng.randint(2**31 - 1, size=3).tolist()
            rest: Iterator[Any] = iter(())
            if streams:
                self._check_stream(y, sample_weight)
                rest = chunks(X, seeds[2], self._progress(goes_on))
                first = next(rest, None)
                if first is None:
                    raise ValueError("the stream is empty; nothing to train on")
                data, groups = self._training_data(*first, reset=not goes_on)
            else:
                data, groups = self._training_data(
                    X, y, sample_weight, reset=not goes_on, partial=partial, classes=classes
                )
            if not goes_on:
                self.net_ = self._make_net(*seeds[:2])
                self.net_.chance_loss_ = self._chance_loss(data)
                self._fitted_params = {name: getattr(self, name) for name in FIXED}
            held_out = None
            if self.early_stopping and not partial:
                data, held_out = split_off_validation(
                    data, groups, self.validation_fraction, seeds[2]
                )
            parts: Any = [(data, n_epochs)]
            if streams:
                more = (self._training_data(*chunk, reset=False)[0] for chunk in rest)
                parts = ((part, 1) for part in islice(chain([data], more), n_epochs))
            callbacks = self._make_callbacks(n_epochs, held_out)
            stoppers = self._make_stoppers(held_out, context, X, y)
            consolidates = self._schedule() == "consolidate"
            if consolidates:
                n_planned = None if partial else n_epochs * len(data.lengths)
                stoppers.insert(
                    0, Consolidation(n_planned, self.consolidation, stops=not partial)
                )
            train(
                self.net_,
                parts,
                held_out,
                learning_rate=self.learning_rate,
                constant_rate=not consolidates,
                batch_size=self._batch_size(),
                callbacks=callbacks,
                stoppers=stoppers,
            )
            self.history_ = [
                {name: value for name, value in epoch.items() if name != "batches"}
                for epoch in self.net_.history.to_list()
            ]
            self.n_iter_ = sum(epoch["epoch"] > 0 for epoch in self.history_)
            self.backend_ = self.net_.backend
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise
        return self

    def _check_stream(self, y: Any, sample_weight: Any) -> None:
        balanced = getattr(self, "class_weight", None) == "balanced"
        refuse_with_stream(
            **{
                "y": y is not None,
                "sample_weight": sample_weight is not None,
                "early_stopping=True": self.early_stopping,
                "class_weight='balanced'": balanced,
            }
        )

    def _progress(self, goes_on: bool) -> Callable[[], tuple[int, dict[str, Any]]]:
        """Return a function for what a stream depends on: how much was shown, and how.

        Until there is a net, a curriculum among the callbacks tells its first length.
        """
        before = self.net_ if hasattr(self, "net_") and not goes_on else None
        callbacks = (self.net_params or {}).get("callbacks") or []
        callbacks = [c[1] if isinstance(c, tuple) else c for c in callbacks]
        first = {c.parameter: c.start for c in callbacks if isinstance(c, LengthCurriculum)}

        def progress() -> tuple[int, dict[str, Any]]:
            net: Any = getattr(self, "net_", None)
            if net is before:  # that of an earlier fit, or none
                return 0, first
            return net.schedule_.n_sequences, first | net.stream_params_

        return progress

    def _schedule(self) -> str:
        """Return the schedule that "auto" stands for."""
        if self.schedule != "auto":
            return self.schedule
        learns_steps = is_classifier(self) and self.return_sequences
        return "consolidate" if learns_steps else "constant"

    def _batch_size(self) -> int:
        """Return the size that "auto" stands for."""
        if self.batch_size == "auto":
            return 4 if self.return_sequences else 16
        return self.batch_size

    def _clip(self) -> float | None:
        """Return the norm that "auto" stands for."""
        if self.max_grad_norm == "auto":
            return 1.5 if self.return_sequences else 3.0
        return self.max_grad_norm

    def _check_unchanged(self) -> None:
        changed = [n for n in FIXED if getattr(self, n) != self._fitted_params[n]]
        if changed:
            raise ValueError(
                f"{', '.join(changed)} changed since the last fit, from which warm_start "
                "and partial_fit go on; use warm_start=False or a clone to start anew"
            )

    def _training_data(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        reset: bool,
        partial: bool = False,
        classes: Any = None,
    ) -> tuple[TrainingData, NDArray[np.int64]]:
        """Check and encode what fit was given; also return the groups of equal rows."""
        sequences = self._check_X(X, reset=reset)
        y, valid = self._check_y(y, sequences, per_step=self.return_sequences)
        sample_weight = _check_sample_weight(
            sample_weight, sequences.values, ensure_non_negative=True
        )
        targets, valid = self._encode_targets(
            y, valid, reset=reset, partial=partial, classes=classes
        )
        if self.return_sequences:
            targets, valid = sequences.pack(targets), sequences.pack(valid)
        data, groups = canonical_data(
            TrainingData(
                sequences.values, sequences.lengths, targets, valid.astype(np.float64)
            ),
            sample_weight,
        )
        return self._finish_targets(data, reset=reset, partial=partial), groups

    def _make_net(self, init_seed: int, shuffle_seed: int) -> SequenceNet:
        network_params = {
            "n_inputs": self._n_inputs,
            "n_outputs": self._n_outputs,
            "memory": self.memory,
            "memory_size": self.memory_size,
            "word_size": self.word_size,
            "n_read_heads": self.n_read_heads,
            "n_write_heads": self.n_write_heads,
            "controller": self.controller,
            "hidden_size": self.hidden_size,
            "n_layers": self.n_layers,
            "memory_params": self.memory_params,
            "backend": self.backend,
        }
        return make_net(
            network_params,
            self.net_params,
            optimizer=self.optimizer,
            max_grad_norm=self._clip(),
            init_seed=init_seed,
            shuffle_seed=shuffle_seed,
            criterion=self._criterion,
            per_step=self.return_sequences,
            lr=self.learning_rate,
            batch_size=self._batch_size(),
            device=self.device,
        )

    def _make_callbacks(self, n_epochs: int, held_out: Any) -> list[Any]:
        """Return what looks after a training, in the order in which it is called."""
        callbacks: list[Any] = []
        if held_out is not None or self.net_.train_split:
            callbacks.append(ValidationScore(self._validation_score))
        callbacks.append(
            TrainingGuard(
                self._clip(),
                functools.partial(gradient_norms, self.net_.module_),
                restore_best=held_out is not None,
            )
        )
        if self.verbose:
            callbacks.append(EpochProgress(n_epochs, type(self).__name__))
        return callbacks

    def _make_stoppers(self, held_out: Any, context: Any, X: Any, y: Any) -> list[Any]:
        """Return what may end a training."""
        stoppers: list[Any] = []
        if context is not None:
            stoppers.append(self._scikit_learn_callbacks(context, X, y))
        if held_out is not None:
            stopping = EarlyStopping(
                monitor="valid_score",
                patience=self.n_iter_no_change,
                threshold=self.tol,
                threshold_mode="abs",
                lower_is_better=False,
            )
            stoppers.append(stopping)
        return stoppers

    def _scikit_learn_callbacks(self, context: Any, X: Any, y: Any) -> ScikitLearnCallbacks:
        def begin() -> Any:
            epoch = context.subcontext(task_name="epoch")
            return epoch.call_on_fit_task_begin(estimator=self, X=X, y=y)

        def end(epoch: Any) -> bool:
            # A copy of the estimator can predict as it is: the net is there already.
            return epoch.call_on_fit_task_end(
                estimator=self, X=X, y=y, reconstruction_attributes=dict
            )

        return ScikitLearnCallbacks(begin, end)

    def _begin_callbacks(self, X: Any, y: Any) -> Any:
        context = self._init_callback_context(max_subtasks=self.max_epochs)
        return context.call_on_fit_task_begin(estimator=self, X=X, y=y)

    # Prediction

    def _outputs(self, X: Any) -> tuple[Sequences, NDArray[np.float64]]:
        """Return the checked sequences and the network's outputs, packed."""
        check_is_fitted(self)
        sequences = self._check_X(X, reset=False)
        with single_threaded():
            outputs = self.net_.predict_outputs(sequences.values, sequences.lengths)
        return sequences, outputs

    def _like_X(
        self, packed: NDArray[Any], sequences: Sequences, fill: Any = np.nan
    ) -> NDArray[Any]:
        """Lay packed outputs out like X; outputs a sequence stay as they are."""
        return sequences.unpack(packed, fill) if self.net_.per_step else packed
