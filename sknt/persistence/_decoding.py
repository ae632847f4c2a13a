"""Putting a model together from what :mod:`sknt.persistence._encoding` has made of it.

Everything comes from a file that may be forged. Each node has to have the keys of its kind
and no others, classes are looked up in :mod:`sknt.persistence._classes`, and nothing is
called but their constructors and the functions of this package.
"""

import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.metadata_routing import MetadataRequest

from sknt._base import SequenceEstimator
from sknt.convolutions.model import ConvolutionalRidge
from sknt.nn import SequenceNetwork
from sknt.persistence._checks import check_convolutions, check_estimator
from sknt.persistence._classes import (
    CLASSES,
    ESTIMATORS,
    SCHEDULES,
    STATES,
    VALUES,
    class_of,
    is_listed,
)
from sknt.persistence._networks import (
    check_arguments,
    check_module,
    check_optimizer,
    check_weights,
)
from sknt.persistence._numbers import decode_scalar, dtype_of, restored
from sknt.training.net import SequenceNet

N_KEYS = 624
"""Numbers that the state of a RandomState consists of."""

OBJECTS = {"array", "tensor", "random_state", "object", "net"}
"""Nodes that may have an ``id``."""


class Decoder:
    """Rebuilds a model.

    Parameters
    ----------
    tensors : dict of ndarray
    device : str or None
        The device of all networks; None leaves each on its own.

    Attributes
    ----------
    classes : list of str
        Names of the objects' classes, in the order in which they were rebuilt.
    """

    def __init__(self, tensors: dict[str, NDArray[Any]], device: str | None):
        self.classes: list[str] = []
        self._tensors = tensors
        self._unused = set(tensors)
        self._device = device
        self._known: dict[int, Any] = {}  # objects by their id
        self._kinds: dict[str, Callable[[Any], Any]] = {
            "float": _float,
            "tuple": lambda parts: tuple(map(self._decode, _list(parts))),
            "set": lambda parts: set(map(self._decode, _list(parts))),
            "dict": self._dict,
            "pairs": self._pairs,
            "slice": lambda parts: slice(*(self._decode(p) for p in _list(parts, 3))),
            "bytes": bytes.fromhex,
            "scalar": lambda parts: decode_scalar(*_list(parts, 2)),
            "array": self._array,
            "tensor": self._tensor,
            "dtype": dtype_of,
            "device": lambda text: torch.device(str(text)),
            "random_state": self._random_state,
            "class": lambda name: class_of(name, CLASSES),
            "net": self._net,
            "ref": lambda number: self._known[number],
        }

    def decode(self, model: Any) -> Any:
        """Return the model.

        Raises
        ------
        ValueError
            If the file is not valid. Other errors mean the same.
        """
        result = self._decode(model)
        if self._unused:
            raise ValueError(f"nothing needs its tensors {sorted(self._unused)[:3]}")
        return result

    def _decode(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self._decode(part) for part in node]
        if not isinstance(node, dict):
            return node
        kind = next(iter(node), None)
        number = node.get("id")
        if kind == "object":
            result = self._object(**{k: v for k, v in node.items() if k != "id"})
        elif kind in self._kinds and set(node) - {"id"} == {kind}:
            result = self._kinds[kind](node[kind])
        else:
            raise ValueError(f"it has an entry with the unknown fields {sorted(node)}")
        if number is not None:
            if kind not in OBJECTS or type(number) is not int or number in self._known:
                raise ValueError(f"it has the number {number!r} for an entry of {kind!r}")
            self._known[number] = result
        return result

    # Containers and numbers

    def _dict(self, parts: Any) -> dict[str, Any]:
        if not isinstance(parts, dict):
            raise ValueError("a dictionary has no keys")
        return {key: self._decode(part) for key, part in parts.items()}

    def _pairs(self, parts: Any) -> dict[Any, Any]:
        pairs = [tuple(map(self._decode, _list(pair, 2))) for pair in _list(parts)]
        return dict(pairs)

    def _take(self, name: Any) -> NDArray[Any]:
        self._unused.discard(name)
        return self._tensors[name]

    def _array(self, spec: dict[str, Any]) -> NDArray[Any]:
        if set(spec) == {"shape", "items"}:
            shape = tuple(_list(spec["shape"]))
            items = np.empty(len(_list(spec["items"])), object)
            for i, item in enumerate(spec["items"]):  # which may be sequences themselves
                items[i] = self._decode(item)
            return items.reshape(shape)
        if set(spec) != {"dtype", "order", "tensor"} or spec["order"] not in ("C", "F"):
            raise ValueError(f"an array has the fields {sorted(spec)}")
        return restored(self._take(spec["tensor"]), spec["dtype"], spec["order"])

    def _tensor(self, node: dict[str, Any]) -> torch.Tensor:
        if set(node) != {"array"}:
            raise ValueError("a tensor without numbers")
        return torch.from_numpy(self._array(node["array"]))

    def _random_state(self, parts: Any) -> np.random.RandomState:
        name, position, has_gauss, gauss = _list(parts, 4)
        keys = self._take(name)
        fits = keys.shape == (N_KEYS,) and keys.dtype == np.uint32 and keys.any()
        if not fits or type(position) is not int or not 0 <= position <= N_KEYS:
            raise ValueError("the state of a random generator is not valid")
        if has_gauss not in (0, 1):
            raise ValueError("the state of a random generator is not valid")
        generator = np.random.RandomState()
        state = ("MT19937", keys, position, has_gauss, float(self._decode(gauss)))
        generator.set_state(state)
        return generator

    # Objects

    def _object(
        self, object: str, params: Any = None, fitted: Any = None, requests: Any = None
    ) -> Any:
        self.classes.append(object)
        if is_listed(object, VALUES):
            arguments = self._dict(params)
            if fitted is not None or requests is not None:
                raise ValueError(f"{object} has attributes beside its arguments")
            if arguments.get("policy", SCHEDULES[0]) not in SCHEDULES:
                raise ValueError(f"a learning-rate schedule {arguments['policy']!r}")
            return class_of(object, VALUES)(**arguments)
        if is_listed(object, STATES):
            made = _made(class_of(object, STATES), self._dict(fitted))
            if params is not None or requests is not None:
                raise ValueError(f"{object} has parameters")
            if isinstance(made, ConvolutionalRidge):
                check_convolutions(made)
            return made
        cls: Any = class_of(object, ESTIMATORS)
        arguments = self._dict(params)
        if unknown := sorted(set(arguments) - set(inspect.signature(cls).parameters)):
            raise ValueError(f"{object} has no parameters {unknown} in this release")
        attributes = self._moved_fit(cls, self._dict(fitted))
        if doubled := sorted(set(attributes) & set(inspect.signature(cls).parameters)):
            raise ValueError(f"{object} has the parameters {doubled} as attributes, too")
        estimator = cls(**self._moved(cls, arguments))
        if cls.__name__ == "Pipeline" and estimator.memory is not None:
            raise ValueError("a pipeline has a cache, whose pickles a fit would open")
        _set_attributes(estimator, attributes)
        if requests is not None:
            estimator._metadata_request = _requests(self._decode(requests), estimator)
        if isinstance(estimator, SequenceEstimator):
            check_estimator(estimator)
            if hasattr(estimator, "net_") and not hasattr(estimator, "history_"):
                estimator.history_ = estimator.net_.epoch_records()
        return estimator

    def _moved(self, cls: type, params: dict[str, Any]) -> dict[str, Any]:
        """Return an estimator's parameters with the device to load it on."""
        if self._device is None or not issubclass(cls, SequenceEstimator):
            return params
        return params | {"device": self._device}

    def _moved_fit(self, cls: type, fitted: dict[str, Any]) -> dict[str, Any]:
        if "_fitted_params" not in fitted:
            return fitted
        return fitted | {"_fitted_params": self._moved(cls, fitted["_fitted_params"])}

    def _net(self, parts: dict[str, Any]) -> SequenceNet:
        if set(parts) != {"params", "history", "weights"}:
            raise ValueError(f"a network has the fields {sorted(parts)}")
        params = self._dict(parts["params"])
        if self._device is not None:
            params["device"] = self._device
        check_arguments(params)
        weights = self._decode(parts["weights"])
        history = self._decode(parts["history"])
        check_weights(weights)
        check_module(params, weights["module"])
        net = SequenceNet(SequenceNetwork, **params)
        net.rebuild(net.kept_params())
        check_optimizer(net.optimizer_, weights["optimizer"])
        net.refill(weights, history)
        return net


def _made(cls: Any, attributes: dict[str, Any]) -> Any:
    made = cls.__new__(cls)
    _set_attributes(made, attributes)
    return made


def _set_attributes(owner: Any, attributes: dict[str, Any]) -> None:
    """Set attributes that shadow nothing of the class."""
    for name, value in attributes.items():
        if not re.fullmatch(r"(?!__)[A-Za-z_]\w*", name) or hasattr(type(owner), name):
            raise ValueError(f"{type(owner).__name__} cannot have an attribute {name!r}")
        vars(owner)[name] = value


def _requests(by_method: Any, owner: Any) -> MetadataRequest:
    """Return which metadata an estimator asks for."""
    result = MetadataRequest(owner=owner)
    for method, parts in by_method.items():
        if method not in vars(result) or method == "owner":
            raise ValueError(f"metadata for the unknown method {method!r}")
        for param, alias in parts.items():
            getattr(result, method).add_request(param=param, alias=alias)
    return result


def _float(text: Any) -> float:
    if text not in ("nan", "inf", "-inf"):
        raise ValueError(f"the number {text!r}")
    return np.nan if text == "nan" else float(text)  # this object is the usual one


def _list(parts: Any, length: int | None = None) -> list[Any]:
    if not isinstance(parts, list) or length not in (None, len(parts)):
        raise ValueError("a list is expected, of another length perhaps")
    return parts
