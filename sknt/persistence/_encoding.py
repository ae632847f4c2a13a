"""Taking a model apart: what JSON cannot say becomes a node, an object with one key.

``null``, booleans, integers, finite floats, texts and lists stand for themselves. The nodes
of everything else, by their key:

======================== ===============================================================
``float``                "nan", "inf" or "-inf"
``tuple``, ``set``       their items
``dict``, ``pairs``      a dictionary, by its keys if they are texts, or as pairs
``slice``                start, stop and step
``bytes``                hexadecimal digits
``scalar``               a NumPy scalar: its dtype and its bytes
``array``                an array: its dtype, its order in memory and a tensor of the file,
                         or for an array of objects its shape and items
``tensor``               the same for a tensor of torch
``dtype``, ``device``    a NumPy dtype, a torch device
``random_state``         the state of a ``numpy.random.RandomState``
``class``                a listed class, by its name
``object``               a listed object: the name of its class, and what it consists of
``net``                  the skorch net of an estimator
``ref``                  what has this number as its ``id``: the same object once more
======================== ===============================================================
"""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from sknt._base import SequenceEstimator
from sknt.persistence._classes import (
    CLASSES,
    ESTIMATORS,
    STATES,
    VALUES,
    name_of,
)
from sknt.persistence._networks import is_own_memory
from sknt.persistence._numbers import encode_scalar, stored
from sknt.persistence._parts import (
    NET_DEFAULTS,
    arguments_of,
    describe,
    history_is_that_of_net,
    is_default,
)
from sknt.training.net import SequenceNet

WAY_OUT = (
    "load could rebuild it only by running code. Leave it out, or keep the model with "
    "pickle, joblib, cloudpickle or skops"
)


class Encoder:
    """Turns a model into JSON and tensors.

    Attributes
    ----------
    tensors : dict of ndarray
    """

    def __init__(self) -> None:
        self.tensors: dict[str, NDArray[Any]] = {}
        self._nodes: dict[int, dict[str, Any]] = {}  # of objects, by their identity
        self._kept: list[Any] = []  # so that no other object gets the same identity
        self._open: set[int] = set()
        self._n_ids = 0

    def encode(self, value: Any, path: str) -> Any:
        """Return the JSON value for a value.

        Raises
        ------
        TypeError
            If it cannot be saved; the message has its path and the way out.
        """
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            return value if math.isfinite(value) else {"float": str(value)}
        if id(value) in self._nodes:
            return self._refer(value)
        if id(value) in self._open:
            raise TypeError(f"{path} refers to itself, which cannot be saved; use pickle")
        self._open.add(id(value))
        node = self._encode(value, path)
        self._open.remove(id(value))
        if node is None:
            is_search = hasattr(value, "best_estimator_")
            way_out = "save its best_estimator_" if is_search else WAY_OUT
            raise TypeError(
                f"{path} is {describe(value)}, which cannot be saved: {way_out}"
            )
        return node

    def _refer(self, value: Any) -> dict[str, int]:
        node = self._nodes[id(value)]
        if "id" not in node:
            self._n_ids += 1
            node["id"] = self._n_ids
        return {"ref": node["id"]}

    def _encode(self, value: Any, path: str) -> Any:
        """Return the node of what is not plain, or None if there is none."""
        kind = type(value)
        if kind is list:
            return [self.encode(part, f"{path}[{i}]") for i, part in enumerate(value)]
        if kind in (tuple, set):
            parts = [self.encode(part, f"{path}[{i}]") for i, part in enumerate(value)]
            return {kind.__name__: parts}
        if kind is dict:
            return self._encode_dict(value, path)
        if kind is slice:
            parts = [value.start, value.stop, value.step]
            return {"slice": [self.encode(part, path) for part in parts]}
        if kind is bytes:
            return {"bytes": value.hex()}
        if isinstance(value, torch.device):
            return {"device": str(value)}
        if isinstance(value, np.dtype):
            return {"dtype": value.str} if stored(np.empty(0, value)) is not None else None
        if isinstance(value, type):
            name = name_of(value, CLASSES)
            return None if name is None else {"class": name}
        if isinstance(value, np.generic):
            return encode_scalar(value)
        node = self._encode_object(value, path)
        if node is not None:
            self._nodes[id(value)] = node
            self._kept.append(value)
        return node

    def _encode_dict(self, value: dict[Any, Any], path: str) -> dict[str, Any]:
        parts = [(key, self.encode(v, f"{path}[{key!r}]")) for key, v in value.items()]
        if all(type(key) is str for key in value):
            return {"dict": dict(parts)}
        return {"pairs": [[self.encode(key, f"a key of {path}"), v] for key, v in parts]}

    def _encode_object(self, value: Any, path: str) -> dict[str, Any] | None:
        """Return the node of an object that is known by its identity."""
        kind = type(value)
        if kind in (np.ndarray, np.memmap):
            return self._encode_array(value, path)
        if kind is torch.Tensor:
            numbers = value.detach().cpu()
            if numbers.dtype is torch.bfloat16 or numbers.layout is not torch.strided:
                return None
            return {"tensor": self._encode_array(numbers.numpy(), path)}
        if kind is np.random.RandomState:
            return self._encode_random_state(value, path)
        if kind is SequenceNet:
            return {"net": self._encode_net(value, path)}
        if name := name_of(kind, ESTIMATORS):
            return {"object": name} | self._encode_estimator(value, path)
        if name := name_of(kind, VALUES):
            return {"object": name, "params": self._attributes(arguments_of(value), path)}
        if name := name_of(kind, STATES):
            return {"object": name, "fitted": self._attributes(vars(value), path)}
        return None

    def _attributes(self, attributes: dict[str, Any], path: str) -> dict[str, Any]:
        return {k: self.encode(v, f"{path}.{k}") for k, v in attributes.items()}

    def _encode_estimator(self, estimator: BaseEstimator, path: str) -> dict[str, Any]:
        """Return parameters, other attributes and, if any, requests of metadata."""
        params = estimator.get_params(deep=False)
        if params.get("memory") is not None and type(estimator).__name__ == "Pipeline":
            raise TypeError(
                f"{path}.memory is a cache, whose pickles a later fit would open; set "
                "memory=None before saving"
            )
        if "memory_size" in params and not is_own_memory(params["memory"]):
            raise TypeError(
                f"{path}.memory is {params['memory']!r}, a memory of your own, which "
                f"cannot be saved: {WAY_OUT}"
            )
        rest = {k: v for k, v in vars(estimator).items() if k not in params}
        requests = rest.pop("_metadata_request", None)
        if isinstance(estimator, SequenceEstimator) and history_is_that_of_net(rest):
            del rest["history_"]
        if "_skl_callbacks" in rest:
            raise TypeError(
                f"{path} has callbacks of scikit-learn, which cannot be saved; remove them "
                "with set_callbacks() first"
            )
        node: dict[str, Any] = {
            "params": self._attributes(params, path),
            "fitted": self._attributes(rest, path),
        }
        if requests is not None:
            by_method = {
                method: part.requests
                for method, part in vars(requests).items()
                if method != "owner" and part.requests
            }
            node["requests"] = self.encode(by_method, f"{path}._metadata_request")
        return node

    def _encode_net(self, net: SequenceNet, path: str) -> dict[str, Any]:
        """Return the net's own state, less what its constructor sets anyway."""
        state = net.__getstate__()
        params = state["params"]
        if params["module"] is not NET_DEFAULTS["module"]:
            raise TypeError(
                f"{path}.module is {describe(params['module'])}, a network of your own, "
                f"which cannot be saved: {WAY_OUT}"
            )
        del params["_params_to_validate"]
        params = {k: v for k, v in params.items() if not is_default(k, v, NET_DEFAULTS)}
        return {
            "params": self._attributes(params, path),
            "history": self.encode(state["history"], f"{path}.history"),
            "weights": self.encode(state["weights"], f"{path}.weights"),
        }

    def _encode_array(self, array: NDArray[Any], path: str) -> dict[str, Any] | None:
        if array.dtype == object:
            items = [self.encode(item, f"{path}[{i}]") for i, item in enumerate(array.flat)]
            return {"array": {"shape": list(array.shape), "items": items}}
        flags = array.flags
        order = "F" if flags.f_contiguous and not flags.c_contiguous else "C"
        numbers = stored(array.T if order == "F" else array)
        if numbers is None:
            return None
        name = self._store(numbers, path)
        return {"array": {"dtype": array.dtype.str, "order": order, "tensor": name}}

    def _store(self, numbers: NDArray[Any], path: str) -> str:
        """Add a tensor to the file, and return its name: the path, unless it is taken."""
        while path in self.tensors:
            path += "'"
        self.tensors[path] = numbers
        return path

    def _encode_random_state(
        self, generator: np.random.RandomState, path: str
    ) -> dict[str, Any] | None:
        state: Any = generator.get_state(legacy=False)
        if state["bit_generator"] != "MT19937":
            return None
        name = self._store(state["state"]["key"].copy(), path)
        rest = (state["state"]["pos"], state["has_gauss"], state["gauss"])
        return {"random_state": [name, *rest]}
