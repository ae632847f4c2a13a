"""A digest of what determines a fit, equal in every process that makes the same call."""

import functools
import hashlib
import os
import platform
import types
from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy
import sklearn
import skorch
import torch

from sknt._version import __version__
from sknt.data.ragged import Ragged
from sknt.training.pruning import OptunaPruning


def digest(*values: Any) -> str:
    """Return hexadecimal digits that depend on the values' content alone.

    Functions count by their code, defaults and what they enclose, not by the global
    variables that they use; classes by their names; other objects by class and attributes.

    Parameters
    ----------
    *values : object
    """
    return _digest(values, ())


def _digest(values: tuple[Any, ...], inside: tuple[int, ...]) -> str:
    """Return the digest of values that belong to the objects with these identities."""
    content = hashlib.blake2b(digest_size=20)
    for part in _parts_of(values, inside):
        content.update(len(part).to_bytes(8, "little"))
        content.update(part)
    return content.hexdigest()


def environment() -> list[Any]:
    """Return the versions and the kind of processor, on which rounding depends."""
    packages = (np, scipy, sklearn, skorch, torch)
    return [
        __version__,
        *(package.__version__ for package in packages),
        platform.machine(),
        *_compiler(),
        torch.backends.cpu.get_cpu_capability(),
    ]


def _compiler() -> list[Any]:
    """Return what kernels are compiled by, and for which processor, if they can be."""
    try:  # here, because importing the package does not load it
        import llvmlite.binding
        import numba
    except ImportError:
        return []
    config: Any = numba.config
    processor = config.CPU_NAME or llvmlite.binding.get_host_cpu_name()
    return [numba.__version__, processor, config.DISABLE_JIT]


def _parts_of(value: Any, inside: tuple[int, ...]) -> Any:
    """Yield bytes that tell a value from all others."""
    kind = type(value)
    yield f"{kind.__module__}.{kind.__qualname__}".encode()
    if id(value) in inside:  # an object that refers to itself
        yield str(len(inside) - inside.index(id(value))).encode()
        return
    if value is None or isinstance(value, bool | int | float | complex | str):
        yield repr(value).encode("utf-8", "surrogatepass")
        return
    if isinstance(value, bytes | bytearray):
        yield value
        return
    inside = (*inside, id(value))
    content = _content_of(value, inside)
    yield str(len(content)).encode()
    for part in content:
        if isinstance(part, memoryview):
            yield part
        else:
            yield from _parts_of(part, inside)


def _content_of(value: Any, inside: tuple[int, ...]) -> Any:
    """Return what a value consists of: other values, or the memory of an array."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        value = (value.float() if value.dtype is torch.bfloat16 else value).numpy()
    if isinstance(value, np.ndarray) and value.dtype != object:
        flat = np.ascontiguousarray(value).reshape(-1)
        return [value.dtype.str, value.shape, flat.view(np.uint8).data]
    if isinstance(value, np.ndarray):
        return [value.shape, value.ravel().tolist()]
    if isinstance(value, Ragged):
        pieces = (value.take(rows) for rows in value.pieces())
        return [value.lengths, *(digest(piece.steps()) for piece in pieces)]
    if isinstance(value, np.generic):
        return [value.dtype.str, value.tobytes()]
    if isinstance(value, Mapping):
        return sorted(_digest(pair, inside) for pair in value.items())
    if isinstance(value, list | tuple):
        return value
    if isinstance(value, set | frozenset):
        return sorted(_digest((part,), inside) for part in value)
    if isinstance(value, OptunaPruning):
        return [value.monitor]  # each run has a trial of its own, which refers to its study
    if isinstance(value, np.random.RandomState):
        return [value.get_state(legacy=False)]
    if isinstance(value, np.random.Generator):
        return [value.bit_generator.state]
    if isinstance(value, torch.Generator):
        return [value.get_state()]
    if isinstance(value, torch.device | torch.dtype | np.dtype | os.PathLike):
        return [str(value)]
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, types.MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, types.FunctionType):
        enclosed = [_enclosed(cell) for cell in value.__closure__ or ()]
        defaults = [value.__defaults__, value.__kwdefaults__]
        return [value.__module__, value.__qualname__, value.__code__, defaults, enclosed]
    if isinstance(value, types.CodeType):
        return [value.co_code, value.co_consts, value.co_names, value.co_varnames]
    if isinstance(value, type | types.BuiltinFunctionType):
        return [value.__module__, value.__qualname__]
    slots = {name: getattr(value, name, None) for name in _slots(type(value))}
    return [getattr(value, "__name__", ""), getattr(value, "__dict__", {}), slots]


def _enclosed(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing has been assigned yet
        return None


def _slots(cls: type) -> list[str]:
    names = [vars(part).get("__slots__", ()) for part in cls.__mro__]
    flat = [[part] if isinstance(part, str) else part for part in names]
    return sorted({n for part in flat for n in part if not n.startswith("__")})
