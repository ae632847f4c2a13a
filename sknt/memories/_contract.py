"""A trial step of a memory that somebody registered, to find what breaks the contract."""

import copy
from collections.abc import Callable
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from sknt.memories._base import Memory, Trace

Refuse = Callable[[str, str], None]

_BATCH = 2


def check_contract(
    memory: Memory,
    controller_size: int,
    word_size: int,
    n_read_heads: int,
    n_inputs: int = 0,
) -> None:
    """Take one step with a batch of two, and check all that comes out.

    Raises
    ------
    TypeError
        Names the method or attribute that is not as the contract says.
    """
    name = type(memory).__name__

    def refuse(what: str, wanted: str) -> None:
        raise TypeError(f"{name}.{what}; it should {wanted}")

    for attribute, expected in (("n_read_heads", n_read_heads), ("word_size", word_size)):
        actual = getattr(memory, attribute, None)
        if actual != expected:
            raise TypeError(
                f"{name} has {attribute}={actual!r} instead of {expected}; set it in "
                "__init__ to the value given there"
            )
    if not isinstance(memory.n_hops, Integral) or memory.n_hops < 1:
        refuse(f"n_hops is {memory.n_hops!r}", "be an integer of at least 1")
    with torch.no_grad():
        before = dict(vars(memory)), [p.clone() for p in memory.parameters()]
        state = memory.initial_state(_BATCH)
        _check_tuple("initial_state returned", state, refuse)
        if not all(_equal(state, _row(state, i), _same_rows) for i in range(_BATCH)):
            refuse(
                "initial_state differs from sequence to sequence",
                "return the same state for each; training_state may draw random numbers",
            )
        _check_unchanged(memory, before, "initial_state", refuse)
        if not isinstance(memory.bulky, tuple) or set(memory.bulky) - set(state._fields):
            refuse(
                f"bulky is {memory.bulky!r}",
                f"be a tuple of fields of the state: {', '.join(state._fields)}",
            )
        parameter = next(memory.parameters(), torch.empty(0))
        trained = memory.training_state(_BATCH, 0, 0)
        if _kinds(trained) != _kinds(state):
            refuse(
                f"training_state returned {_kinds(trained)}, not {_kinds(state)}",
                "return a state like that of initial_state",
            )
        sizes = (controller_size, n_inputs) if memory.uses_inputs else (controller_size,)
        interface = memory.interface(*(_varied(parameter, n) for n in sizes))
        _check_tuple("interface returned", interface, refuse)
        _check_unchanged(memory, before, "interface", refuse)
        floats = _map(lambda t: t.to(parameter) if t.is_floating_point() else t, state)
        given = interface, floats = _map(torch.clone, (interface, floats))
        result = memory.step(interface, floats)
        if not _equal(given, given, lambda t, _: t._version == 0):
            refuse("step changed its arguments in place", "return new tensors")
        _check_unchanged(memory, before, "step", refuse)
        if not isinstance(result, tuple) or len(result) != 2:
            refuse(f"step returned {_told(result)}", "return the reads and the new state")
        reads, after = result
        shape = (_BATCH, n_read_heads, word_size)
        if not isinstance(reads, Tensor) or reads.shape != shape:
            refuse(
                f"step returned reads of {_told(reads)}",
                f"return a tensor of shape (batch, n_read_heads, word_size), here {shape}",
            )
        if reads.dtype != parameter.dtype or not torch.isfinite(reads).all():
            what = "that are NaN or infinite"
            if reads.dtype != parameter.dtype:
                what = f"of {reads.dtype}, with parameters of {parameter.dtype}"
            refuse(
                f"step returned reads {what}",
                "return finite numbers of the parameters' dtype",
            )
        if _kinds(after) != _kinds(floats):
            refuse(
                f"step returned a state of {_kinds(after)}, not {_kinds(floats)}",
                "keep the types, shapes and dtypes of the given one",
            )
        _check_independence(memory, interface, floats, refuse)
        stacked = _map(lambda t: t.unsqueeze(1), Trace(memory.slim(after), interface))
        _check_results(memory, stacked, refuse)


def _varied(like: Tensor, n: int) -> Tensor:
    """Return numbers that differ from sequence to sequence."""
    return torch.linspace(-1, 1, _BATCH * n).to(like).reshape(_BATCH, n)


def _row(tree: Any, i: int) -> Any:
    """Return a sequence's part of each tensor."""
    return _map(lambda t: t[i : i + 1], tree)


def _same_rows(part: Tensor, row: Tensor) -> bool:
    return torch.equal(part, row.expand_as(part))


def _check_unchanged(
    memory: Memory, before: tuple[dict[str, Any], list[Tensor]], method: str, refuse: Refuse
) -> None:
    """Refuse a method that changed the memory itself."""
    (attributes, parameters), now = before, vars(memory)
    changed = sorted(n for n in now if now[n] is not attributes.get(n, attributes))
    if changed:
        refuse(
            f"{method} assigned to self.{changed[0]}",
            "keep in the state what it has to remember",
        )
    if not all(map(torch.equal, memory.parameters(), parameters)):
        refuse(f"{method} changed parameters", "leave that to the optimizer")


def _check_independence(memory: Memory, interface: Any, state: Any, refuse: Refuse) -> None:
    """Refuse a step in which sequences depend on others of their batch."""
    result, again = (memory.step(interface, state) for _ in range(2))
    if not _equal(result, again, torch.equal):  # it is random, such as with dropout
        return
    for i in range(_BATCH):
        alone = memory.step(*_row((interface, state), i))
        if not _equal(_row(result, i), alone, _close):
            refuse(
                "step gives a sequence other results alone than in a batch",
                "compute nothing across the first axis",
            )


def _close(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, rtol=1e-3, atol=1e-4, equal_nan=True)


def _equal(a: Any, b: Any, equal: Callable[[Tensor, Tensor], bool]) -> bool:
    """Compare tensors at the same places of nested tuples."""
    if isinstance(a, Tensor):
        return equal(a, b)
    return all(_equal(x, y, equal) for x, y in zip(a, b, strict=True))


def _check_results(memory: Memory, trace: Trace, refuse: Refuse) -> None:
    penalty = memory.penalty(trace)
    if not isinstance(penalty, Tensor) or penalty.shape != (_BATCH,):
        refuse(
            f"penalty returned {_told(penalty)}",
            f"return a tensor of shape (batch,), here {(_BATCH,)}",
        )
    if memory.has_auxiliary_loss:
        trial = copy.deepcopy(memory)  # which may keep statistics
        loss = trial.auxiliary_loss(trace, penalty.new_zeros(_BATCH))
        if not isinstance(loss, Tensor) or loss.shape != (_BATCH,):
            refuse(
                f"auxiliary_loss returned {_told(loss)}",
                f"return a tensor of shape (batch,), here {(_BATCH,)}",
            )
    weightings = memory.weightings(trace)
    if not isinstance(weightings, dict):
        refuse(f"weightings returned {_told(weightings)}", "return a dictionary")
    for name, weighting in weightings.items():
        is_tensor = isinstance(weighting, Tensor) and weighting.ndim == 3
        if not is_tensor or weighting.shape[:2] != (_BATCH, 1):
            refuse(
                f"weightings returned {_told(weighting)} for {name!r}",
                "return tensors of shape (batch, n_timesteps, n_rows)",
            )
    _check_parts(memory, memory.parts(), refuse)


def _check_parts(memory: Memory, parts: Any, refuse: Refuse) -> None:
    """Refuse parts of the parameters that are not slices of rows, or that overlap."""
    wanted = "return a dictionary of dictionaries of slices, by the parameters' names"
    if not isinstance(parts, dict):
        refuse(f"parts returned {_told(parts)}", wanted)
    own = dict(memory.named_parameters())
    n_rows = {name: len(p) if p.ndim else 0 for name, p in own.items()}
    used = {name: torch.zeros(n, dtype=torch.bool) for name, n in n_rows.items()}
    for part, rows in parts.items():
        if not isinstance(rows, dict):
            refuse(f"parts has {_told(rows)} for {part!r}", wanted)
        if unknown := sorted(set(rows) - set(own)):
            refuse(
                f"parts has {unknown} in {part!r}",
                f"name parameters of the memory: {', '.join(sorted(own))}",
            )
        for name, some in rows.items():
            if not isinstance(some, slice):
                refuse(f"parts has {some!r} for {name} in {part!r}", wanted)
            if (some.stop or 0) > n_rows[name] or used[name][some].any():
                refuse(
                    f"parts has {some} for {name} in {part!r}",
                    f"name some of its {n_rows[name]} rows that are in no other part",
                )
            used[name][some] = True


def _check_tuple(what: str, value: Any, refuse: Refuse) -> None:
    """Refuse anything but a NamedTuple of tensors, possibly nested, one row a sequence."""
    wanted = "return a NamedTuple of tensors whose first axis is the batch"
    if not isinstance(value, tuple) or not hasattr(value, "_fields"):
        refuse(f"{what} {_told(value)}", wanted)
    for name, part in zip(value._fields, value, strict=True):
        if isinstance(part, Tensor):
            if part.shape[:1] != (_BATCH,):
                refuse(f"{what} {name!r} of {_told(part)} for a batch of {_BATCH}", wanted)
        else:
            _check_tuple(f"{what} in {name!r}", part, refuse)


def _kinds(tree: Any) -> Any:
    """Return a description of nested NamedTuples that compares equal for equal kinds."""
    if isinstance(tree, Tensor):
        return f"{tuple(tree.shape)} {tree.dtype}"
    if not hasattr(tree, "_fields"):
        return type(tree).__name__
    return type(tree).__name__, *map(_kinds, tree)


def _map(function: Callable[[Tensor], Tensor], tree: Any) -> Any:
    if isinstance(tree, Tensor):
        return function(tree)
    make = getattr(type(tree), "_make", type(tree))  # of a NamedTuple, or of a plain tuple
    return make([_map(function, part) for part in tree])


def _told(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"shape {tuple(value.shape)}"
    return type(value).__name__
