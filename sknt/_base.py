"""What both estimators share: checks of X and y, the fit, the outputs."""

import functools
from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, is_classifier
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import EarlyStopping
from torch.utils.data import Dataset

from sknt._parameters import SequenceParameters
from sknt._private import check_sample_weight
from sknt._runtime import single_threaded
from sknt.data.inputs import SequenceInputMixin
from sknt.data.sequences import Sequences, as_numpy, check_sequences
from sknt.data.streams import chunks, is_stream, refuse_with_stream
from sknt.data.targets import check_targets
from sknt.nn import gradient_norms
from sknt.training.building import make_net
from sknt.training.curriculum import LengthCurriculum
from sknt.training.data import TrainingData, canonical_data, split_off_validation
from sknt.training.epochs import (
    EndWhenLearned,
    EpochProgress,
    EpochRecord,
    ScikitLearnCallbacks,
    ValidationScore,
)
from sknt.training.guard import TrainingGuard
from sknt.training.loop import train, transaction
from sknt.training.net import SequenceNet
from sknt.training.progress import Plan

NESTED = ("memory_params", "net_params")
"""Dictionaries whose keys are parameters too: ``memory_params__shift_range``."""


class SequenceEstimator(
    SequenceParameters, SequenceInputMixin, CallbackSupportMixin, BaseEstimator
):
    """Base class of the estimators, which encode their targets as numbers.

    A subclass defines ``_encode_targets``, which turns targets into numbers to train on,
    ``_chance_loss``, ``_criterion`` and ``_validation_score``. It may override
    ``_scale_targets`` and ``_weigh_targets``, which see the targets of all rows trained on.
    """

    net_: SequenceNet
    _n_outputs: int
    _fitted_params: dict[str, Any]

    # Parameters

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters, including those inside memory_params and net_params.

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
        """Set parameters, including those inside memory_params and net_params.

        Parameters
        ----------
        **params : dict
            ``memory_params__shift_range=2`` sets one entry in a copy of the dictionary,
            as a grid search does.

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
                        f"{name}={present!r} is not a dictionary, so {sorted(entries)} "
                        "cannot be set in it"
                    )
                setattr(self, name, {**(present or {}), **entries})
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags

    def _schedule(self) -> str:
        """Return the schedule, with "auto" resolved."""
        if self.schedule != "auto":
            return self.schedule
        learns_steps = is_classifier(self) and self.return_sequences
        return "consolidate" if learns_steps else "constant"

    def _batch_size(self) -> int:
        """Return the batch size, with "auto" resolved."""
        if isinstance(self.batch_size, str):
            return 4 if self.return_sequences else 16
        return self.batch_size

    def _clip(self) -> float | None:
        """Return the largest gradient norm, with "auto" resolved."""
        if isinstance(self.max_grad_norm, str):
            return 1.5 if self.return_sequences else 3.0
        return self.max_grad_norm

    def _fixed_params(self) -> dict[str, Any]:
        fixed = (name for name, p in self._parameters.items() if p.fixed)
        return {name: getattr(self, name) for name in fixed}

    def _network_params(self) -> dict[str, Any]:
        own = (name for name, p in self._parameters.items() if p.network)
        sizes = {"n_inputs": self._n_inputs, "n_outputs": self._n_outputs}
        return sizes | {name: getattr(self, name) for name in own}

    # Data

    def _check_sequences(self, X: Any, *, reset: bool) -> Sequences:
        """Check sequences; with ``reset``, remember their number of features."""
        sequences = check_sequences(self._validate_table(X, reset=reset))
        self._check_n_inputs(sequences.values.shape[2], reset=reset)
        return sequences

    def _check_y(
        self, y: Any, sequences: Sequences, *, per_step: bool
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Lay targets out like X, and return which entries hold one."""
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
        """Check and encode the arguments of fit; also return the groups of equal rows."""
        sequences = self._check_sequences(X, reset=reset)
        y, valid = self._check_y(y, sequences, per_step=self.return_sequences)
        sample_weight = check_sample_weight(
            as_numpy(sample_weight), sequences.values, ensure_non_negative=True
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
        data = self._scale_targets(data, reset=reset, partial=partial)
        return self._weigh_targets(data), groups

    def _encode_targets(
        self,
        y: NDArray[Any],
        valid: NDArray[np.bool_],
        *,
        reset: bool,
        partial: bool,
        classes: Any,
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        raise NotImplementedError

    def _scale_targets(
        self, data: TrainingData, *, reset: bool, partial: bool
    ) -> TrainingData:
        """Return the data with targets in the units that are learned."""
        return data

    def _weigh_targets(self, data: TrainingData) -> TrainingData:
        """Return the data with all factors of a target's weight multiplied in."""
        return data

    def _encode_dataset(self, dataset: Dataset) -> Dataset:
        """Turn a data set of pairs (X, y), such as skorch's, into packed sequences."""
        samples = [dataset[i] for i in range(len(dataset))]  # type: ignore[arg-type]
        X, y = zip(*samples, strict=True)
        data, _ = self._training_data(list(X), list(y), reset=False)
        return data.dataset(self.return_sequences)

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
        """Fit; with ``partial``, train for one epoch, continuing from the last call."""
        continues = hasattr(self, "net_") and (partial or self.warm_start)
        n_epochs = 1 if partial else self.max_epochs
        streams = is_stream(X) and not partial
        # Train even where the caller has set torch.inference_mode() or the like.
        net = self.net_ if continues else None
        with torch.inference_mode(False), torch.enable_grad(), transaction(self, net):
            if continues:
                self._check_unchanged()
            else:
                self.__dict__.pop("net_", None)
            rng = check_random_state(self.random_state)
            seeds = rng.randint(2**31 - 1, size=3).tolist()
            rest: Iterator[Any] = iter(())
            options = {"reset": not continues, "partial": partial, "classes": classes}
            if streams:
                self._check_stream(y, sample_weight)
                rest = chunks(X, seeds[2], self._stream_state())
                first = next(rest, None)
                if first is None:
                    raise ValueError("the stream is empty; nothing to train on")
                data, groups = self._training_data(*first, **options)
            else:
                data, groups = self._training_data(X, y, sample_weight, **options)
            if not continues:
                self.net_ = self._make_net(*seeds[:2])
                self.net_.chance_loss_ = self._chance_loss(data)
                self._fitted_params = self._fixed_params()
            held_out = None
            if self.early_stopping and not partial:
                data, held_out = split_off_validation(
                    data, groups, self.validation_fraction, seeds[2]
                )
            parts: Any = [(data, n_epochs)]
            if streams:
                more = (self._training_data(*chunk, reset=False)[0] for chunk in rest)
                parts = ((part, 1) for part in islice(chain([data], more), n_epochs))
            validates = held_out is not None or bool(self.net_.train_split)
            train(
                self.net_,
                parts,
                held_out and held_out.dataset(self.return_sequences),
                plan=self._plan(None if partial else n_epochs * len(data.lengths)),
                encode=self._encode_dataset,
                learning_rate=self.learning_rate,
                batch_size=self._batch_size(),
                callbacks=self._make_callbacks(n_epochs, validates, held_out is not None),
                stoppers=self._make_stoppers(partial, held_out is not None, context, X, y),
            )
            self.history_ = self.net_.epoch_records()
            self.n_iter_ = sum(epoch["epoch"] > 0 for epoch in self.history_)
            self.backend_ = self.net_.backend
        return self

    def _check_unchanged(self) -> None:
        fitted = self._fitted_params
        changed = [n for n, value in self._fixed_params().items() if value != fitted[n]]
        if changed:
            raise ValueError(
                f"{', '.join(changed)} changed since the last fit, from which warm_start "
                "and partial_fit continue; use warm_start=False or a clone to start anew"
            )

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

    def _stream_state(self) -> Callable[[], tuple[int, dict[str, Any]]]:
        """Return a function for what a stream depends on: sequences seen, and arguments.

        Until there is a net, the arguments are the first lengths of any curricula among
        the callbacks.
        """
        callbacks = (self.net_params or {}).get("callbacks") or []
        callbacks = [c[1] if isinstance(c, tuple) else c for c in callbacks]
        first = {c.parameter: c.start for c in callbacks if isinstance(c, LengthCurriculum)}

        def state() -> tuple[int, dict[str, Any]]:
            if not hasattr(self, "net_"):
                return 0, first
            return self.net_.progress_.n_sequences, first | self.net_.stream_params_

        return state

    def _make_net(self, init_seed: int, shuffle_seed: int) -> SequenceNet:
        return make_net(
            self._network_params(),
            self.net_params,
            optimizer=self.optimizer,
            max_grad_norm=self._clip(),
            init_seed=init_seed,
            shuffle_seed=shuffle_seed,
            criterion=self._criterion(),
            per_step=self.return_sequences,
            lr=self.learning_rate,
            batch_size=self._batch_size(),
            device=self.device,
        )

    def _plan(self, n_planned: int | None) -> Plan:
        return Plan(
            consolidates=self._schedule() == "consolidate",
            duration=self.consolidation,
            n_first=self.net_.progress_.n_sequences,
            n_planned=n_planned,
        )

    def _make_callbacks(
        self, n_epochs: int, validates: bool, restore_best: bool
    ) -> list[Any]:
        """Return the callbacks that accompany training, in the order of their calls."""
        norms = functools.partial(gradient_norms, self.net_.module_)
        callbacks: list[Any] = [
            EpochRecord(),
            TrainingGuard(self._clip(), norms, restore_best=restore_best),
        ]
        if validates:
            callbacks.insert(0, ValidationScore(self._validation_score))
        if self.verbose:
            callbacks.append(EpochProgress(n_epochs, type(self).__name__))
        return callbacks

    def _make_stoppers(
        self, partial: bool, stops_early: bool, context: Any, X: Any, y: Any
    ) -> list[Any]:
        """Return the callbacks that may end training."""
        stoppers: list[Any] = []
        if self._schedule() == "consolidate" and not partial:
            stoppers.append(EndWhenLearned())
        if context is not None:
            stoppers.append(self._scikit_learn_callbacks(context, X, y))
        if stops_early:
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
            # The net exists already, so a copy of the estimator can predict as it is.
            return epoch.call_on_fit_task_end(
                estimator=self, X=X, y=y, reconstruction_attributes=dict
            )

        return ScikitLearnCallbacks(begin, end)

    def _begin_callbacks(self, X: Any, y: Any) -> Any:
        context = self._init_callback_context(max_subtasks=self.max_epochs)
        return context.call_on_fit_task_begin(estimator=self, X=X, y=y)

    # Prediction

    def _predict_outputs(self, X: Any) -> tuple[Sequences, NDArray[np.float64]]:
        """Return the checked sequences and the network's outputs, packed."""
        check_is_fitted(self)
        sequences = self._check_sequences(X, reset=False)
        with single_threaded():
            outputs = self.net_.predict_outputs(sequences.values, sequences.lengths)
        return sequences, outputs

    def _like_X(
        self, packed: NDArray[Any], sequences: Sequences, fill: Any = np.nan
    ) -> NDArray[Any]:
        """Lay packed per-step outputs out like X; leave those per sequence as they are."""
        return sequences.unpack(packed, fill) if self.net_.per_step else packed
