"""The state of a net: snapshots to go back to, and pickles of plain arrays."""

import copy
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from skorch.callbacks import PassthroughScoring
from skorch.exceptions import DeviceWarning
from skorch.history import History
from torch import Tensor

from sknt._runtime import seeded_construction
from sknt.training.devices import why_unavailable
from sknt.training.progress import Progress


class KeepsState:
    """Snapshots and pickling of a net, whose modules are rebuilt on loading."""

    callbacks_: list[tuple[str, Any]]
    module_: Any
    optimizer_: Any
    history: Any
    initialize: Any

    def epoch_records(self) -> list[dict[str, Any]]:
        """Return what the history has of each epoch, without its batches."""
        return [
            {name: value for name, value in epoch.items() if name != "batches"}
            for epoch in self.history.to_list()
        ]

    def snapshot(self) -> dict[str, Any]:
        """Return copies of the weights, the optimizer's state and the progress."""
        return {
            "module": _map_leaves(_copied, Tensor, self.module_.state_dict()),
            "optimizer": _map_leaves(_copied, Tensor, self.optimizer_.state_dict()),
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

    def kept_params(self) -> dict[str, Any]:
        """Return the net's arguments, and whatever else is not rebuilt on loading.

        The accelerator belongs to the processes that train, not to what they have learned.
        """
        rebuilt = {"_modules", "_criteria", "_optimizers", "accelerator"}
        return {
            name: value
            for name, value in vars(self).items()
            if not name.endswith("_") and name not in rebuilt
        }

    def __getstate__(self) -> dict[str, Any]:
        """Return parameters and plain arrays; the modules are rebuilt on loading."""
        return {
            "params": self.kept_params(),
            "history": self.epoch_records(),
            "weights": _map_leaves(lambda t: t.cpu().numpy(), Tensor, self.snapshot()),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.rebuild(state["params"])
        self.refill(state["weights"], state["history"])

    def rebuild(self, params: dict[str, Any]) -> None:
        """Set the net's arguments, and build its modules anew."""
        params = {**params, "device": _available(params["device"])}
        self.__dict__.update(params, history_=None, initialized_=False, virtual_params_={})
        with seeded_construction():
            self.initialize()

    def refill(self, weights: Mapping[str, Any], history: list[dict[str, Any]]) -> None:
        """Put weights, the optimizer's state and the history into a net that is rebuilt."""
        with seeded_construction():
            self.restore(_map_leaves(torch.tensor, np.ndarray, weights))
        self.history_ = History([{**epoch, "batches": []} for epoch in history])
        for _, callback in self.callbacks_:
            if isinstance(callback, PassthroughScoring):
                best = f"{callback.name}_best"
                scores = [epoch[callback.name] for epoch in history if epoch.get(best)]
                callback.best_score_ = scores[-1] if scores else callback.best_score_


def _available(device: Any) -> Any:
    """Return a device, or, with a warning, the CPU if this machine does not have it."""
    if why_unavailable(device):
        warnings.warn(
            f"The device {str(device)!r}, which this model was on, is not available here; "
            "it is loaded on the CPU",
            DeviceWarning,
            stacklevel=4,
        )
        return "cpu"
    return device


def _copied(tensor: Tensor) -> Tensor:
    return tensor.detach().clone()


def _map_leaves(function: Any, leaf: type, tree: Any) -> Any:
    """Apply a function to the leaves of nested mappings and lists."""
    if isinstance(tree, leaf):
        return function(tree)
    if isinstance(tree, Mapping):
        return {key: _map_leaves(function, leaf, part) for key, part in tree.items()}
    if isinstance(tree, list):
        return [_map_leaves(function, leaf, part) for part in tree]
    return tree
