"""How the kernels are compiled, and where the result is kept."""

import hashlib
import sys
import warnings
from pathlib import Path
from typing import Any

from numba import njit
from numba.core import caching

_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "nsz"},
    "no_cfunc_wrapper": True,
}


def helper(function: Any = None, **options: Any) -> Any:
    """Compile a function that other kernels call.

    It becomes a part of each caller's code. A copy of its own would be compiled in other
    company in the process that compiles than in those that load the result, and its sums
    could be taken in another order there.
    """
    defaults = {"no_cpython_wrapper": True, "forceinline": True}
    decorate = njit(**(_OPTIONS | defaults | options))
    return decorate if function is None else decorate(function)


def entry(function: Any) -> Any:
    """Compile a function that Python calls, once for all processes of this machine."""
    compiled = njit(**_OPTIONS)(function)
    try:
        compiled._cache = _Cache(function)
    except RuntimeError as error:
        warnings.warn(
            f"The compiled kernels cannot be kept for later processes ({error}); set "
            "NUMBA_CACHE_DIR to a directory that can be written to",
            stacklevel=2,
        )
    return compiled


def _source_stamp() -> str:
    """Return a digest of all that is compiled in: numba looks at one file alone."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for path in sorted([*here.glob("*.py"), *(here.parent / "ops").glob("*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


class _Stamped:
    """A place for compiled functions that are fresh as long as all sources are."""

    def get_source_stamp(self) -> str:
        return _source_stamp()


class _UserProvided(_Stamped, caching.UserProvidedCacheLocator):
    pass


class _InTree(_Stamped, caching.InTreeCacheLocator):
    pass


class _UserWide(_Stamped, caching.UserWideCacheLocator):
    pass


class _CacheFiles(caching.CompileResultCacheImpl):
    _locator_classes = [_UserProvided, _InTree, _UserWide]  # noqa: RUF012


class _Cache(caching.FunctionCache):
    """Compiled functions on disk; whoever has to wait for the compiler is told so."""

    _impl_class = _CacheFiles
    told = False

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            compiled = super().load_overload(sig, target_context)
        except Exception:  # damaged: it is written anew
            compiled = None
        if compiled is None and not _Cache.told:
            _Cache.told = True
            print(
                "sknt: compiling the fused kernels for this machine, about 30 seconds; "
                f"they are kept in {self.cache_path}",
                file=sys.stderr,
                flush=True,
            )
        return compiled
