"""How the kernels are compiled."""

from typing import Any

from numba import njit

_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "nsz"},
}


def helper(function: Any = None, **options: Any) -> Any:
    """Compile a function that other kernels call."""
    wrappers = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    decorate = njit(**(_OPTIONS | wrappers | options))
    return decorate if function is None else decorate(function)


def entry(f):
    return njit(no_cfunc_wrapper=True, **_OPTIONS)(f)
