"""Training: the data set, its batches, and the skorch net with its masked loss."""

import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch import NeuralNet
from skorch.history import History
from skorch.utils import get_map_location, to_tensor
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from sknt._runtime import seeded_construction
from sknt.callbacks import Schedule

PREDICTION_BATCH = {"fused": 512, "reference": 128}
"""Batches of at least so many sequences at prediction, where larger ones are faster."""


class SequenceDataset(Dataset):
    """Packed sequences, their targets and the targets' weights.

    Parameters
    ----------
    values : ndarray of shape (n_samples, longest, n_features)
    lengths : ndarray of shape (n_samples,)
    targets : ndarray of shape (n_samples, [longest,] [n_outputs]) or None
        Class numbers (integers) or values (floats); anything finite where the weight
        is 0. None at prediction.
    weights : ndarray of the targets' shape or None
        Weight of each target in the loss, 0 for a missing one.
    per_step : bool, default=False
        Whether axis 1 of the targets is the steps.
    """

    def __init__(
        self,
        values: NDArray[Any],
        lengths: NDArray[np.int64],
        targets: NDArray[Any] | None = None,
        weights: NDArray[np.float32] | None = None,
        per_step: bool = False,
    ):
        self.values = torch.from_numpy(values)
        self.lengths = torch.from_numpy(lengths)
        self.targets = self.weights = torch.zeros(len(values))
        if targets is not None and weights is not None:
            self.targets = torch.from_numpy(targets)
            self.weights = torch.from_numpy(weights)
        self.per_step = per_step

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: Any) -> tuple[dict[str, Tensor], Tensor]:
        """Return a sample, or for a list of numbers a batch cut to its longest."""
        values, lengths = self.values[index], self.lengths[index]
        targets, weights = self.targets[index], self.weights[index]
        if lengths.ndim:
            longest = int(lengths.max())
            values = values[:, :longest]
            if self.per_step:
                targets, weights = targets[:, :longest], weights[:, :longest]
        return {"x": values, "lengths": lengths, "weight": weights}, targets


class BatchSampler(Sampler):
    """Numbers of samples, in order or shuffled by a generator of its own."""

    def __init__(
        self,
        n_samples: int,
        batch_size: int,
        random_state: np.random.RandomState | None = None,
    ):
        self.n_samples = n_samples
        self.batch_size = batch_size
        self.random_state = random_state

    def __len__(self) -> int:
        return -(-self.n_samples // self.batch_size)

    def __iter__(self) -> Iterator[Tensor]:
        order = np.arange(self.n_samples)
        if self.random_state is not None:
            self.random_state.shuffle(order)
        for start in range(0, self.n_samples, self.batch_size):
            yield torch.from_numpy(order[start : start + self.batch_size])


def sequence_loader(
    dataset: Dataset,
    batch_size: int,
    random_state: np.random.RandomState | None = None,
    **kwargs: Any,
) -> DataLoader:
    """Load whole batches at once, without touching torch's global generator."""
    sampler = BatchSampler(len(dataset), batch_size, random_state)  # type: ignore[arg-type]
    return DataLoader(
        dataset, batch_size=None, sampler=sampler, generator=torch.Generator(), **kwargs
    )


class TrainingStopped(KeyboardInterrupt):
    """A callback ended the training, as skorch's do by raising KeyboardInterrupt."""


class SequenceNet(NeuralNet):
    """skorch's net for sequences: masked loss, double-precision prediction, slim state.

    Parameters
    ----------
    module, criterion, **kwargs
        As in skorch. The criterion is called with ``reduction="none"`` on the flattened
        outputs and targets.
    per_step : bool, default=False
        Whether there is a target for each step; otherwise the output is read at each
        sequence's last step.
    """

    def __init__(
        self,
        module: Any,
        criterion: Any,
        *,
        per_step: bool = False,
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

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call the callbacks; tell their way to stop from a user's Ctrl-C."""
        try:
            super().notify(method_name, **cb_kwargs)
        except KeyboardInterrupt as stop:
            raise TrainingStopped from stop

    def initialize(self) -> "SequenceNet":
        """Build the modules and the optimizer; nothing is learned yet."""
        self.schedule_ = Schedule()
        self.stream_params_: dict[str, Any] = {}
        self.penalty_ = self.noise_ = self.chance_loss_ = 0.0
        return super().initialize()

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        """Compute the loss of a batch and its gradient, that of a penalty included.

        The inputs are those of the batch with noise.
        """
        x, target = batch
        if self.noise_:
            x = {**x, "x": self._with_noise(x["x"], x["lengths"])}
            batch = x, target
        if not self.penalty_ or not getattr(self.module_, "has_memory", False):
            step = super().train_step_single(batch, **fit_params)
        else:
            self._set_training(True)
            inputs = (to_tensor(x[name], device=self.device) for name in ("x", "lengths"))
            outputs, _, trace = self.module_(*inputs, return_states="heads")
            y_pred = self._select(outputs, x["lengths"])
            loss = self.get_loss(y_pred, target, X=x, training=True)
            (loss + self.penalty_ * self.module_.penalty(trace).mean()).backward()
            step = {"loss": loss, "y_pred": y_pred}
        total = float(x["weight"].sum()) * self.chance_loss_
        summed = float(step["loss"].detach()) * len(target)
        self.schedule_.count(len(target), summed / total if total else math.inf)
        return step

    def _with_noise(self, values: Tensor, lengths: Tensor) -> Tensor:
        """Add normal noise to a batch's features, in proportion to their deviation in it.

        It goes by the number of updates, so that a training can be repeated and continued.
        """
        present = torch.arange(values.shape[1]) < lengths.unsqueeze(1)
        deviation = values[present].double().std(0, correction=0)
        generator = torch.Generator().manual_seed(self.schedule_.n_updates)
        noise = torch.randn(values.shape, generator=generator, dtype=torch.float64)
        limit = torch.finfo(values.dtype).max
        noisy = values + self.noise_ * deviation * noise
        return noisy.clamp(-limit, limit).to(values.dtype)

    def infer(self, x: Mapping[str, Tensor], **fit_params: Any) -> Tensor:
        """Return the outputs that have targets: of each step, or of each last one."""
        inputs = {name: x[name] for name in ("x", "lengths")}
        outputs, _ = super().infer(inputs, **fit_params)
        return self._select(outputs, x["lengths"])

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

    @torch.no_grad()
    def predict_outputs(
        self, values: NDArray[np.float64], lengths: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return outputs of shape (n_samples, [longest,] n_outputs).

        A prediction does not depend on the batch it is in. The kernels sum in an order of
        their own whatever the batch, in single precision; the reference path, and what
        overflows in the kernels, is computed in double precision.
        """
        if self.backend == "fused":
            result = self._outputs(self.module_, values, lengths)
            if np.isfinite(result).all():
                return result
        on_mps = torch.device(self.device).type == "mps"
        module = copy.deepcopy(self.module_).to(torch.float32 if on_mps else torch.float64)
        module.backend = "reference"
        return self._outputs(module.eval(), values, lengths)

    def _outputs(
        self,
        module: Any,
        values: NDArray[np.float64],
        lengths: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """Run batches of sequences of like lengths."""
        rest = np.argsort(lengths, kind="stable")
        parameter = next(module.parameters())
        size = max(self.batch_size, PREDICTION_BATCH[module.backend_for(parameter)])
        result: Any = None
        while len(rest):
            rows, rest = rest[:size], rest[size:]
            longest = lengths[rows[-1]]
            x = torch.from_numpy(values[rows, :longest]).to(parameter)
            n_steps = torch.from_numpy(lengths[rows])
            outputs = self._select(module(x, n_steps)[0], n_steps).double().cpu().numpy()
            if result is None:
                axes = values.shape[: 2 if self.per_step else 1]
                result = np.zeros((*axes, outputs.shape[-1]))
            if self.per_step:
                result[rows, :longest] = outputs
            else:
                result[rows] = outputs
        return result

    @property
    def backend(self) -> str:
        """What sequences are run by, "fused" or "reference"."""
        parameter = next(self.module_.parameters())
        return self.module_.backend_for(parameter)

    def _select(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        if self.per_step:
            return outputs
        return outputs[torch.arange(len(outputs)), lengths - 1]

    def scale_learning_rate(self, factor: float) -> None:
        """Set the learning rate to a part of itself.

        The change is relative to the last factor, so that other schedules and rates by
        group of parameters keep their meaning.
        """
        if factor != self.schedule_.factor:
            for group in self.optimizer_.param_groups:
                group["lr"] *= factor / self.schedule_.factor
            self.schedule_.factor = factor

    def take_orthogonal_steps(self, whether: bool) -> None:
        """Let an optimizer that switches take Muon's steps, or Adam's."""
        for group in self.optimizer_.param_groups:
            if group.get("switches"):
                group["orthogonal"] = whether

    def snapshot(self) -> dict[str, Any]:
        """Return copies of the weights, the optimizer's state and how far things are."""
        return {
            "module": copy.deepcopy(self.module_.state_dict()),
            "optimizer": copy.deepcopy(self.optimizer_.state_dict()),
            "schedule": asdict(self.schedule_),
            "stream_params": dict(self.stream_params_),
            "chance_loss": self.chance_loss_,
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Go back to a snapshot."""
        self.module_.load_state_dict(snapshot["module"])
        self.optimizer_.load_state_dict(copy.deepcopy(snapshot["optimizer"]))
        self.schedule_ = Schedule(**snapshot["schedule"])
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
        params = state["params"]
        params["device"] = str(get_map_location(params["device"]))
        self.__dict__.update(params, history_=None, initialized_=False, virtual_params_={})
        with seeded_construction():
            self.initialize()
        self.restore(_map_leaves(torch.tensor, np.ndarray, state["weights"]))
        self.history_ = History([{**epoch, "batches": []} for epoch in state["history"]])


def _map_leaves(function: Any, leaf: type, tree: Any) -> Any:
    """Apply a function to the leaves of nested mappings and lists."""
    if isinstance(tree, leaf):
        return function(tree)
    if isinstance(tree, Mapping):
        return {key: _map_leaves(function, leaf, part) for key, part in tree.items()}
    if isinstance(tree, list):
        return [_map_leaves(function, leaf, part) for part in tree]
    return tree
