"""Putting a model together from what :mod:`sknt.persistence._encoding` has made of it.

Everything comes from a file that may be forged. Each node has to have the keys of its kind
and no others, classes are looked up in :mod:`sknt.persistence._classes`, and nothing is
called but their constructors and the functions of this package.
"""

import inspect
import re
from typing import Any

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
from sknt.storage.decoding import ValueDecoder
from sknt.training.net import SequenceNet


class Decoder(ValueDecoder):
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

    referable = ValueDecoder.referable | {"object", "net"}

    def __init__(self, tensors: dict[str, NDArray[Any]], device: str | None):
        super().__init__(tensors)
        self.classes: list[str] = []
        self._device = device
        self._kinds |= {"class": lambda name: class_of(name, CLASSES), "net": self._net}

    def _decode_fields(self, kind: Any, fields: dict[str, Any]) -> Any:
        if kind == "object":
            return self._object(**fields)
        return super()._decode_fields(kind, fields)

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
        if issubclass(cls, SequenceEstimator) and "checkpoint" in arguments:
            raise ValueError("it says where a fit is to write, which no file may")
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
