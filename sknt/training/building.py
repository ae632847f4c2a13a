"""Builds an estimator's net from its parameters and the user's net_params."""

import copy
import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback

from sknt._runtime import seeded_construction
from sknt.nn import SequenceNetwork
from sknt.training.devices import why_unavailable
from sknt.training.net import SequenceNet
from sknt.training.optimizers import OPTIMIZERS, RELATIVE_EPSILON, UNCLIPPED_EPSILON

OWN_PARAMETERS = {
    "lr": "learning_rate",
    "max_epochs": "max_epochs",
    "batch_size": "batch_size",
    "device": "device",
    "warm_start": "warm_start",
    "verbose": "verbose",
    "per_step": "return_sequences",
    "input_noise": "input_noise",
    "optimizer__lr": "learning_rate",
}
"""Arguments of the net that are parameters of the estimators."""

FROM_TARGETS = ("n_outputs", "classifies")
"""Arguments of the net that follow from y."""

CALLED = {
    "optimizer": "a class of torch.optim; for one of "
    f"{sorted(OPTIMIZERS)} set the estimator's optimizer instead",
    "criterion": "a loss, such as torch.nn.HuberLoss",
    "iterator_train": "a class such as torch.utils.data.DataLoader",
    "iterator_valid": "a class such as torch.utils.data.DataLoader",
    "train_split": "a split, such as skorch.dataset.ValidSplit(5), or None",
}
"""Arguments of the net that it calls, and what to give for each."""


def make_net(
    network_params: Mapping[str, Any],
    net_params: Mapping[str, Any] | None,
    *,
    optimizer: str,
    max_grad_norm: float | None,
    init_seed: int,
    shuffle_seed: int,
    **kwargs: Any,
) -> SequenceNet:
    """Build an initialized net.

    Parameters
    ----------
    network_params : mapping
        Arguments of SequenceNetwork.
    net_params : mapping or None
        The user's arguments of the net, which take precedence over the others. They are
        copied, so that callbacks among them serve a single fit.
    optimizer : str
        A key of OPTIMIZERS.
    max_grad_norm : float or None
        What ε is relative to.
    init_seed, shuffle_seed : int
    **kwargs
        Other arguments of the net.

    Raises
    ------
    ValueError
        If net_params has a name that skorch does not know or that is a parameter of the
        estimator, or the device is not available.
    """
    chosen = copy.deepcopy(dict(net_params or {}))
    _check_net_params(chosen, network_params)
    _check_device(kwargs["device"])
    ours = {
        "module": SequenceNetwork,
        "train_split": None,
        "verbose": 0,
        **_module_params(chosen.get("module", SequenceNetwork), network_params),
        **_optimizer_params(optimizer, max_grad_norm, "optimizer" in chosen),
        **kwargs,
    }
    ours["n_outputs"] = network_params["n_outputs"]
    ours["draw_seed"] = init_seed
    ours["classifies"] = ours["criterion"] is torch.nn.CrossEntropyLoss
    if ours["criterion"] is torch.nn.BCEWithLogitsLoss:
        ours["predict_nonlinearity"] = torch.nn.Sigmoid()  # skorch's own is for one output
    if "iterator_train" not in chosen:
        ours["iterator_train__random_state"] = np.random.RandomState(shuffle_seed)
    net = SequenceNet(**ours | chosen)
    with seeded_construction(init_seed):
        net.initialize()
    return net


def _module_params(module: Any, network_params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments to build a module with; a module that is built takes none.

    A custom module takes ``n_inputs`` and ``n_outputs``, and those of the other arguments
    that its constructor names.
    """
    if isinstance(module, torch.nn.Module):
        return {}
    try:
        parameters = inspect.signature(module).parameters.values()
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"net_params has module={module!r}; give a class of torch.nn.Module, or a "
            "module"
        ) from error
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    named = {parameter.name for parameter in parameters}
    missing = {"n_inputs", "n_outputs"} - named
    if missing and not takes_all:
        raise ValueError(
            f"net_params has module={module.__name__}, whose constructor does not take "
            f"{sorted(missing)}; it is called with n_inputs and n_outputs, the numbers of "
            "features per step and of outputs, and with any other of the parameters "
            f"{sorted(network_params)} that it names"
        )
    return {
        f"module__{name}": value
        for name, value in network_params.items()
        if takes_all or name in named
    }


def _optimizer_params(
    name: str, max_grad_norm: float | None, is_custom: bool
) -> dict[str, Any]:
    optimizer, settings = OPTIMIZERS[name]
    params: dict[str, Any] = {"optimizer": optimizer}
    if is_custom:  # it has settings of its own
        return params
    params |= {f"optimizer__{key}": value for key, value in settings.items()}
    if name in RELATIVE_EPSILON:
        epsilon = RELATIVE_EPSILON[name] * max_grad_norm if max_grad_norm else None
        params["optimizer__eps"] = epsilon or UNCLIPPED_EPSILON
    return params


def _check_device(device: Any) -> None:
    if reason := why_unavailable(device):
        raise ValueError(
            f"device={str(device)!r} is not available here ({reason}); use device='cpu'"
        )


def _check_net_params(chosen: Mapping[Any, Any], network_params: Mapping[str, Any]) -> None:
    own = OWN_PARAMETERS | {f"module__{name}": name for name in network_params}
    for name in chosen:
        if not isinstance(name, str):
            raise ValueError(f"net_params has the key {name!r}; give names of arguments")
        if name in FROM_TARGETS:
            raise ValueError(f"net_params has {name!r}, which follows from y; leave it out")
        if name in own:
            raise ValueError(
                f"net_params has {name!r}, which is a parameter of the estimator; set "
                f"{own[name]} instead"
            )
    if "criterion__reduction" in chosen:
        raise ValueError(
            "net_params has 'criterion__reduction', which is always 'none': the loss is "
            "summed over a sequence's targets, without the missing ones"
        )
    for name, wanted in CALLED.items():
        if chosen.get(name) is not None and not callable(chosen[name]):
            raise ValueError(f"net_params has {name}={chosen[name]!r}; give {wanted}")
    _check_callbacks(chosen.get("callbacks"))


def _check_callbacks(callbacks: Any) -> None:
    if callbacks is None or (isinstance(callbacks, str) and callbacks == "disable"):
        return
    if not isinstance(callbacks, list | tuple):
        raise ValueError(
            f"net_params has callbacks={callbacks!r}; give a list of skorch's callbacks"
        )
    for item in callbacks:
        callback = item[1] if isinstance(item, tuple) and len(item) == 2 else item
        kind = callback if isinstance(callback, type) else type(callback)
        if not issubclass(kind, Callback):
            raise ValueError(
                f"net_params has callbacks with {item!r}, which is not a subclass of "
                "skorch.callbacks.Callback, nor a pair of a name and such a callback"
            )
