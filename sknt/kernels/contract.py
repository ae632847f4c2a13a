"""What a memory's kernel is: one module, of which the engine knows the names below.

A memory's class names the module in its attribute ``kernel``. The module exports, with
``d`` a NamedTuple of numbers (integers and floats):

=====================  ===============================================================
``dims(memory)``       ``d``, from the torch module
``state(d)``           the parts of a state, ``{name: shape}``, in the order and with the
                       names of the memory's NamedTuple
``interface(d)``       likewise, those of an interface; together they are the columns of
                       the projection, in their order
``history(d)``         what the backward pass needs of a step besides the interface
``scratch(d)``         working memory of a step, and of its backward pass
``private(d)``         what a sequence carries from step to step besides the state
                       (optional): it follows from the state, but it would take long to
                       work it out in every step. Zeros before ``prepare``
``transposed``         names of parts of the state that are kept transposed, that is with
                       their last two axes exchanged (a tuple; optional)
``activate``           ``(d, raw, interface, scratch)``: apply the activations
``prepare``            ``(d, state, blank)``: set the private parts, once for each sequence
                       before its first step (optional). ``blank`` says that the bulky
                       parts of the state are known to be zeros
``step``               ``(d, interface, state, reads, history, scratch)``: take a step.
                       ``state`` is changed in place, ``reads`` and ``history`` are set
``replay``             ``(d, interface, history, before, after)``: compute the state after
                       a step from the one before it, with what the history has of it.
                       Only parts that ``step_backward`` looks at in ``before`` have to be
                       set. Optional: a kernel without it must not look at ``before``,
                       which then holds nothing, and its whole history is kept
``step_backward``      ``(d, interface, before, history, d_state, d_reads, d_interface,
                       scratch)``: backpropagate. ``d_state`` changes from the gradient
                       with respect to the state after the step to that before it;
                       gradients are added to ``d_interface``; ``d_reads`` is not needed
                       afterwards
``activate_backward``  ``(d, raw, interface, d_interface, scratch)``: replace ``raw`` by
                       the gradient with respect to it
``projection(memory)`` weight and bias of the linear map to the interface (optional: those
                       of ``memory.projection``)
=====================  ===============================================================

The functions from ``activate`` on are compiled by
:func:`~sknt.kernels.contract.helper` or :func:`~sknt.kernels.contract.stage`, process one
sequence, and get structs of pointers with the names of the parts (``state.memory``), which
point to adjacent numbers in the order of the shape. Parts of different names are not
adjacent, except for those of an interface. Private parts are in the same struct as those of
the state, in ``prepare`` and ``step`` alone; they have no gradients, and do not leave the
kernels.
"""

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from numbers import Integral
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from sknt.kernels import driver
from sknt.kernels._compile import helper, stage
from sknt.kernels.pointers import joint_structure, structure

Shapes = Mapping[str, tuple[int, ...]]
Describe = Callable[[Any], Shapes]

KINDS = ("state", "interface", "history", "scratch")
"""What consists of named parts."""

NEEDED = (
    *("dims", *KINDS),
    *("activate", "step", "step_backward", "activate_backward"),
)
"""What every kernel has to define."""

ARGUMENTS = {
    "activate": 4,
    "prepare": 3,
    "step": 6,
    "replay": 5,
    "step_backward": 8,
    "activate_backward": 5,
}
"""How many arguments the compiled functions take."""

__all__ = ["NEEDED", "Kernel", "helper", "load_kernel", "loaded", "stage"]


class Kernel(NamedTuple):
    """A memory's kernel, with the passes compiled for it."""

    name: str
    dims: Callable[[Any], Any]
    state: Describe
    interface: Describe
    history: Describe
    scratch: Describe
    private: Describe
    projection: Callable[[Any], tuple[Any, Any]]
    transposed: frozenset[str]
    replays: bool  # whether a backward step needs the state before it
    bulky: int  # number of parts at the beginning of a state that the heads' trace omits
    forward: Any
    backward: Any


loaded: dict[str, Kernel] = {}
"""The kernels that have been loaded, by their modules' names."""

_served: WeakKeyDictionary[type, Kernel] = WeakKeyDictionary()
"""The classes of memories that have been found to fit the kernels they name."""


def load_kernel(module_name: str, memory: Any) -> Kernel:
    """Load the kernel of a memory; nothing is compiled before it is used.

    Raises
    ------
    ImportError
        If there is no such module.
    TypeError
        If it does not define what it has to, or its parts are not those of the memory.
    """
    if module_name not in loaded:
        module = importlib.import_module(module_name)
        if missing := [name for name in NEEDED if not hasattr(module, name)]:
            raise TypeError(
                f"the kernel {module_name} does not define {', '.join(missing)}; "
                "sknt.kernels.contract says what a kernel has to define"
            )
        if memory is not None:
            _check_parts(module, memory)
        kernel = loaded[module_name] = _build(module, memory)
        if memory is not None:
            _served[type(memory)] = kernel
    kernel = loaded[module_name]
    if memory is not None and _served.get(type(memory)) is not kernel:
        _check_parts(sys.modules[module_name], memory)
        if len(memory.bulky) != kernel.bulky:
            raise TypeError(
                f"the kernel {module_name} already serves memories with {kernel.bulky} "
                f"bulky fields, but {type(memory).__name__}.bulky is {memory.bulky}"
            )
        _served[type(memory)] = kernel
    return kernel


def _build(module: Any, memory: Any) -> Kernel:
    d = module.dims(memory)
    describe = {kind: _with_a_part(getattr(module, kind)) for kind in KINDS}
    structures = {
        f"{kind}_parts": structure(kind, parts(d)) for kind, parts in describe.items()
    }
    private = getattr(module, "private", _nothing)
    passes = driver.instantiate(
        module.__name__,
        sources=_sources(module),
        activate=module.activate,
        step=module.step,
        replay=getattr(module, "replay", _keep_nothing),
        replays=hasattr(module, "replay"),
        prepare=getattr(module, "prepare", _prepare_nothing),
        prepares=hasattr(module, "prepare"),
        activate_backward=module.activate_backward,
        step_backward=module.step_backward,
        whole_state_parts=joint_structure("whole", describe["state"](d), private(d)),
        **structures,
    )
    return Kernel(
        name=module.__name__,
        dims=module.dims,
        **describe,
        private=private,
        projection=getattr(module, "projection", _projection),
        transposed=frozenset(getattr(module, "transposed", ())),
        replays=hasattr(module, "replay"),
        bulky=len(getattr(memory, "bulky", ())),
        forward=passes["forward"],
        backward=passes["backward"],
    )


def _check_parts(module: Any, memory: Any) -> None:
    """Refuse parts that are not those of the torch memory, in names, order or shapes."""
    d = module.dims(memory)
    _check_functions(module)
    for kind in KINDS:
        _check_shapes(module, kind, getattr(module, kind)(d))
    projection = getattr(module, "projection", _projection)(memory)
    if not isinstance(projection, tuple) or len(projection) != 2:
        raise TypeError(
            f"{module.__name__}.projection returned {type(projection).__name__}; it should "
            "return the weight and the bias of the map to the interface"
        )
    state, transposed = memory.initial_state(1), getattr(module, "transposed", ())
    given = {
        name: (*shape[:-2], *shape[:-3:-1]) if name in transposed else tuple(shape)
        for name, shape in module.state(d).items()
    }
    wanted = {name: tuple(part.shape[1:]) for name, part in state._asdict().items()}
    if [*given.items()] != [*wanted.items()]:
        raise TypeError(
            f"the kernel {module.__name__} has a state of {given}; the memory's is {wanted}"
        )
    fields = getattr(memory.interface_type, "_fields", None)
    if tuple(module.interface(d)) != fields:
        raise TypeError(
            f"the kernel {module.__name__} has an interface of "
            f"{tuple(module.interface(d))}, but the fields of {type(memory).__name__}."
            f"interface_type are {fields}"
        )


def _check_functions(module: Any) -> None:
    """Refuse functions that are not compiled, or take other arguments."""
    for name, n_arguments in ARGUMENTS.items():
        function = getattr(module, name, None)
        if function is None:  # an optional one
            continue
        python = getattr(function, "py_func", None)
        if python is None:
            raise TypeError(
                f"{module.__name__}.{name} is not compiled; decorate it with "
                "sknt.kernels.contract.stage"
            )
        n_given = len(inspect.signature(python).parameters)
        if n_given != n_arguments:
            raise TypeError(
                f"{module.__name__}.{name} takes {n_given} arguments instead of "
                f"{n_arguments}; sknt.kernels.contract says which"
            )


def _check_shapes(module: Any, kind: str, shapes: Any) -> None:
    """Refuse anything but shapes by the names of parts."""
    if not isinstance(shapes, Mapping) or not all(
        isinstance(shape, tuple) and all(isinstance(n, Integral) for n in shape)
        for shape in shapes.values()
    ):
        raise TypeError(
            f"{module.__name__}.{kind} returned {shapes!r}; it should return a dictionary "
            "of the parts' shapes, which are tuples of integers"
        )


def _with_a_part(describe: Describe) -> Describe:
    """Add a part without numbers where there is none, because a struct needs one."""
    return lambda d: describe(d) or {"nothing": (0,)}


def _projection(memory: Any) -> tuple[Any, Any]:
    return memory.projection.weight, memory.projection.bias


def _nothing(d: Any) -> Shapes:
    return {}


@helper
def _keep_nothing(d, interface, history, before, after):
    pass


@helper
def _prepare_nothing(d, state, blank):
    pass


def _sources(module: ModuleType) -> tuple[Path, ...]:
    """Return the files that a kernel's functions come from, besides the engine's."""
    compiled = [value for value in vars(module).values() if hasattr(value, "py_func")]
    names = {module.__name__, *(value.py_func.__module__ for value in compiled)}
    files = {name: getattr(sys.modules.get(name), "__file__", None) for name in names}
    if without := sorted(name for name, file in files.items() if not file):
        raise TypeError(
            f"{', '.join(without)} is not in a file, but compiled kernels are kept until "
            "their files change; save the kernel as a module"
        )
    paths = {Path(str(file)) for file in files.values()}
    return tuple(sorted(path for path in paths if path.parent != Path(__file__).parent))
