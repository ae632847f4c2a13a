"""Parameters that are one of a few words."""

from collections.abc import Iterable
from typing import Any


def check_choice(name: str, value: Any, choices: Iterable[str]) -> None:
    """Refuse a value that is not among the choices.

    Raises
    ------
    ValueError
        The message has the parameter's name and the choices.
    """
    known = sorted(choices)
    if not (isinstance(value, str) and value in known):
        raise ValueError(f"{name}={value!r} is not known; choose from {known}")
