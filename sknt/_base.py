"""What both estimators share: checks of X and y, the fit, the outputs."""

import functools
import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import EarlyStopping
from torch.utils.data import Dataset

from sknt._runtime import single_threaded
from sknt._settings import Settings
from sknt.data.doubts import warn_if_axes_look_swapped, warn_if_differences_are_lost
from sknt.data.inputs import SequenceInputMixin
from sknt.data.sequences import Sequences, check_sequences, step_mask
from sknt.data.streams import chunks, is_stream, refuse_with_stream
from sknt.data.targets import check_targets
from sknt.data.weights import check_weights
from sknt.nn import gradient_norms
from sknt.training.blending import (
    LAST_PART,
    Blend,
    blended,
    calibrate,
    choose_share,
    fit_regression,
    held_out_fraction,
)
from sknt.training.building import make_net
from sknt.training.curriculum import LengthCurriculum
from sknt.training.data import TrainingData, canonical_data, choose_held_out
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
from sknt.training.progress import Plan, Progress
from sknt.training.scaling import Scaling, find_scaling

NO_BETTER, ENOUGH_UPDATES = 0.97, 300
"""A fit of so many updates that ends above this fraction of the loss of guessing warns."""


class SequenceEstimator(Settings, SequenceInputMixin, CallbackSupportMixin):
    """Base class of the estimators, which encode their targets as numbers.

    A subclass defines ``_encode_targets``, which turns targets into numbers to train on,
    ``_chance_loss``, ``_criterion`` and ``_validation_score``, and for targets of sequences
    ``_codes``, ``_losses`` and ``_log_likelihood``. It may override
    ``_scale_targets`` and ``_weigh_targets``, which see the targets of all rows trained on.
    """

    net_: SequenceNet
    convolutions_: Any  # ConvolutionalRidge or None
    network_share_: float
    patch_size_: int
    _held_out_seed: int
    _n_outputs: int
    _n_epochs_planned: int | None = None  # of fits that continue one another
    _scaling: Scaling

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags

    def _network_params(self) -> dict[str, Any]:
        own = (name for name, p in self._parameters.items() if p.network)
        sizes = {"n_inputs": self._n_inputs, "n_outputs": self._n_outputs}
        resolved = {"patch_size": self.patch_size_, "pooling": self._pooling()}
        return sizes | {name: getattr(self, name) for name in own} | resolved

    # Data

    def _check_sequences(self, X: Any, *, reset: bool) -> Sequences:
        """Check sequences; with ``reset``, remember their number of features."""
        sequences = check_sequences(self._validate_table(X, reset=reset))
        self._check_n_inputs(sequences.values.shape[2], reset=reset)
        if reset:
            present = step_mask(sequences.lengths)
            warn_if_axes_look_swapped(sequences.values, present)
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
        sample_weight = check_weights(sample_weight, sequences.values)
        targets, valid = self._encode_targets(
            y, valid, reset=reset, partial=partial, classes=classes
        )
        if self.return_sequences:
            targets, valid = sequences.pack(targets), sequences.pack(valid)
        values, lengths = sequences.values, sequences.lengths
        if reset:
            has_target = valid.reshape(len(valid), -1).any(axis=1)
            self._set_scaling(values, lengths, sample_weight * has_target)
        values = self._scaling.apply(values, lengths)
        data, groups = canonical_data(
            TrainingData(values, lengths, targets, valid.astype(np.float64)),
            sample_weight,
            per_step=self.return_sequences,
        )
        data = self._scale_targets(data, reset=reset, partial=partial)
        return self._weigh_targets(data), groups

    def _set_scaling(
        self,
        values: NDArray[np.float64],
        lengths: NDArray[np.int64],
        weights: NDArray[np.float64],
    ) -> None:
        if not weights.any():  # refused later
            weights = np.ones(len(weights))
        self._scaling = find_scaling(values, lengths, weights, self.standardize)
        self.input_mean_, self.input_scale_ = self._scaling
        used = weights > 0
        warn_if_differences_are_lost(
            values[used], lengths[used], self._scaling.apply, standardize=self.standardize
        )

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
        streams = is_stream(X) and not partial
        # Train even where the caller has set torch.inference_mode() or the like.
        net = self.net_ if continues else None
        with torch.inference_mode(False), torch.enable_grad(), transaction(self, net):
            if continues:
                self._check_unchanged()
            else:
                self._check_partial(partial)
                self.__dict__.pop("net_", None)
            rng = check_random_state(self.random_state)
            seeds = rng.randint(2**31 - 1, size=4).tolist()
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
                self._held_out_seed = seeds[2]
                self._begin(data, seeds[:2])
            if not (continues and partial):  # which keeps what fit has made of them
                self.convolutions_, self.network_share_ = None, 1.0
            n_thresholds = self._n_convolutions(data, groups)
            n_thresholds = 0 if streams or partial else n_thresholds
            stops_early = self.early_stopping and not partial
            is_held_out = np.zeros(len(data.lengths), bool)
            held_out, blend = None, None
            if stops_early or n_thresholds:
                default = held_out_fraction(groups)
                fraction = self.validation_fraction if stops_early else default
                is_held_out = choose_held_out(data, groups, fraction, self._held_out_seed)
            if n_thresholds:
                blend = self._begin_blend(data, groups, is_held_out, n_thresholds, seeds[3])
            if stops_early:
                held_out = data.take(is_held_out).dataset(self.return_sequences)
                data = data.take(~is_held_out)
            n_epochs = 1 if partial else self._max_epochs(len(data.lengths))
            n_planned = n_epochs * len(data.lengths)
            parts: Any = [(data, n_epochs)]
            if blend is not None and not stops_early:
                parts, n_planned = self._parts_of_blend(blend, n_epochs)
            elif streams:
                more = (self._training_data(*chunk, reset=False)[0] for chunk in rest)
                parts = ((part, 1) for part in islice(chain([data], more), n_epochs))
            validates = stops_early or bool(self.net_.train_split)
            train(
                self.net_,
                parts,
                held_out,
                plan=self._plan(None if partial else n_planned),
                encode=self._encode_dataset,
                learning_rate=self.learning_rate,
                batch_size=self._batch_size(),
                input_noise=self.input_noise,
                callbacks=self._make_callbacks(n_epochs, validates, stops_early),
                stoppers=self._make_stoppers(partial, stops_early, context, X, y),
            )
            if blend is not None and blend.mean_loss is None:
                self._choose_share(blend)
            if partial:
                self._warn_if_unused()
            else:
                self._warn_if_no_better(blend)
            self.history_ = self.net_.epoch_records()
            self.n_iter_ = sum(epoch["epoch"] > 0 for epoch in self.history_)
            self.backend_ = self.net_.backend
        return self

    def _begin(self, data: TrainingData, seeds: Sequence[int]) -> None:
        """Make a new net for the data."""
        self.patch_size_ = self._patch_size(data.lengths)
        self.net_ = self._make_net(*seeds)
        self.net_.chance_loss_ = self._chance_loss(data)
        self._fitted_params = self._fixed_params()

    def _begin_blend(
        self,
        data: TrainingData,
        groups: NDArray[np.int64],
        is_held_out: NDArray[np.bool_],
        n_thresholds: int,
        seed: int,
    ) -> Blend:
        """Fit the regression that the network is to be blended with."""
        self.convolutions_, outputs = fit_regression(
            data,
            groups,
            self._codes(data),
            n_thresholds=n_thresholds,
            seed=seed,
            backend=self.backend,
        )
        if is_classifier(self):
            losses = functools.partial(self._losses, data=data)
            self.convolutions_.factor = calibrate(outputs, losses)
        return Blend(data, self.convolutions_.factor * outputs, is_held_out)

    def _parts_of_blend(
        self, blend: Blend, n_epochs: int
    ) -> tuple[Iterator[tuple[TrainingData, int]], int]:
        """Train without the held-out part, and if the network has a share, with it.

        Returns
        -------
        parts : iterator of TrainingData and int
        n_planned : int
            The sequences shown in all parts.
        """
        rest = blend.data.take(~blend.is_held_out)
        # A later fit judges the share again, on what the network must not have seen.
        n_last = 0 if self.warm_start else int(LAST_PART * n_epochs)
        n_first = n_epochs - n_last

        def parts() -> Iterator[tuple[TrainingData, int]]:
            yield rest, n_first
            self._choose_share(blend)
            if n_last and self.network_share_:
                yield blend.data, n_last

        return parts(), n_first * len(rest.lengths) + n_last * len(blend.data.lengths)

    def _choose_share(self, blend: Blend) -> None:
        held_out = blend.data.take(blend.is_held_out)
        outputs = blend.outputs[blend.is_held_out]
        of_network = self.net_.predict_outputs(held_out.values, held_out.lengths)
        losses = functools.partial(self._losses, data=held_out)
        share = choose_share(outputs, of_network, losses, self._log_likelihood)
        judged, by = blend.data, blend.outputs  # the regression has been left out of each
        if share > 0:
            judged, by = held_out, blended(outputs, of_network, share)
        blend.mean_loss = self._losses(by, judged).sum() / judged.weights.sum()
        self.network_share_ = share

    def _warn_if_unused(self) -> None:
        if self.network_share_ == 0:
            warnings.warn(
                "partial_fit has trained the network, but predictions stay as they were: "
                "fit has given the network no share in them (network_share_ is 0). For a "
                "network that predicts alone, fit with n_convolutions=0",
                UserWarning,
                stacklevel=5,
            )

    def _warn_if_no_better(self, blend: Blend | None) -> None:
        """Warn if what predicts is no better than guessing, as far as is known.

        That is the loss of the blend on sequences that nothing has learned from, and for a
        network alone its loss in training.
        """
        progress, chance_loss = self.net_.progress_, self.net_.chance_loss_
        mean_loss, where = progress.mean_loss, ""
        if blend is not None and blend.mean_loss is not None and chance_loss:
            mean_loss, where = blend.mean_loss / chance_loss, " on sequences left out"
        if mean_loss is None or mean_loss < NO_BETTER:
            return
        if progress.n_updates < ENOUGH_UPDATES:
            return
        warnings.warn(
            f"Training ended no better than guessing: after {progress.n_updates} updates, "
            f"the loss{where} is {mean_loss:.0%} of that of guessing from the distribution "
            "of the targets alone. Perhaps the targets do not depend on X; check that X "
            "and y are in the same order, and try a lower learning_rate, more max_epochs, "
            "standardize=True or shorter sequences",
            ConvergenceWarning,
            stacklevel=5,  # at the call of fit, beyond scikit-learn's wrapper
        )

    def _check_partial(self, partial: bool) -> None:
        if partial and self.n_convolutions not in (0, "auto"):
            raise ValueError(
                f"partial_fit does not support n_convolutions={self.n_convolutions}, which "
                "needs all the data at once, unless fit comes first; use n_convolutions=0"
            )

    def _check_stream(self, y: Any, sample_weight: Any) -> None:
        balanced = getattr(self, "class_weight", None) == "balanced"
        refuse_with_stream(
            **{
                "y": y is not None,
                "sample_weight": sample_weight is not None,
                "early_stopping=True": self.early_stopping,
                "n_convolutions > 0": self.n_convolutions not in (0, "auto"),
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
        before = self.net_.progress_
        if n_planned is not None and self._n_epochs_planned is not None:
            n_planned = n_planned * self._n_epochs_planned // int(self.max_epochs)
            before = Progress()  # the plan began with the first of these fits
        return Plan(
            consolidates=self._schedule() == "consolidate",
            duration=self.consolidation,
            anneals=self._schedule() == "cosine",
            n_first=before.n_sequences,
            n_first_updates=before.n_updates,
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
        n_epochs = None if isinstance(self.max_epochs, str) else self.max_epochs
        context = self._init_callback_context(max_subtasks=n_epochs)
        return context.call_on_fit_task_begin(estimator=self, X=X, y=y)

    # Prediction

    def _predict_outputs(self, X: Any) -> tuple[Sequences, NDArray[np.float64]]:
        """Return the checked sequences and the network's outputs, packed."""
        check_is_fitted(self)
        sequences = self._network_inputs(X)
        packed = sequences.values, sequences.lengths
        with single_threaded():
            if self.network_share_ == 0:
                return sequences, self.convolutions_.predict(*packed)
            outputs = self.net_.predict_outputs(*packed)
            if self.network_share_ < 1:
                convolved = self.convolutions_.predict(*packed)
                outputs = blended(convolved, outputs, self.network_share_)
        return sequences, outputs

    def _network_inputs(self, X: Any) -> Sequences:
        """Return checked sequences, scaled as the network takes them."""
        sequences = self._check_sequences(X, reset=False)
        scaled = self._scaling.apply(sequences.values, sequences.lengths)
        return sequences._replace(values=scaled)

    def _like_X(
        self, packed: NDArray[Any], sequences: Sequences, fill: Any = np.nan
    ) -> NDArray[Any]:
        """Lay packed per-step outputs out like X; leave those per sequence as they are."""
        return sequences.unpack(packed, fill) if self.net_.per_step else packed
