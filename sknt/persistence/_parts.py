"""What the objects of a model consist of, as far as it has to be saved."""

import inspect
from collections.abc import Mapping
from typing import Any

from skorch.callbacks import LRScheduler

from sknt.nn import SequenceNetwork
from sknt.persistence._classes import SCHEDULES
from sknt.training.net import SequenceNet


def arguments_of(value: Any) -> dict[str, Any]:
    """Return the arguments of an object's constructor that are not the defaults."""
    if isinstance(value, LRScheduler) and value.policy not in SCHEDULES:
        raise TypeError(
            f"the policy {value.policy!r} of an LRScheduler cannot be saved; it can be one "
            f"of {', '.join(SCHEDULES)}, as text"
        )
    parameters = inspect.signature(type(value)).parameters.values()
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    defaults = {p.name: p.default for p in parameters if p.kind not in variable}
    arguments = {name: getattr(value, name) for name in defaults}
    if isinstance(value, LRScheduler):
        arguments |= value.kwargs
    return {k: v for k, v in arguments.items() if not is_default(k, v, defaults)}


def is_default(name: str, value: Any, defaults: Mapping[str, Any]) -> bool:
    """Return whether an argument is the default, and a new object would have it anyway."""
    if name not in defaults:
        return False
    default = defaults[name]
    plain = type(value) is type(default) and isinstance(value, bool | int | float | str)
    return value is default or (plain and value == default)


NET_DEFAULTS = vars(SequenceNet(SequenceNetwork, None))
"""The arguments of a net that nothing but its constructor sets."""


def history_is_that_of_net(attributes: Mapping[str, Any]) -> bool:
    """Return whether the records of a fit are those of the net, and are stored there."""
    if "net_" not in attributes or "history_" not in attributes:
        return False
    history, records = attributes["history_"], attributes["net_"].epoch_records()
    return history == records and repr(history) == repr(records)
