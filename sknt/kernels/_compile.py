"""How the kernels are compiled, and where the result is kept.

The cache on disk spares later processes the compilation. The kernels run whatever is wrong
with it: damaged files are replaced, and if files cannot be written, the logger ``sknt``
says so once.

If several processes need the same function at the same time, one compiles it and the others
wait. The lock is one of the operating system's, which releases it however a process ends.
"""

import functools
import hashlib
import logging
import os
import pickle
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from numba import njit
from numba.core import caching
from numba.core import cgutils as cgutils  # for the modules that import it from here
from numba.core.serialize import dumps

from sknt.kernels._libraries import compile_as_part, compile_as_whole

WAIT_SECONDS = 600.0
"""How long a process waits for another one to compile before it compiles as well."""

_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "nsz"},
    "no_cfunc_wrapper": True,
}

_log = logging.getLogger("sknt")
_said: set[tuple[int, str]] = set()


def helper(function: Any = None, **options: Any) -> Any:
    """Compile a short function that other kernels call; it is inlined into each caller."""
    if function is None:
        return functools.partial(helper, **options)
    return _part(function, is_inlined=True, **options)


def stage(function: Any) -> Any:
    """Compile a longer function that other kernels call, which is not inlined."""
    return _part(function, is_inlined=False)


def _part(function: Any, *, is_inlined: bool, **options: Any) -> Any:
    # Set in either case: a function inherits what it does not set from its first caller.
    own = {"no_cpython_wrapper": True, "forceinline": is_inlined}
    compiled = njit(**(_OPTIONS | own | options))(function)
    compile_as_part(compiled, is_called=not is_inlined)
    return compiled


def entry(function: Any) -> Any:
    """Compile a function that Python calls, once for all processes of this machine.

    It depends on the package's own sources and on the files that its attribute ``sources``
    names.
    """
    compiled = njit(**_OPTIONS)(function)
    try:
        compiled._cache = _Cache(function)
    except Exception as error:  # no directory is writable
        compiled._cache = _NoCache(error)
    compile_as_whole(compiled)
    compiled.compile = _watched(compiled.compile, compiled._cache)
    return compiled


def _say_once(what: str, message: str, *details: Any) -> None:
    """Log a warning once per process.

    Python's own warnings may be turned into errors, which would make a fit fail.
    """
    if (os.getpid(), what) not in _said:
        _said.add((os.getpid(), what))
        _log.warning(message, *details)


# Where compiled functions are kept


@functools.cache
def _source_stamp(sources: tuple[Path, ...]) -> str:
    """Return a digest of all sources that are compiled; numba considers one file only."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    folders = here, here / "ops", here.parent / "ops"
    own = sorted(path for folder in folders for path in folder.glob("*.py"))
    for path in [*own, *sources]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


class _Stamped:
    """Makes compiled functions valid as long as none of their sources changes."""

    def __init__(self, function: Any, *arguments: Any):
        super().__init__(function, *arguments)  # type: ignore[call-arg]
        self._sources = getattr(function, "sources", ())

    def get_source_stamp(self) -> str:
        return _source_stamp(self._sources)


class _UserProvided(_Stamped, caching.UserProvidedCacheLocator):
    pass


class _InTree(_Stamped, caching.InTreeCacheLocator):
    pass


class _UserWide(_Stamped, caching.UserWideCacheLocator):
    pass


class _CacheFiles(caching.CompileResultCacheImpl):
    """Contents of a file: the code, and marks that show that it is whole and the right one.

    Numba writes the index first. A process that ends before it writes the code leaves an
    index that names the file of an older function; a crash of the machine can leave files
    of zeros.
    """

    _locator_classes = [_UserProvided, _InTree, _UserWide]  # noqa: RUF012

    def reduce(self, compiled: Any) -> Any:
        code = dumps(super().reduce(compiled))
        stamp = self.locator.get_source_stamp()
        return stamp, compiled.codegen.magic_tuple(), _digest(code), code

    def rebuild(self, target_context: Any, kept: Any) -> Any:
        *marks, digest, code = kept
        stamp = self.locator.get_source_stamp()
        expected = [stamp, target_context.codegen().magic_tuple()]
        if marks != expected or digest != _digest(code):
            raise ValueError("the file is damaged or holds another function")
        return super().rebuild(target_context, pickle.loads(code))


def _digest(code: bytes) -> bytes:
    return hashlib.sha256(code).digest()


class _Cache(caching.FunctionCache):
    """Compiled functions on disk; a wait for the compiler is announced."""

    _impl_class = _CacheFiles

    def __init__(self, function: Any):
        super().__init__(function)
        name = f"{function.__module__}.{function.__qualname__}.lock"
        self._lock_path = Path(self.cache_path, name)
        self._lock: Any = None

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Load a function, or return None if this process has to compile it."""
        compiled = self._load(sig, target_context)
        if compiled is None:
            self._wait_for_other_processes()
            compiled = self._load(sig, target_context)
        if compiled is None:
            _say_once(
                "compiling",
                "sknt is compiling the fused kernels for this machine, which takes up to "
                "half a minute; they are kept in %s",
                self.cache_path,
            )
        return compiled

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write a compiled function to disk, if possible."""
        try:
            try:
                super().save_overload(sig, data)
            except OSError:
                raise
            except Exception:  # the index is damaged: start a new one
                self.flush()
                super().save_overload(sig, data)
        except Exception as error:
            _say_once(
                "not kept",
                "sknt cannot keep the compiled kernels in %s (%s: %s): later processes "
                "compile them again. NUMBA_CACHE_DIR names another directory",
                *(self.cache_path, type(error).__name__, error),
            )

    def release(self) -> None:
        """Let other processes continue."""
        if self._lock is not None:
            with suppress(Exception):
                self._lock.release(force=True)

    def _load(self, sig: Any, target_context: Any) -> Any:
        try:
            compiled = super().load_overload(sig, target_context)
        except Exception:  # damaged: it will be replaced
            return None
        # Two processes that wrote at once without a lock may have used one file name twice.
        is_meant = compiled is None or tuple(compiled.signature.args) == tuple(sig)
        return compiled if is_meant else None

    def _wait_for_other_processes(self) -> None:
        """Acquire the lock, or continue without it where locks are not possible."""
        try:
            from filelock import FileLock, Timeout

            if self._lock is None:
                self._lock_path.parent.mkdir(parents=True, exist_ok=True)
                self._lock = FileLock(self._lock_path)
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                _say_once(
                    "waiting",
                    "sknt is waiting for another process, which is compiling the fused "
                    "kernels and holds %s",
                    self._lock_path,
                )
                self._lock.acquire(timeout=WAIT_SECONDS)
        except Exception:
            pass  # the wait was too long, or the file system has no locks


class _NoCache(caching.NullCache):
    """Stands in for a cache where there can be none, and says so before it compiles."""

    def __init__(self, error: Exception):
        self._error = error

    def load_overload(self, sig: Any, target_context: Any) -> None:
        _say_once(
            "compiling",
            "sknt is compiling the fused kernels, which takes up to half a minute, and "
            "cannot keep them for later processes (%s); set NUMBA_CACHE_DIR to a directory "
            "that can be written to",
            self._error,
        )

    def release(self) -> None:
        pass


# Forks during a compilation in another thread

unusable: str | None = None
"""Why this process cannot use the kernels, or None if it can."""

_compiling: dict[object, int] = {}  # threads that are loading or compiling


def _watched(compile_: Callable[[Any], Any], cache: Any) -> Callable[[Any], Any]:
    """Record which thread loads or compiles a function, and release the lock afterwards."""

    @functools.wraps(compile_)
    def load_or_compile(sig: Any) -> Any:
        token = object()
        try:
            _compiling[token] = threading.get_ident()
            return compile_(sig)
        finally:
            _compiling.pop(token, None)
            cache.release()

    return load_or_compile


def _give_up_what_another_thread_compiled() -> None:
    """Use no kernels in a child that was forked in the middle of a compilation."""
    global unusable
    if any(thread != threading.get_ident() for thread in _compiling.values()):
        unusable = "the process was forked while another thread compiled the kernels"
    _compiling.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_give_up_what_another_thread_compiled)
