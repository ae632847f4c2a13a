"""Checks of a network's arguments: each error names what does not fit and the way out."""

from typing import Any

import numpy as np
import torch
from torch import Tensor


def check_inputs(x: Any, n_inputs: int, parameter: Tensor) -> None:
    """Refuse inputs whose type, shape, dtype or device does not fit the network.

    Parameters
    ----------
    x : Tensor of shape (batch, n_timesteps, n_inputs)
    n_inputs : int
    parameter : Tensor
        One of those that the inputs are multiplied by.
    """
    if not isinstance(x, Tensor):
        raise TypeError(
            f"x is of type {type(x).__name__}; give a tensor of shape (batch, n_timesteps, "
            f"n_inputs={n_inputs}), such as torch.as_tensor(x, dtype={parameter.dtype})"
        )
    if x.ndim != 3 or x.shape[-1] != n_inputs or 0 in x.shape:
        raise ValueError(
            f"x has shape {tuple(x.shape)}; expected "
            f"(batch, n_timesteps, n_inputs={n_inputs}), none of them 0"
        )
    if x.dtype != parameter.dtype and not _casts_by_itself(parameter):
        other = f", or network.to({x.dtype})" if x.is_floating_point() else ""
        raise ValueError(
            f"x is {_name(x.dtype)}, but the network is {_name(parameter.dtype)}; use "
            f"x.to({parameter.dtype}){other}"
        )
    if x.device != parameter.device:
        raise ValueError(
            f"x is on {x.device}, but the network is on {parameter.device}; use "
            f"x.to({str(parameter.device)!r})"
        )


def check_lengths(lengths: Any, x: Tensor) -> Tensor:
    """Return lengths as a tensor of int64 on the CPU; None means all steps of x.

    While a network is exported, values cannot be checked: see :func:`refuse_lengths`.

    Parameters
    ----------
    lengths : Tensor or array-like of integers of shape (batch,), or None
    x : Tensor of shape (batch, n_timesteps, n_inputs)
    """
    n_sequences, n_steps = x.shape[:2]
    if lengths is None:
        return torch.full((n_sequences,), n_steps)
    if isinstance(lengths, Tensor):
        dtype, shape = lengths.dtype, tuple(lengths.shape)
        others = dtype.is_floating_point or dtype.is_complex
        is_integer = not others and dtype != torch.bool
    else:
        lengths = _as_array(lengths)
        dtype, shape = lengths.dtype, lengths.shape
        is_integer = dtype.kind in "iu"
    if shape != (n_sequences,) or not is_integer:
        raise ValueError(
            f"lengths has shape {shape} and dtype {dtype}; "
            f"expected ({n_sequences},), one integer for each sequence of x"
        )
    if isinstance(lengths, Tensor):
        lengths = lengths.to("cpu", torch.int64)
    else:
        lengths = torch.from_numpy(lengths.astype(np.int64))
    if torch.compiler.is_exporting():  # lengths are only known once the program runs
        return lengths
    shortest, longest = int(lengths.min()), int(lengths.max())
    if shortest < 1 or longest > n_steps:
        raise ValueError(
            f"lengths range from {shortest} to {longest}; "
            f"x has {n_steps} steps, so use 1 to {n_steps}"
        )
    return lengths


def refuse_lengths(outputs: Tensor, lengths: Tensor, n_steps: int) -> Tensor:
    """Return NaN for sequences of impossible lengths: an exported program cannot raise.

    Parameters
    ----------
    outputs : Tensor of shape (batch, ...)
    lengths : Tensor of int64 of shape (batch,)
    n_steps : int
        How long sequences may be.
    """
    impossible = (lengths < 1) | (lengths > n_steps)
    axes = [1] * (outputs.ndim - 1)
    return outputs.masked_fill(impossible.reshape(-1, *axes).to(outputs.device), torch.nan)


def _as_array(lengths: Any) -> np.ndarray:
    try:
        return np.asarray(lengths)
    except (TypeError, ValueError) as error:  # nested lists of unequal length
        raise ValueError(
            f"lengths={lengths!r} is not an array ({error}); give one integer for each "
            "sequence"
        ) from error


def check_state(state: Any, expected: Any, n_sequences: int) -> None:
    """Refuse a state that does not fit this network and these sequences.

    Parameters
    ----------
    state : nested NamedTuple
    expected : nested NamedTuple
        A state of the network, of any number of sequences.
    n_sequences : int
    """
    _check_part("state", state, expected, n_sequences)


def _check_part(name: str, state: Any, expected: Any, n_sequences: int) -> None:
    is_tensor = isinstance(expected, Tensor)
    kind = Tensor if is_tensor else type(expected)
    if not isinstance(state, Tensor) if is_tensor else type(state) is not kind:
        raise _misfit(name, f"is of type {type(state).__name__}", kind.__name__)
    if not is_tensor:
        for field, part, wanted in zip(expected._fields, state, expected, strict=True):
            _check_part(f"{name}.{field}", part, wanted, n_sequences)
        return
    shape = (n_sequences, *expected.shape[1:])
    if state.ndim and state.shape[1:] == shape[1:] and len(state) != n_sequences:
        raise ValueError(
            f"state is of {len(state)} sequences, but x has {n_sequences}; give the state "
            "of the same sequences, or None to start anew"
        )
    if state.shape != shape:
        raise _misfit(name, f"has shape {tuple(state.shape)}", shape)
    if state.dtype != expected.dtype and not _casts_by_itself(expected):
        raise _misfit(name, f"is of {_name(state.dtype)}", _name(expected.dtype))
    if state.device != expected.device:
        raise _misfit(name, f"is on {state.device}", expected.device)


def _misfit(name: str, found: str, expected: Any) -> ValueError:
    return ValueError(
        f"state does not fit this network: {name} {found}, expected {expected}; give a "
        "state that this network returned, or one of the same kinds and sizes, or None to "
        "start anew"
    )


def _casts_by_itself(tensor: Tensor) -> bool:
    kind = tensor.device.type
    return kind != "meta" and torch.is_autocast_enabled(kind)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
