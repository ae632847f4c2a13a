"""The skorch net: masked loss, training step, prediction, and what is kept of it."""

import copy
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import ClassifierTags
from skorch import NeuralNet
from skorch.dataset import ValidSplit
from skorch.exceptions import DeviceWarning
from skorch.history import History
from skorch.utils import to_tensor
from torch import Tensor
from torch.utils.data import Dataset

from sknt._runtime import seeded_construction
from sknt.training.batches import holds_sequences, sequence_loader
from sknt.training.interrupts import TrainingFailed, TrainingStopped, is_users
from sknt.training.progress import Plan, Progress, Update, advance, next_update, observe

PREDICTION_BATCH = {"fused": 512, "reference": 128}
"""Batches of at least so many sequences at prediction, where larger ones are faster."""


class SequenceNet(NeuralNet):
    """skorch's net for sequences: masked loss, own training step, slim state.

    Parameters
    ----------
    module, criterion, **kwargs
        As in skorch. The criterion is called with ``reduction="none"`` on the flattened
        outputs and targets.
    per_step : bool, default=False
        Whether there is a target for each step; otherwise the output is read at each
        sequence's last step.
    n_classes : int or None, default=None
        Number of classes, if outputs are their logits.

    Attributes
    ----------
    progress_ : Progress
        How far the training has come.
    plan_ : Plan
        What the training that is running was asked for.
    update_ : Update
        What the update that is being done is.
    stream_params_ : dict
        What callbacks ask of a stream: arguments that it is called with.
    chance_loss_ : float
        Loss of a target when its distribution is all that is known, in nats.
    encode_ : callable or None
        While a training runs: makes packed sequences of other data sets.
    """

    def __init__(
        self,
        module: Any,
        criterion: Any,
        *,
        per_step: bool = False,
        n_classes: int | None = None,
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
        self.n_classes = n_classes

    def initialize(self) -> "SequenceNet":
        """Build the modules and the optimizer; nothing is learned yet."""
        self.progress_, self.plan_, self.update_ = Progress(), Plan(), Update()
        self.stream_params_: dict[str, Any] = {}
        self.chance_loss_ = 0.0
        self.encode_: Callable[[Dataset], Dataset] | None = None
        return super().initialize()

    def get_default_callbacks(self) -> list[Any]:
        """Return skorch's callbacks but for its table, whose place a progress bar has."""
        return [pair for pair in super().get_default_callbacks() if pair[0] != "print_log"]

    # Training

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call all callbacks, and stop if one of them asked for it.

        A user's interrupt propagates at once, wherever it arrives.
        """
        getattr(self, method_name)(self, **cb_kwargs)
        stop: KeyboardInterrupt | None = None
        for _, callback in self.callbacks_:
            try:
                getattr(callback, method_name)(self, **cb_kwargs)
            except KeyboardInterrupt as interrupt:
                if isinstance(interrupt, TrainingFailed) or is_users(interrupt):
                    raise
                stop = interrupt
        if stop is not None:
            raise TrainingStopped from stop

    def ask_of_stream(self, *, is_final: bool = True, **params: Any) -> None:
        """Set arguments that the training's stream is called with from now on.

        Parameters
        ----------
        is_final : bool, default=True
            Whether the task is now the one that is to be learned. Until then it is not
            taken for learned, and not consolidated.
        **params
            Such as ``max_length=10``.
        """
        self.stream_params_ = {**self.stream_params_, **params}
        self.progress_ = Progress(**{**asdict(self.progress_), "held": not is_final})

    def train_step(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        """Do the next update of the weights, and take its loss into account."""
        self.update_ = next_update(self.progress_, self.plan_)
        self._set_steps(self.update_)
        step = super().train_step(batch, **fit_params)
        x, target = batch
        total = float(x["weight"].sum()) * self.chance_loss_
        summed = float(step["loss"].detach()) * len(target)
        loss = summed / total if total else math.inf
        seen = observe(self.progress_, loss, len(target))
        self.progress_ = advance(seen, self.plan_)
        return step

    def _set_steps(self, update: Update) -> None:
        """Set the size and the kind of the optimizer's steps.

        The size changes relative to the last factor, so that other schedules and rates by
        group of parameters keep their meaning.
        """
        for group in self.optimizer_.param_groups:
            last = group.setdefault("rate_factor", 1.0)
            if update.rate != last:
                group["lr"] *= update.rate / last
                group["rate_factor"] = update.rate
            if group.get("switches"):
                group["orthogonal"] = update.orthogonal

    def set_learning_rate(self, learning_rate: float) -> None:
        """Set the learning rate of all groups anew."""
        self.set_params(lr=learning_rate)  # of the optimizer
        self.lr = learning_rate
        for group in self.optimizer_.param_groups:
            group["rate_factor"] = 1.0

    def infer(self, x: Mapping[str, Tensor], **fit_params: Any) -> Tensor:
        """Return the outputs that have targets: of each step, or of each last one.

        In training the inputs are those of the batch with the update's noise, and the
        gradient of its penalty goes with that of the outputs.
        """
        update = self.update_ if self.module_.training else Update()
        inputs, lengths = x["x"], x["lengths"]
        if update.noise:
            inputs = with_noise(inputs, lengths, update.noise, self.progress_.n_updates)
        if update.penalty and getattr(self.module_, "has_memory", False):
            fit_params = {**fit_params, "return_states": "heads"}
        given = {"x": inputs, "lengths": lengths}
        outputs, *rest = _as_tuple(super().infer(given, **fit_params))
        _check_outputs(outputs, inputs)
        if "return_states" in fit_params:
            penalty = update.penalty * self.module_.penalty(rest[-1]).mean()
            outputs = _AddToGradient.apply(outputs, penalty)
        return self._select(outputs, lengths)

    def get_loss(
        self, y_pred: Tensor, y_true: Any, X: Any = None, training: bool = False
    ) -> Tensor:
        """Return the loss summed over each sequence's targets, averaged over sequences.

        A missing target has weight 0, and neither padding nor the other sequences of a
        batch change what a sequence adds to the gradient.
        """
        target = to_tensor(y_true, device=self.device)
        weight = to_tensor(X["weight"], device=self.device)
        if target.is_floating_point():
            losses = self.criterion_(y_pred.flatten(), target.flatten())
        else:
            losses = self.criterion_(y_pred.flatten(0, -2), target.flatten())
        return (losses * weight.flatten()).sum() / len(target)

    def get_split_datasets(
        self, X: Any, y: Any = None, **fit_params: Any
    ) -> tuple[Dataset, Dataset | None]:
        """Return the parts that are trained on and held out, both of packed sequences."""
        if isinstance(self.train_split, ValidSplit) and X.targets.ndim == 1:
            y = X.targets.numpy()  # to stratify by
        train, valid = super().get_split_datasets(X, y, **fit_params)
        if valid is not None and self.encode_ is not None and not holds_sequences(valid):
            valid = self.encode_(valid)
        return train, valid

    # Prediction

    def __sklearn_tags__(self):
        """Say what the net is, as scikit-learn's scorers ask."""
        tags = super().__sklearn_tags__()
        if self.n_classes is not None:
            tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags()
        return tags

    @property
    def classes_(self) -> NDArray[np.int64]:
        """Class numbers, as trained on."""
        if self.n_classes is None:
            raise AttributeError("the net does not tell classes apart")
        return np.arange(self.n_classes)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return class numbers, 0/1 indicators or standardised values, as trained on.

        This is what skorch's own scoring callbacks call. The estimators' ``predict`` gives
        labels and values in their units.
        """
        outputs = self.predict_proba(X)
        if self.n_classes is not None:
            return outputs.argmax(axis=-1)
        if isinstance(self.criterion_, torch.nn.BCEWithLogitsLoss):
            return (outputs > 0.5).astype(np.int64)
        return outputs

    @torch.no_grad()
    def predict_outputs(
        self, values: NDArray[np.float64], lengths: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return outputs of shape (n_samples, [longest,] n_outputs).

        A prediction does not depend on the batch it is in. The kernels sum in an order of
        their own whatever the batch, in single precision; the reference path, and
        sequences that overflow in the kernels, are computed in double precision.
        """
        self._set_training(False)
        if self.backend != "fused":
            return self._outputs_in_double(values, lengths)
        outputs = self._run_batches(self.module_, values, lengths, "fused")
        finite = np.isfinite(outputs).reshape(len(outputs), -1).all(axis=1)
        if not finite.all():
            rows = np.flatnonzero(~finite)
            outputs[rows] = self._outputs_in_double(values[rows], lengths[rows])
        return outputs

    def _outputs_in_double(
        self, values: NDArray[np.float64], lengths: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        on_mps = torch.device(self.device).type == "mps"  # which has no double precision
        module = _copy_in(torch.float32 if on_mps else torch.float64, self.module_)
        module.backend = "reference"
        return self._run_batches(module, values, lengths, "reference")

    def _run_batches(
        self,
        module: Any,
        values: NDArray[np.float64],
        lengths: NDArray[np.int64],
        backend: str,
    ) -> NDArray[np.float64]:
        """Run batches of sequences of like lengths."""
        rest = np.argsort(lengths, kind="stable")
        parameter = next(module.parameters())
        size = max(self.batch_size, PREDICTION_BATCH[backend])
        result: Any = None
        while len(rest):
            rows, rest = rest[:size], rest[size:]
            longest = lengths[rows[-1]]
            x = torch.from_numpy(values[rows, :longest]).to(parameter)
            n_steps = torch.from_numpy(lengths[rows])
            outputs = _as_tuple(module(x, n_steps))[0]
            selected = self._select(outputs, n_steps).double().cpu().numpy()
            if result is None:
                axes = values.shape[: 2 if self.per_step else 1]
                result = np.zeros((*axes, selected.shape[-1]))
            if self.per_step:
                result[rows, :longest] = selected
            else:
                result[rows] = selected
        return result

    @property
    def backend(self) -> str:
        """What sequences are run by, "fused" or "reference"."""
        if not hasattr(self.module_, "backend_for"):
            return "reference"
        return self.module_.backend_for(next(self.module_.parameters()))

    def _select(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        if self.per_step:
            return outputs
        return outputs[torch.arange(len(outputs)), lengths - 1]

    # State

    def snapshot(self) -> dict[str, Any]:
        """Return copies of the weights, the optimizer's state and how far things are."""
        return {
            "module": copy.deepcopy(self.module_.state_dict()),
            "optimizer": copy.deepcopy(self.optimizer_.state_dict()),
            "progress": asdict(self.progress_),
            "stream_params": dict(self.stream_params_),
            "chance_loss": self.chance_loss_,
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Go back to a snapshot."""
        self.module_.load_state_dict(snapshot["module"])
        self.optimizer_.load_state_dict(copy.deepcopy(snapshot["optimizer"]))
        self.progress_ = Progress(**snapshot["progress"])
        self.stream_params_ = dict(snapshot["stream_params"])
        self.chance_loss_ = snapshot["chance_loss"]

    def __getstate__(self) -> dict[str, Any]:
        """Return parameters and plain arrays; the modules are built again on load."""
        rebuilt = {"_modules", "_criteria", "_optimizers"}
        params = {
            name: value
            for name, value in vars(self).items()
            if not name.endswith("_") and name not in rebuilt
        }
        history = [
            {name: value for name, value in epoch.items() if name != "batches"}
            for epoch in self.history.to_list()
        ]
        return {
            "params": params,
            "history": history,
            "weights": _map_leaves(lambda t: t.cpu().numpy(), Tensor, self.snapshot()),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        params = {**state["params"], "device": _available(state["params"]["device"])}
        self.__dict__.update(params, history_=None, initialized_=False, virtual_params_={})
        with seeded_construction():
            self.initialize()
            self.restore(_map_leaves(torch.tensor, np.ndarray, state["weights"]))
        self.history_ = History([{**epoch, "batches": []} for epoch in state["history"]])


class _AddToGradient(torch.autograd.Function):
    """Outputs as they are, whose gradient brings that of a penalty with it."""

    @staticmethod
    def forward(ctx: Any, outputs: Tensor, penalty: Tensor) -> Tensor:
        ctx.save_for_backward(penalty)
        return outputs.view_as(outputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        return gradient, torch.ones_like(ctx.saved_tensors[0])


def with_noise(values: Tensor, lengths: Tensor, scale: float, seed: int) -> Tensor:
    """Add normal noise to a batch's features, in proportion to their deviation in it.

    Parameters
    ----------
    values : Tensor of shape (batch, n_timesteps, n_features)
    lengths : Tensor of shape (batch,)
    scale : float
        Standard deviation of the noise, as a part of that of the present steps.
    seed : int
        Such as the number of updates, so that a training can be repeated and continued.

    Returns
    -------
    noisy : Tensor of the shape and dtype of values
    """
    present = torch.arange(values.shape[1]) < lengths.unsqueeze(1)
    deviation = values[present].double().std(0, correction=0)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(values.shape, generator=generator, dtype=torch.float64)
    limit = torch.finfo(values.dtype).max
    noisy = values + scale * deviation * noise
    return noisy.clamp(-limit, limit).to(values.dtype)


def _copy_in(dtype: torch.dtype, module: torch.nn.Module) -> Any:
    """Copy a module with its parameters and buffers in another precision."""
    memo: dict[int, Any] = {}
    for parameter in module.parameters():
        memo[id(parameter)] = torch.nn.Parameter(parameter.to(dtype), requires_grad=False)
    for buffer in module.buffers():
        memo[id(buffer)] = buffer.to(dtype) if buffer.is_floating_point() else buffer
    return copy.deepcopy(module, memo)


def _as_tuple(results: Any) -> tuple[Any, ...]:
    """Return what a module gives: its outputs alone, or a tuple that begins with them."""
    return results if isinstance(results, tuple) else (results,)


def _check_outputs(outputs: Any, inputs: Tensor) -> None:
    n_sequences, n_timesteps = inputs.shape[:2]
    shape = getattr(outputs, "shape", None)
    if shape is None or len(shape) != 3 or shape[:2] != inputs.shape[:2]:
        found = f"shape {tuple(shape)}" if shape is not None else type(outputs).__name__
        raise ValueError(
            f"the module gave outputs of {found}; a module in net_params should return a "
            "tensor of shape (batch, n_timesteps, n_outputs), here "
            f"({n_sequences}, {n_timesteps}, n_outputs), or a tuple that begins with it"
        )


def _available(device: Any) -> str:
    """Return a device, or the CPU with a warning where this machine does not have it."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):
        warnings.warn(
            f"The device {str(device)!r}, which this model was on, is not available here; "
            "it is loaded on the CPU",
            DeviceWarning,
            stacklevel=4,
        )
        return "cpu"
    return str(device)


def _map_leaves(function: Any, leaf: type, tree: Any) -> Any:
    """Apply a function to the leaves of nested mappings and lists."""
    if isinstance(tree, leaf):
        return function(tree)
    if isinstance(tree, Mapping):
        return {key: _map_leaves(function, leaf, part) for key, part in tree.items()}
    if isinstance(tree, list):
        return [_map_leaves(function, leaf, part) for part in tree]
    return tree
