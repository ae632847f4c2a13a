"""Parameters of estimators, each declared once.

A class that :func:`declares_parameters` lists its parameters as dataclasses list fields::

    learning_rate: float = parameter(
        default=0.01,
        constraint=[Interval(Real, 0, None, closed="neither")],
        doc=\"\"\"float, default=0.01
        Step size of the optimizer.\"\"\",
    )

From this follow the constructor, scikit-learn's constraints and, in the class docstring in
place of ``{parameters}``, the paragraphs that document them. Type checkers and editors read
the declarations as they read a dataclass.
"""

import inspect
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, dataclass_transform

Class = TypeVar("Class")


@dataclass(frozen=True)
class Parameter:
    """What is known of a parameter.

    Attributes
    ----------
    default : object
    constraint : list
        As in scikit-learn's ``_parameter_constraints``.
    doc : str
        The type and default, and in further lines what it is.
    network : bool
        Whether it goes to the network.
    fixed : bool
        Whether a fit that goes on from the last one cannot change it.
    after : str or None
        The parameter that it follows; None: the one declared before it.
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

    What goes to the network is fixed.
    """
    return Parameter(default, constraint, doc, network, fixed or network, after)


@dataclass_transform(kw_only_default=True, field_specifiers=(parameter,))
def declares_parameters(cls: type[Class]) -> type[Class]:
    """Give a class the constructor, constraints and docstring of its parameters.

    They are those of its base class and its own; ``cls._parameters`` has them by name.
    """
    target: Any = cls
    inherited: Mapping[str, Parameter] = getattr(cls, "_parameters", {})
    own = {name: part for name, part in vars(cls).items() if isinstance(part, Parameter)}
    parameters = _in_order(inherited, own)
    for name in own:
        delattr(cls, name)  # values are attributes of instances alone
    target._parameters = parameters
    target._parameter_constraints = {name: p.constraint for name, p in parameters.items()}
    target.__init__ = _constructor(cls, parameters)
    if cls.__doc__ is not None and "{parameters}" in cls.__doc__:  # not with python -OO
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
            continue  # declared anew, in its old place
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
