"""Putting values together from what :mod:`sknt.storage.encoding` has made of them.

Everything comes from a file that may be forged. Each node has to have the keys of its kind
and no others, and nothing is called but functions of this package.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sknt.storage.numbers import decode_scalar, dtype_of, restored

N_KEYS = 624
"""Numbers that the state of a RandomState consists of."""


class ValueDecoder:
    """Rebuilds values.

    Parameters
    ----------
    tensors : dict of ndarray
    """

    referable = frozenset({"array", "tensor", "random_state"})
    """Nodes that may have an ``id``."""

    def __init__(self, tensors: dict[str, NDArray[Any]]):
        self._tensors = tensors
        self._unused = set(tensors)
        self._known: dict[int, Any] = {}  # objects by their id
        self._kinds: dict[str, Callable[[Any], Any]] = {
            "float": _float,
            "tuple": lambda parts: tuple(map(self._decode, as_list(parts))),
            "set": lambda parts: set(map(self._decode, as_list(parts))),
            "dict": self._dict,
            "pairs": self._pairs,
            "slice": lambda parts: slice(*(self._decode(p) for p in as_list(parts, 3))),
            "bytes": bytes.fromhex,
            "scalar": lambda parts: decode_scalar(*as_list(parts, 2)),
            "array": self._array,
            "tensor": self._tensor,
            "dtype": dtype_of,
            "device": lambda text: torch.device(str(text)),
            "random_state": self._random_state,
            "ref": lambda number: self._known[number],
        }

    def decode(self, value: Any) -> Any:
        """Return the value.

        Raises
        ------
        ValueError
            If the file is not valid. Other errors mean the same.
        """
        result = self._decode(value)
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
        fields = {key: part for key, part in node.items() if key != "id"}
        result = self._decode_fields(kind, fields)
        if number is not None:
            known = kind in self.referable and type(number) is int
            if not known or number in self._known:
                raise ValueError(f"it has the number {number!r} for an entry of {kind!r}")
            self._known[number] = result
        return result

    def _decode_fields(self, kind: Any, fields: dict[str, Any]) -> Any:
        if kind not in self._kinds or set(fields) != {kind}:
            raise ValueError(f"it has an entry with the unknown fields {sorted(fields)}")
        return self._kinds[kind](fields[kind])

    # Containers and numbers

    def _dict(self, parts: Any) -> dict[str, Any]:
        if not isinstance(parts, dict):
            raise ValueError("a dictionary has no keys")
        return {key: self._decode(part) for key, part in parts.items()}

    def _pairs(self, parts: Any) -> dict[Any, Any]:
        pairs = [tuple(map(self._decode, as_list(pair, 2))) for pair in as_list(parts)]
        return dict(pairs)

    def _take(self, name: Any) -> NDArray[Any]:
        self._unused.discard(name)
        return self._tensors[name]

    def _array(self, spec: dict[str, Any]) -> NDArray[Any]:
        if set(spec) == {"shape", "items"}:
            shape = tuple(as_list(spec["shape"]))
            items = np.empty(len(as_list(spec["items"])), object)
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
        name, position, has_gauss, gauss = as_list(parts, 4)
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


def _float(text: Any) -> float:
    if text not in ("nan", "inf", "-inf"):
        raise ValueError(f"the number {text!r}")
    return np.nan if text == "nan" else float(text)  # this object is the usual one


def as_list(parts: Any, length: int | None = None) -> list[Any]:
    """Return a list, after checking that it is one (of some length)."""
    if not isinstance(parts, list) or length not in (None, len(parts)):
        raise ValueError("a list is expected, of another length perhaps")
    return parts
