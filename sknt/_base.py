"""What both estimators share: the fit and the outputs."""

import functools
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, islice
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import EarlyStopping

from sknt._blends import Blends
from sknt._reading import RowGroups
from sknt._runtime import single_threaded
from sknt.data.sequences import Sequences
from sknt.data.streams import chunks, is_stream, refuse_with_stream
from sknt.data.weights import are_of_steps, check_weights, weigh_targets
from sknt.nn import SequenceNetwork, gradient_norms
from sknt.online.chunks import ChunkReader
from sknt.online.network import OnlineNetwork
from sknt.training.blending import Blend, blended, held_out_fraction
from sknt.training.building import make_net
from sknt.training.curriculum import LengthCurriculum
from sknt.training.data import TrainingData
from sknt.training.epochs import (
    EndWhenInterrupted,
    EndWhenLearned,
    EpochProgress,
    EpochRecord,
    ScikitLearnCallbacks,
    ValidationScore,
)
from sknt.training.guard import TrainingGuard
from sknt.training.interrupts import Interrupts
from sknt.training.loop import train, transaction
from sknt.training.net import SequenceNet
from sknt.training.ongoing import OngoingFit
from sknt.training.progress import Plan, Progress

NO_BETTER, ENOUGH_UPDATES = 0.97, 300
"""A fit of so many updates that ends above this fraction of the loss of guessing warns."""


class Given(NamedTuple):
    """What a fit is given, checked."""

    data: TrainingData
    rows: RowGroups
    watched: TrainingData | None  # to validate on
    ongoing: OngoingFit
    rest: Iterator[Any]  # the pairs of a stream after the first


class SequenceEstimator(Blends, CallbackSupportMixin):
    """Base class of the estimators, which encode their targets as numbers.

    A subclass defines ``_encode_targets``, which turns targets into numbers to train on,
    ``_chance_loss``, ``_criterion`` and ``_validation_score``, and for targets of sequences
    ``_codes``, ``_losses`` and ``_log_likelihood``. It may override
    ``_scale_targets`` and ``_weigh_targets``, which see the targets of all rows trained on.
    """

    net_: SequenceNet
    patch_size_: int
    _held_out_seed: int
    _n_outputs: int
    _n_epochs_planned: int | None = None  # of fits that continue one another

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
        groups: Any = None,
        validation: Sequence[Any] | None = None,
    ) -> "SequenceEstimator":
        """Fit; with ``partial``, train for one epoch, continuing from the last call."""
        continues = hasattr(self, "net_") and (partial or self.warm_start)
        streams = is_stream(X) and not partial
        # Train even where the caller has set torch.inference_mode() or the like.
        net = self.net_ if continues else None
        undo = transaction(self, net)
        with torch.inference_mode(False), torch.enable_grad(), undo as interrupts:
            self._check_train_split(validation)
            if continues:
                self._check_unchanged()
            else:
                self._check_partial(partial)
                self.__dict__.pop("net_", None)
            options = {"reset": not continues, "partial": partial, "classes": classes}
            if streams:
                self._check_stream(y, sample_weight, groups, validation)
                given = self._read_stream(X, validation, net, options)
            else:
                options["groups"] = groups
                given = self._read_data(X, y, sample_weight, validation, net, options)
            data, rows, watched, ongoing, rest = given
            seeds = ongoing.seeds
            if not continues:
                self._held_out_seed = seeds[2]
                self._begin(data, seeds[:2])
            if not (continues and partial):  # which keeps what fit has made of them
                self.convolutions_, self.network_share_ = None, 1.0
            n_thresholds = self._n_convolutions(data, rows.equal)
            n_thresholds = 0 if streams or partial else n_thresholds
            stops_early = self.early_stopping and not partial
            judged = self._judged_apart(watched, data) if n_thresholds else None
            held_out, blend = None, None
            stops_by_part = stops_early and watched is None and not self.net_.train_split
            fraction = None
            if stops_by_part:
                fraction = self.validation_fraction
            elif n_thresholds and judged is None:
                fraction = held_out_fraction(rows.equal)
            is_held_out = self._choose_held_out(data, rows, fraction)
            if n_thresholds:
                blend = self._begin_blend(
                    data, rows, is_held_out, judged, n_thresholds, seeds[3]
                )
            if watched is not None:
                held_out = watched.dataset()
            elif stops_by_part:
                held_out = data.take(is_held_out).dataset()
            if stops_early and is_held_out.any():
                data = data.take(~is_held_out)
            n_epochs = 1 if partial else self._max_epochs(len(data.lengths))
            n_planned = n_epochs * len(data.lengths)
            parts: Any = [(data, n_epochs)]
            if blend is not None and not stops_early and is_held_out.any():
                parts, n_planned = self._parts_of_blend(blend, n_epochs, ongoing)
            elif streams:
                more = (self._training_data(*chunk, reset=False)[0] for chunk in rest)
                parts = ((part, 1) for part in islice(chain([data], more), n_epochs))
            validates = held_out is not None or bool(self.net_.train_split)
            keeps = self.on_interrupt == "keep" and not partial
            train(
                self.net_,
                ongoing.remaining(parts, n_epochs if streams else None),
                held_out,
                plan=self._plan(None if partial else n_planned),
                encode=self._encode_dataset,
                learning_rate=self.learning_rate,
                batch_size=self._batch_size(),
                input_noise=self.input_noise,
                callbacks=self._make_callbacks(
                    n_epochs,
                    validates,
                    stops_early,
                    interrupts if keeps else None,
                    weighted=watched is not None,
                ),
                stoppers=self._make_stoppers(partial, stops_early, context, X, y),
                ongoing=ongoing,
            )
            if blend is not None and blend.mean_loss is None:
                self._choose_share(blend)
            if partial:
                self._warn_if_unused()
            elif interrupts.deferred is None:
                self._warn_if_no_better(blend)
            self.history_ = self.net_.epoch_records()
            self.n_iter_ = sum(epoch["epoch"] > 0 for epoch in self.history_)
            self.backend_ = self.net_.backend
        ongoing.end()
        return self

    def _seeds(self) -> list[int]:
        """Draw the seeds of weights, order, held-out part and convolutions."""
        rng = check_random_state(self.random_state)
        return rng.randint(2**31 - 1, size=4).tolist()

    def _read_stream(
        self, X: Any, validation: Any, net: SequenceNet | None, options: Mapping[str, Any]
    ) -> Given:
        """Read the first pair of a stream; go on with a fit that was killed."""
        others = options["classes"], self._n_epochs_planned
        ongoing = self._ongoing_fit(X, self._seeds(), net, *others)
        rest = chunks(X, ongoing.seeds[2], self._stream_state())
        first = next(rest, None)
        if first is None:
            raise ValueError("the stream is empty; nothing to train on")
        data, rows = self._training_data(*first, **options)
        watched = self._validation_data(validation)
        ongoing.check_first((data, watched))
        return Given(data, rows, watched, ongoing, rest)

    def _read_data(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation: Any,
        net: SequenceNet | None,
        options: Mapping[str, Any],
    ) -> Given:
        """Read the data of a fit; go on with a fit that was killed."""
        seeds = self._seeds()
        data, rows = self._training_data(X, y, sample_weight, **options)
        watched = self._validation_data(validation)
        others = options["classes"], self._n_epochs_planned, watched, rows.joined
        partial = options["partial"]
        ongoing = self._ongoing_fit(data, seeds, net, *others, partial=partial)
        return Given(data, rows, watched, ongoing, iter(()))

    def _begin(self, data: TrainingData, seeds: Sequence[int]) -> None:
        """Make a new net for the data."""
        self.patch_size_ = self._patch_size(data.lengths)
        self.net_ = self._make_net(*seeds)
        self.net_.chance_loss_ = self._chance_loss(data)
        self._fitted_params = self._fixed_params()

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

    def _check_train_split(self, validation: Sequence[Any] | None) -> None:
        if validation is not None and (self.net_params or {}).get("train_split"):
            raise ValueError(
                "validation_data is given, and net_params has a train_split, which says "
                "what to validate on as well; leave one of them out"
            )

    def _check_stream(
        self, y: Any, sample_weight: Any, groups: Any, validation: Sequence[Any] | None
    ) -> None:
        balanced = getattr(self, "class_weight", None) == "balanced"
        refuse_with_stream(
            **{
                "y": y is not None,
                "sample_weight": sample_weight is not None,
                "groups": groups is not None,
                "early_stopping=True": self.early_stopping and validation is None,
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
        self,
        n_epochs: int,
        validates: bool,
        restore_best: bool,
        interrupts: Interrupts | None,
        *,
        weighted: bool,
    ) -> list[Any]:
        """Return the callbacks that accompany training, in the order of their calls."""
        norms = functools.partial(gradient_norms, self.net_.module_)
        guard = TrainingGuard(self._clip(), norms, restore_best=restore_best)
        callbacks: list[Any] = [EpochRecord(), guard]
        if interrupts is not None:
            callbacks.append(EndWhenInterrupted(interrupts, guard))
        if validates:
            score = ValidationScore(self._validation_score, weighted=weighted)
            callbacks.insert(0, score)
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
        """Return the checked sequences and the outputs, of sequences or of all steps."""
        check_is_fitted(self)
        sequences = self._network_inputs(X)
        inputs = sequences.inputs
        with single_threaded():
            if self.network_share_ == 0:
                return sequences, self.convolutions_.predict(inputs)
            outputs = self.net_.predict_outputs(inputs)
            if self.network_share_ < 1:
                convolved = self.convolutions_.predict(inputs)
                outputs = blended(convolved, outputs, self.network_share_)
        return sequences, outputs

    def _online_parts(self, n_sequences: int | None) -> tuple[OnlineNetwork, ChunkReader]:
        """Return the network of a session, and what reads its steps."""
        check_is_fitted(self)
        is_count = isinstance(n_sequences, Integral) and not isinstance(n_sequences, bool)
        if n_sequences is not None and not (is_count and n_sequences > 0):
            raise ValueError(
                f"n_sequences={n_sequences!r} is not a positive integer or None"
            )
        self._check_online()
        names = None
        if not self._fitted_on_table and hasattr(self, "feature_names_in_"):
            names = tuple(self.feature_names_in_)
        mean, scale = self._scaling
        scaling = self._scaling if mean.any() or (scale != 1).any() else None
        reader = ChunkReader(self._n_inputs, names, scaling, n_sequences)
        return OnlineNetwork(self.net_.module_), reader

    def _check_online(self) -> None:
        """Refuse a session if outputs depend on later steps, or on whole sequences."""
        network, reason = self.net_.module_, None
        if self.network_share_ < 1:
            reason = (
                "fit has blended the network with a regression on convolutions, which "
                f"takes whole sequences (network_share_ is {self.network_share_}); fit "
                "with n_convolutions=0"
            )
        elif not isinstance(network, SequenceNetwork) or not network.is_plain:
            reason = (
                f"the module {type(network).__name__} may do with whole sequences what is "
                "not known here; use one without a forward method and hooks of its own"
            )
        elif network.reverse is not None:
            reason = "outputs depend on later steps; fit with bidirectional=False"
        if reason is not None:
            raise ValueError(
                f"this model cannot take sequences step by step: {reason}, or call predict "
                "on all steps so far"
            )

    def _network_inputs(self, X: Any) -> Sequences:
        """Return checked sequences, scaled as the network takes them."""
        sequences = self._check_sequences(X, reset=False)
        return sequences._replace(inputs=self._scaling.of(sequences.inputs))

    def _weigh_known(
        self, sample_weight: Any, sequences: Sequences, valid: NDArray[np.bool_]
    ) -> tuple[Any, NDArray[np.bool_]]:
        """Return the weights of targets, or of their steps, and which targets count."""
        if sample_weight is None or not self.net_.per_step:
            return sample_weight, valid
        if are_of_steps(sample_weight):
            return weigh_targets(sample_weight, sequences.layout, valid)
        lengths = sequences.lengths
        return np.repeat(check_weights(sample_weight, lengths), lengths), valid

    def _like_X(
        self, outputs: NDArray[Any], sequences: Sequences, fill: Any = np.nan
    ) -> NDArray[Any]:
        """Lay outputs of steps out like X; leave those of sequences as they are."""
        return sequences.unpack(outputs, fill) if self.net_.per_step else outputs
