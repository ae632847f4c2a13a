"""How the kernels are compiled, and where the result is kept.

Compiling takes about half a minute, so its result is kept on disk, and of several processes
that need it one compiles and the others wait. Whatever goes wrong with the files (damaged,
no place, no locks) costs time and never makes a computation fail.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from numba import njit
from numba.core import caching

LONGEST_WAIT = 300.0
"""Seconds after which another process that compiles is not waited for any longer."""

_logger = logging.getLogger("sknt")

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
        kept = _Cache(function)
    except Exception as error:  # there is no place to write to
        _say(
            f"The compiled kernels cannot be kept for later processes ({error}). Set "
            "NUMBA_CACHE_DIR to a directory that can be written to."
        )
        kept = None
    else:
        compiled._cache = kept
    compiled.compile = _in_turn(compiled, kept)
    return compiled


def _in_turn(compiled: Any, kept: "_Cache | None") -> Callable[[Any], Any]:
    """Let one process compile at a time; those that waited load the result."""
    load_or_compile = compiled.compile

    def compile_in_turn(signature: Any) -> Any:
        if kept is None:
            _say_compiling("")
            return load_or_compile(signature)
        if kept.has(signature, compiled.targetctx):  # and so there is no need to wait
            return load_or_compile(signature)
        with _only_process(kept.cache_path):
            return load_or_compile(signature)

    return compile_in_turn


@contextmanager
def _only_process(folder: str) -> Iterator[None]:
    """Hold the lock of a folder of compiled kernels, which the system frees if we die."""
    lock = None
    try:
        lock = FileLock(Path(folder) / "sknt.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            _say("Waiting for another process that is compiling the kernels.")
            lock.acquire(timeout=LONGEST_WAIT)
    except (OSError, NotImplementedError) as error:  # Timeout is an OSError as well
        _logger.debug("no lock on the compiled kernels: %r", error)
        lock = None
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


_said_compiling = False


def _say_compiling(where: str) -> None:
    """Say once, whatever is compiled, that somebody has to wait for the compiler."""
    global _said_compiling
    if not _said_compiling:
        _said_compiling = True
        _say(
            f"Compiling the kernels for this machine, which takes about 30 seconds{where}."
        )


@cache
def _say(message: str) -> None:
    """Say something once; on the standard error, unless logging is set up otherwise."""
    _logger.warning(message)


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
    """Compiled functions on disk, where a damaged or missing file is as good as none."""

    _impl_class = _CacheFiles

    def has(self, signature: Any, target_context: Any) -> bool:
        """Tell whether there is a function compiled for arguments of these types."""
        try:
            key = self._index_key(signature, target_context.codegen())
            return self._cache_file.load(key) is not None
        except Exception:
            return False

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Load a compiled function, or return None: it is compiled then."""
        try:
            compiled = super().load_overload(sig, target_context)
        except Exception:
            compiled = None
        if compiled is None:
            _say_compiling(f"; they are kept in {self.cache_path}")
        return compiled

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled function; where that fails, it is compiled again next time."""
        try:
            try:
                super().save_overload(sig, data)
            except Exception:
                self.flush()  # the index was damaged
                super().save_overload(sig, data)
        except Exception as error:  # such as a full disk
            _say(
                "The compiled kernels could not be kept for later processes "
                f"({type(error).__name__}: {error}) in {self.cache_path}."
            )
