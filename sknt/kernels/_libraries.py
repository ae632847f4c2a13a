"""How the functions of a kernel are put together into machine code.

Numba optimises every function by itself and turns it into machine code, and then once more
as a part of each function that calls it. Here both happen once, for a whole entry: the
functions that it uses are kept as they were lowered. Those that are not inlined stay
functions of their own, because the time it takes to allocate registers grows faster than
the length of a function.

They are also private to the entry. Otherwise a process that compiles several entries could
link one to a function that was optimised along with another, whose sums are evaluated in a
different order.

All of this is internal to numba. Where a version of numba does not have it, functions are
compiled in numba's own way, which takes longer.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite.binding import parse_assembly
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

VECTOR_BYTES = (
    64 if "+avx512f" in str(cpu_target.target_context.codegen().magic_tuple()) else 32
)
"""Size of a vector register of this machine, as the kernels use it."""

_called: set[str] = set()  # functions that are not to be inlined, by their names in LLVM
_LINKED_ONCE, _PRIVATE = 3, "internal"  # kinds of linkage


class _Wide(JITCodeLibrary):
    """A function whose loops use the widest vectors.

    LLVM prefers vectors of half the width on most machines that have AVX-512, because the
    wide ones slow down code that needs them now and then. The kernels need little else.
    """

    def add_llvm_module(self, ll_module: Any) -> None:
        if VECTOR_BYTES == 64:
            wide = r'\1 "prefer-vector-width"="512" {'
            text = re.sub(r"(?m)^(define .*) \{$", wide, str(ll_module))
            name, ll_module = ll_module.name, parse_assembly(text)
            ll_module.name = name
        super().add_llvm_module(ll_module)


class _Part(_Wide):
    """A function that only other kernels use."""

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        self._ensure_finalized()
        return 0


class _Whole(_Wide):
    """A function that Python calls, with all that it uses."""

    def _optimize_final_module(self) -> None:
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == _LINKED_ONCE:
                function.linkage = _PRIVATE
                if function.name in _called:
                    function.add_function_attribute("noinline")
        super()._optimize_final_module()


def compile_as_part(dispatcher: Any, *, is_called: bool) -> None:
    """Let a dispatcher compile its function as a part of those that use it."""
    compile_ = dispatcher.compile

    def compile_part(sig: Any) -> Any:
        with _library_class(dispatcher, _Part):
            entry_point = compile_(sig)
        if is_called:
            _called.update(c.fndesc.mangled_name for c in dispatcher.overloads.values())
        return entry_point

    dispatcher.compile = compile_part


def compile_as_whole(dispatcher: Any) -> None:
    """Let a dispatcher compile its function together with all that it uses."""
    compile_ = dispatcher.compile

    def compile_whole(sig: Any) -> Any:
        with _library_class(dispatcher, _Whole):
            return compile_(sig)

    dispatcher.compile = compile_whole


@contextmanager
def _library_class(dispatcher: Any, library_class: type) -> Iterator[None]:
    """Let numba keep a function's code in a library of this class.

    That is for the function itself, and not for those of numba or of a user that are
    compiled on the way.
    """
    context = dispatcher.targetctx
    codegen, name = context.codegen(), dispatcher.py_func.__qualname__

    with global_compiler_lock:
        create, get_executable = codegen.create_library, context.get_executable

        def create_library(qualified_name: str, **options: Any) -> Any:
            if qualified_name == name:
                return library_class(codegen, name)
            return create(qualified_name, **options)

        def get_part(library: Any, *arguments: Any) -> Any:
            if not isinstance(library, _Part):
                return get_executable(library, *arguments)
            with _without_environment(codegen):
                return get_executable(library, *arguments)

        codegen.create_library, context.get_executable = create_library, get_part
        try:
            yield
        finally:
            codegen.create_library, context.get_executable = create, get_executable


@contextmanager
def _without_environment(codegen: Any) -> Iterator[None]:
    """Set no global variables, because the machine code has none yet."""
    before: Callable[..., None] = codegen.set_env
    codegen.set_env = lambda *_: None
    try:
        yield
    finally:
        codegen.set_env = before
