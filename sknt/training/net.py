"""The skorch net: the masked loss, the training step and the outputs."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import ClassifierTags
from skorch import NeuralNet
from skorch.dataset import ValidSplit, unpack_data
from skorch.utils import to_tensor
from torch import Tensor
from torch.utils.data import Dataset

from sknt.data.ragged import Ragged
from sknt.nn import SequenceNetwork
from sknt.nn.pooling import at_last_steps
from sknt.training.batches import (
    cut_to,
    holds_sequences,
    joined,
    sequence_loader,
    split_by_length,
)
from sknt.training.perturbations import AddToGradient, with_noise
from sknt.training.prediction import predict_outputs
from sknt.training.processes import Processes
from sknt.training.progress import Plan, Progress, Update, advance, next_update, observe
from sknt.training.state import KeepsState
from sknt.training.updates import UpdatesInBatches


class SequenceNet(KeepsState, UpdatesInBatches, NeuralNet):
    """skorch's net for sequences: masked loss, its own training step, compact state.

    Parameters
    ----------
    module, criterion, **kwargs
        As in skorch. The criterion is called with ``reduction="none"`` on the flattened
        outputs and targets.
    per_step : bool, default=False
        Whether there is a target for each step; otherwise the output is read at each
        sequence's last step.
    n_outputs : int or None, default=None
        Number of outputs of a step that the module should give; None: any.
    classifies : bool, default=False
        Whether these are the logits of classes.
    input_noise : float, default=0.0
        Standard deviation of the noise on the inputs of every update, as a fraction of the
        inputs' own.
    draw_seed : int, default=0
        Seed of the random choices that a memory makes in training.
    accelerator : accelerate.Accelerator or None, default=None
        The processes that train the net together. It stays out of pickles.

    Attributes
    ----------
    progress_ : Progress
        How far the training has come.
    plan_ : Plan
        What the current training run was asked for.
    update_ : Update
        The settings of the current update.
    stream_params_ : dict
        Arguments, set by callbacks, that a stream is called with.
    chance_loss_ : float
        Loss per target of guessing from the distribution of the targets alone.
    encode_ : callable or None
        During training, turns other data sets into packed sequences.
    share_ : float
        Of a batch's sequences, the share that is run at the moment.
    processes_ : Processes or None
        During training by several processes, what they share.
    trace_ : Trace or None
        Of the current update, for the auxiliary loss.
    tape_ : Tape or None
        Of the current update, if the module keeps one (see
        :meth:`sknt.nn.SequenceNetwork.start_tape`).
    """

    accelerator: Any = None

    def __init__(
        self,
        module: Any,
        criterion: Any,
        *,
        per_step: bool = False,
        n_outputs: int | None = None,
        classifies: bool = False,
        input_noise: float = 0.0,
        draw_seed: int = 0,
        accelerator: Any = None,
        iterator_train: Any = sequence_loader,
        iterator_valid: Any = sequence_loader,
        criterion__reduction: str = "none",
        **kwargs: Any,
    ):
        super().__init__(
            module,
            criterion,
            iterator_train=iterator_train,
            iterator_valid=iterator_valid,
            criterion__reduction=criterion__reduction,
            **kwargs,
        )
        self.per_step = per_step
        self.n_outputs = n_outputs
        self.classifies = classifies
        self.input_noise = input_noise
        self.draw_seed = draw_seed
        self.accelerator = accelerator

    def initialize(self) -> "SequenceNet":
        """Build the modules and the optimizer; nothing is learned yet."""
        self.progress_, self.plan_, self.update_ = Progress(), Plan(), Update()
        self.stream_params_: dict[str, Any] = {}
        self.chance_loss_ = 0.0
        self.encode_: Callable[[Dataset], Dataset] | None = None
        self.share_ = 1.0
        self.processes_: Processes | None = None
        self.trace_: Any = None
        self.tape_: Any = None
        return super().initialize()

    def get_default_callbacks(self) -> list[Any]:
        """Return skorch's callbacks without its table, which a progress bar replaces."""
        return [pair for pair in super().get_default_callbacks() if pair[0] != "print_log"]

    # Training

    def set_stream_params(self, *, is_final: bool = True, **params: Any) -> None:
        """Set arguments that the training stream is called with from now on.

        Parameters
        ----------
        is_final : bool, default=True
            Whether the task is now the final one. Until then it does not count as
            learned and is not consolidated.
        **params
            Such as ``max_length=10``.
        """
        self.stream_params_ = {**self.stream_params_, **params}
        self.progress_ = replace(self.progress_, held=not is_final)

    def train_step(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        """Update the weights once, and record the loss in the progress."""
        self.update_ = next_update(self.progress_, self.plan_)
        self._set_steps(self.update_)
        step = super().train_step(batch, **fit_params)
        if step is None:
            raise ValueError(
                f"{type(self.optimizer_).__name__}.step did not call its closure, which "
                "computes the loss and its gradient"
            )
        x, target = batch
        total = float(x["weight"].sum()) * self.chance_loss_
        summed = float(step["loss"].detach()) * len(target)
        loss = summed / total if total else math.inf
        seen = observe(self.progress_, loss, len(target))
        self.progress_ = advance(seen, self.plan_)
        return step

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        """Compute the loss and the gradients of the parameters.

        Of a batch that would be padding for the most part, sequences of similar lengths are
        run together; the gradients add up to those of the whole batch.
        """
        self._set_training(True)
        inputs, targets = unpack_data(batch)
        inputs = self._with_noise(inputs)
        groups = [] if self._needs_whole_batches() else split_by_length(inputs["lengths"])
        if len(groups) < 2:
            step = self._backpropagate(inputs, targets, **fit_params)
        else:
            step = self._backpropagate_groups(groups, inputs, targets, **fit_params)
        if self.processes_ is not None:
            parameters = (p for _, p in self.get_all_learnable_params())
            self.processes_.average_gradients(parameters)
        return step

    def _needs_whole_batches(self) -> bool:
        """Return whether what a module learns depends on which sequences run together.

        It does if they start from states drawn for a batch, or if the module's own loss
        compares them.
        """
        draws = getattr(
            self.module_, "has_training_state", hasattr(self.module_, "training_state")
        )
        return draws or getattr(self.module_, "has_auxiliary_loss", False)

    def _backpropagate_groups(
        self, groups: Sequence[Tensor], inputs: Any, targets: Tensor, **fit_params: Any
    ) -> dict[str, Any]:
        steps = []
        for rows in groups:
            own = cut_to(inputs, targets, rows, per_step=self.per_step)
            self.share_ = len(rows) / len(targets)
            try:
                steps.append(self._backpropagate(*own, **fit_params))
            finally:
                self.share_ = 1.0
        outputs = joined([step["y_pred"] for step in steps], groups)
        return {"loss": sum(step["loss"].detach() for step in steps), "y_pred": outputs}

    def _backpropagate(
        self, inputs: Any, targets: Tensor, **fit_params: Any
    ) -> dict[str, Any]:
        start_tape = getattr(self.module_, "start_tape", None)
        self.tape_ = tape = None if start_tape is None else start_tape()
        try:
            outputs = self.infer(inputs, **fit_params)
        finally:
            self.tape_ = None
        loss = self.get_loss(outputs, targets, X=inputs, training=True)
        loss.backward()
        if tape is not None:
            tape.backward()
        return {"loss": loss, "y_pred": outputs}

    def _set_steps(self, update: Update) -> None:
        """Set the size and the kind of the optimizer's steps.

        The size changes relative to the last factor, so that other learning-rate schedules
        and rates per parameter group keep their meaning.
        """
        for group in self.optimizer_.param_groups:
            last = group.setdefault("rate_factor", 1.0)
            if update.rate != last:
                group["lr"] *= update.rate / last
                group["rate_factor"] = update.rate
            if group.get("switches"):
                group["orthogonal"] = update.orthogonal

    def set_learning_rate(self, learning_rate: float) -> None:
        """Reset the learning rate of all parameter groups."""
        self.set_params(lr=learning_rate)  # of the optimizer
        self.lr = learning_rate
        for group in self.optimizer_.param_groups:
            group["rate_factor"] = 1.0

    def infer(self, x: Mapping[str, Tensor], **fit_params: Any) -> Tensor:
        """Return the outputs that have targets: at each step, or at each last one.

        In training, the gradient of the update's penalty is added to that of the outputs.
        """
        update = self.update_ if self.module_.training else Update()
        inputs, lengths = x["x"], x["lengths"]
        penalises = update.penalty and getattr(self.module_, "has_memory", False)
        adds = self.module_.training and getattr(self.module_, "has_auxiliary_loss", False)
        if penalises or adds:
            fit_params = {**fit_params, "return_states": "heads"}
        if self.module_.training and (state := self._training_state(len(inputs))):
            fit_params = {"state": state, **fit_params}
        run: Callable[..., tuple[Any, ...]] = self._run_module
        if self.processes_ is not None and self.module_.training:
            run = partial(self.processes_.run, run)
        outputs, *rest = run(inputs, lengths, **fit_params)
        self._check_outputs(outputs, inputs)
        if penalises:
            penalty = update.penalty * self._shared(self.module_.penalty(rest[-1]).mean())
            outputs = AddToGradient.apply(outputs, penalty)
        self.trace_ = rest[-1] if adds else None
        is_read = self.per_step or outputs.ndim == 2
        return outputs if is_read else at_last_steps(outputs, lengths)

    def _run_module(self, x: Tensor, lengths: Tensor, **params: Any) -> tuple[Any, ...]:
        """Return what the module gives, as a tuple that begins with the outputs."""
        x, lengths = (to_tensor(part, device=self.device) for part in (x, lengths))
        if self.tape_ is not None:
            return self.module_.run_on_tape(self.tape_, x, lengths, **params)
        results = self.module_(x=x, lengths=lengths, **params)
        return results if isinstance(results, tuple) else (results,)

    def _with_noise(self, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return a batch with the update's noise, which goes by all of its sequences."""
        noise = max(self.update_.noise, self.input_noise)
        if not noise:
            return inputs
        n_updates = self.progress_.n_updates
        return {**inputs, "x": with_noise(inputs["x"], inputs["lengths"], noise, n_updates)}

    def _training_state(self, n_sequences: int) -> Any:
        """Return the state that the module wants an update to start from, if any."""
        if not hasattr(self.module_, "training_state"):
            return None
        method = getattr(type(self.module_), "training_state", None)
        if method is SequenceNetwork.training_state and not self.module_.has_training_state:
            return None  # without drawing a seed
        n_updates = self.progress_.n_updates
        words = np.random.SeedSequence((self.draw_seed, n_updates)).generate_state(1)
        return self.module_.training_state(n_sequences, int(words[0]), n_updates)

    def _check_outputs(self, outputs: Any, inputs: Tensor) -> None:
        n_outputs = "n_outputs" if self.n_outputs is None else self.n_outputs
        expected = (*inputs.shape[:2], n_outputs)
        shape: Any = getattr(outputs, "shape", None)
        axes = [2] if self.per_step else [1, 2]  # those before the outputs
        fits = shape is not None and len(shape) - 1 in axes
        fits = fits and shape[:-1] == inputs.shape[: len(shape) - 1]
        if not fits or self.n_outputs not in (None, shape[-1]):
            found = type(outputs).__name__ if shape is None else f"shape {tuple(shape)}"
            raise ValueError(
                f"the module gave outputs of {found}; a module in net_params should return "
                "a tensor of shape (batch, n_timesteps, n_outputs), here "
                f"({', '.join(map(str, expected))}), or without return_sequences one of "
                "shape (batch, n_outputs), or a tuple that begins with it"
            )

    def get_loss(
        self, y_pred: Tensor, y_true: Any, X: Any = None, training: bool = False
    ) -> Tensor:
        """Return the loss summed over each sequence's targets, averaged over sequences.

        A missing target has weight 0, and neither padding nor the other sequences of a
        batch change what a sequence adds to the gradient. In training, the gradient of the
        memory's auxiliary loss, if it has one, is added to that of the loss.
        """
        target = to_tensor(y_true, device=self.device).flatten()
        weight = to_tensor(X["weight"], device=self.device)
        outputs = y_pred.flatten(0, -1 if target.is_floating_point() else -2)
        losses = self.criterion_(outputs, target)
        loss = self._shared((losses * weight.flatten()).sum() / len(y_true))
        trace, self.trace_ = self.trace_, None
        if not training or trace is None:
            return loss
        return AddToGradient.apply(loss, self._auxiliary_loss(trace, losses, weight))

    def _shared(self, mean: Tensor) -> Tensor:
        """Return what the mean over a part of a batch adds to that over the batch."""
        return mean if self.share_ == 1 else mean * self.share_

    def _auxiliary_loss(self, trace: Any, losses: Tensor, weight: Tensor) -> Tensor:
        """Return the memory's own loss, averaged with the weights of the sequences."""
        weight = weight.reshape(len(weight), -1)
        of_sequence = weight.amax(1)
        tiny = torch.finfo(weight.dtype).tiny  # a sequence without any target counts 0
        shares = weight / of_sequence.clamp_min(tiny)[:, None]
        log_likelihood = -(losses.detach().reshape(weight.shape) * shares).sum(1)
        auxiliary = self.module_.auxiliary_loss(trace, log_likelihood)
        return (of_sequence * auxiliary).mean()

    def get_split_datasets(
        self, X: Any, y: Any = None, **fit_params: Any
    ) -> tuple[Dataset, Dataset | None]:
        """Return the parts to train on and to hold out, both as packed sequences."""
        classes = not X.per_step and X.targets.ndim == 1
        if isinstance(self.train_split, ValidSplit) and classes:
            y = X.targets.numpy()  # to stratify by
        train, valid = super().get_split_datasets(X, y, **fit_params)
        if valid is not None and self.encode_ is not None and not holds_sequences(valid):
            valid = self.encode_(valid)
        return train, valid

    # Prediction

    def __sklearn_tags__(self):
        """Return tags that tell scikit-learn's scorers what the net is."""
        tags = super().__sklearn_tags__()
        if self.classifies:
            tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags()
        return tags

    @property
    def classes_(self) -> NDArray[np.int64]:
        """Class numbers, as trained on."""
        if not self.classifies or self.n_outputs is None:
            raise AttributeError("the net is not a classifier")
        return np.arange(self.n_outputs)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return class numbers, 0/1 indicators or standardised values, as trained on.

        This is what skorch's own scoring callbacks call. The estimators' ``predict`` gives
        labels and values in their units.
        """
        outputs = self.predict_proba(X)
        if self.classifies:
            return outputs.argmax(axis=-1)
        if isinstance(self.criterion_, torch.nn.BCEWithLogitsLoss):
            return (outputs > 0.5).astype(np.int64)
        return outputs

    def predict_outputs(self, inputs: Ragged) -> NDArray[np.float64]:
        """Return outputs, independent of the batch: those of sequences or of all steps."""
        self._set_training(False)
        return predict_outputs(
            self.module_,
            inputs,
            per_step=self.per_step,
            batch_size=self.batch_size,
        )

    @property
    def backend(self) -> str:
        """The backend that runs sequences, "fused" or "reference"."""
        if not hasattr(self.module_, "backend_for"):
            return "reference"
        return self.module_.backend_for(next(self.module_.parameters()))
