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

import inspect
import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sknt.storage.numbers import encode_scalar, stored


class ValueEncoder:
    """Turns values into JSON and tensors.

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
            way_out = self._way_out(value)
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
            return self._encode_class(value)
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
        """Return the node of an object that is known by its identity, or None."""
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
        return None

    def _encode_class(self, cls: type) -> dict[str, Any] | None:
        """Return the node of a class, or None."""
        return None

    def _way_out(self, value: Any) -> str:
        """Return what to do about a value that cannot be saved."""
        return "leave it out"

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


def describe(value: Any) -> str:
    """Name a value's function or class."""
    if inspect.isroutine(value):
        return f"the function {getattr(value, '__qualname__', value)}"
    cls = value if isinstance(value, type) else type(value)
    name = f"{cls.__module__}.{cls.__qualname__}"
    return f"the class {name}" if cls is value else f"an object of class {name}"
