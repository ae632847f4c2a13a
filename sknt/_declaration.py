"""Parameters of estimators, each declared once.

A class decorated with :func:`declares_parameters` lists its parameters as a dataclass lists
its fields::

    learning_rate: float = parameter(
        default=0.01,
        constraint=[Interval(Real, 0, None, closed="neither")],
        doc=\"\"\"float, default=0.01
        Step size of the optimizer.\"\"\",
    )

From these the decorator makes the constructor, scikit-learn's constraints and the
paragraphs that take the place of ``{parameters}`` in the class docstring. Type checkers and
editors read the declarations as they read a dataclass.
"""

import inspect
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, dataclass_transform

Class = TypeVar("Class")


@dataclass(frozen=True)
class Parameter:
    """A declared parameter.

    Attributes
    ----------
    default : object
    constraint : list
        As in scikit-learn's ``_parameter_constraints``.
    doc : str
        Type and default on the first line, then the description.
    network : bool
        Whether it goes to the network.
    fixed : bool
        Whether a fit that continues from the last one cannot change it.
    after : str or None
        The parameter that it is listed after; None means the one declared before it.
    """

    default: Any
    constraint: list[Any]
    doc: str
    network: bool = False
    fixed: bool = False
    after: str | None = None

    def paragraph(self, name: str) -> str:
        """Return its paragraph in a numpydoc section."""
        kind, _, text = self.doc.partition("\n")
        return f"{name} : {kind}\n" + textwrap.indent(textwrap.dedent(text), "    ")


def parameter(
    *,
    default: Any,
    constraint: list[Any],
    doc: str,
    network: bool = False,
    fixed: bool = False,
    after: str | None = None,
) -> Any:
    """Declare a parameter; the arguments are those of :class:`Parameter`.

    A parameter that goes to the network is always fixed.
    """
    return Parameter(default, constraint, doc, network, fixed or network, after)


@dataclass_transform(kw_only_default=True, field_specifiers=(parameter,))
def declares_parameters(cls: type[Class]) -> type[Class]:
    """Give a class the constructor, constraints and docstring of its parameters.

    They are its own and those of its base class; ``cls._parameters`` holds them by name.
    """
    target: Any = cls
    inherited: Mapping[str, Parameter] = getattr(cls, "_parameters", {})
    own = {name: part for name, part in vars(cls).items() if isinstance(part, Parameter)}
    parameters = _in_order(inherited, own)
    for name in own:
        delattr(cls, name)  # only instances have values
    target._parameters = parameters
    target._parameter_constraints = {name: p.constraint for name, p in parameters.items()}
    target.__init__ = _constructor(cls, parameters)
    if cls.__doc__ is not None and "{parameters}" in cls.__doc__:  # None under python -OO
        paragraphs = "\n".join(p.paragraph(name) for name, p in parameters.items())
        indented = textwrap.indent(paragraphs, "    ").strip()
        cls.__doc__ = cls.__doc__.replace("{parameters}", indented)
    return cls


def _in_order(
    inherited: Mapping[str, Parameter], own: Mapping[str, Parameter]
) -> dict[str, Parameter]:
    names = list(inherited)
    for name, part in own.items():
        if name in names:
            continue  # redeclared: it keeps its place
        place = len(names) if part.after is None else names.index(part.after) + 1
        names.insert(place, name)
    return {name: own.get(name) or inherited[name] for name in names}


def _constructor(cls: type, parameters: Mapping[str, Parameter]) -> Any:
    signature = inspect.Signature(
        [
            inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD),
            *(
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=p.default)
                for name, p in parameters.items()
            ),
        ]
    )

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            bound = signature.bind(self, *args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{type(self).__name__}() {error}") from None
        bound.apply_defaults()
        del bound.arguments["self"]
        for name, value in bound.arguments.items():
            setattr(self, name, value)

    __init__.__signature__ = signature  # type: ignore[attr-defined]
    __init__.__qualname__ = f"{cls.__qualname__}.__init__"
    __init__.__module__ = cls.__module__
    return __init__
