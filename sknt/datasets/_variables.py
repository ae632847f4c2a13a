"""Variables in Python source code: look up what was last assigned to a name."""

import ast
import os
import sysconfig
import tokenize
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sknt.datasets._sizes import check_range, check_sizes

KINDS = ("parameter", "loop item", "call", "constant", "container", "element", "operation")
SKIPPED = {"test", "tests", "idle_test", "site-packages", "dist-packages"}

Event = tuple[str, str | None]  # a name, and the kind of value assigned; None for a use

KIND_OF = {
    (ast.Call, ast.Await): "call",
    (ast.Constant, ast.JoinedStr): "constant",
    (ast.List, ast.Tuple, ast.Dict, ast.Set): "container",
    (ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp): "container",
    (ast.Attribute, ast.Subscript): "element",
}


def kind_of(value: ast.expr) -> str:
    """Return the kind of value that an expression gives."""
    kinds = (kind for types, kind in KIND_OF.items() if isinstance(value, types))
    return next(kinds, "operation")


class VariableLog(ast.NodeVisitor):
    """Lists the assignments to a function's variables, and their uses, in ``events``."""

    def __init__(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.events: list[Event] = []
        self.known: set[str] = set()
        of = function.args
        parameters = [*of.posonlyargs, *of.args, of.vararg, *of.kwonlyargs, of.kwarg]
        for parameter in parameters:
            if parameter is not None:
                self.assign(parameter.arg, "parameter")
        self.visit_all(function.body)

    def assign(self, name: str, kind: str) -> None:
        """Record an assignment."""
        self.known.add(name)
        self.events.append((name, kind))

    def assign_to(self, target: ast.expr, kind: str) -> None:
        """Record an assignment to a name, or to several."""
        if isinstance(target, ast.Name):
            self.assign(target.id, kind)
        elif isinstance(target, (ast.Tuple, ast.List)):
            for part in target.elts:
                self.assign_to(part, kind)
        elif isinstance(target, ast.Starred):
            self.assign_to(target.value, kind)
        else:  # an attribute or an element of a variable, which is thereby used
            self.visit(target)

    def visit_all(self, nodes: list[ast.stmt]) -> None:
        """Visit some statements."""
        for node in nodes:
            self.visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load) and node.id in self.known:
            self.events.append((node.id, None))

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self.assign_to(target, kind_of(node.value))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)
            self.assign_to(node.target, kind_of(node.value))

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self.assign_to(node.target, kind_of(node.value))

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.visit(node.value)
        self.assign_to(node.target, "operation")

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        self.assign_to(node.target, "loop item")
        self.visit_all(node.body + node.orelse)

    def visit_With(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            self.visit(item.context_expr)
            if item.optional_vars is not None:
                self.assign_to(item.optional_vars, kind_of(item.context_expr))
        self.visit_all(node.body)

    def skip(self, node: ast.AST) -> None:
        """Leave out what has variables of its own."""

    visit_AsyncFor, visit_AsyncWith = visit_For, visit_With
    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = visit_Lambda = skip
    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = skip


def source_files(folder: Path) -> Iterator[Path]:
    """Yield the Python files in a folder, in an order that depends only on their names."""
    for root, subfolders, names in os.walk(folder):
        subfolders[:] = sorted(set(subfolders) - SKIPPED)  # where to walk next
        yield from (Path(root, name) for name in sorted(names) if name.endswith(".py"))


def functions_in(folder: Path) -> Iterator[tuple[str, list[Event]]]:
    """Yield the events of each function in a folder, with its top-level module."""
    for path in source_files(folder):
        with warnings.catch_warnings(), tokenize.open(path) as file:
            # Dubious escapes: SyntaxWarning, and DeprecationWarning before Python 3.12.
            warnings.simplefilter("ignore")
            tree = ast.parse(file.read(), filename=str(path))
        module = Path(path.relative_to(folder).parts[0]).stem
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield module, VariableLog(node).events


def encode(events: list[Event], n_bits: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Turn events into a sequence and its targets."""
    X = np.zeros((len(events), n_bits + 1 + len(KINDS)))
    y = np.full(len(events), np.nan, dtype=object)
    last: dict[str, str] = {}
    for t, (name, kind) in enumerate(events):
        checksum = zlib.crc32(name.encode())
        X[t, :n_bits] = [checksum >> i & 1 for i in range(n_bits)]
        if kind is None:
            X[t, n_bits] = 1.0
            y[t] = last[name]
        else:
            X[t, n_bits + 1 + KINDS.index(kind)] = 1.0
            last[name] = kind
    return X, y


def load_source_variables(
    folder: str | os.PathLike[str] | None = None,
    *,
    n_bits: int = 12,
    min_length: int = 15,
    max_length: int = 60,
    min_names: int = 4,
) -> tuple[list[NDArray[np.float64]], list[NDArray[Any]], list[str]]:
    """Load the variables of real source code: what was last assigned to a name is asked.

    Each sequence is a function of Python's standard library. A step is an assignment to a
    variable, which says what kind of value it got, or a use, at which the kind is asked
    for: the one of the latest assignment to the same name. To answer, a model has to look
    up a name that it may not have seen in training. Steps are in the order of the syntax
    tree, each branch and each loop once. Nested functions, lambdas and comprehensions,
    which have variables of their own, are left out.

    The standard library differs between versions of Python, and therefore so do the
    sequences.

    Parameters
    ----------
    folder : path-like or None, default=None
        Where to look for ``*.py`` files, in all subfolders except those of tests and of
        installed packages; None is the standard library.
    n_bits : int, default=12
        Number of bits that stand for a name: those of its checksum (CRC-32). Different
        names with the same bits cannot be told apart.
    min_length, max_length : int, default=15 and 60
        Range of the number of steps, both ends included. Other functions are left out.
    min_names : int, default=4
        Functions with fewer variables are left out.

    Returns
    -------
    X : list of ndarray of shape (n_steps, n_bits + 8)
        The bits of the name; whether this is a use; whether it is an assignment of each
        of the seven kinds below.
    y : list of ndarray of shape (n_steps,)
        At uses, "parameter", "loop item", "call", "constant", "container" (a list, tuple,
        dictionary, set or comprehension), "element" (an attribute or an item of
        something) or "operation" (anything else); NaN at assignments.
    modules : list of str
        The top-level module of each function, by which to split the data.

    Raises
    ------
    ValueError
        If a size is not positive, a range is invalid, or no function is left.
    SyntaxError
        If a file is not valid Python.

    Examples
    --------
    >>> import json
    >>> from pathlib import Path
    >>> from sknt.datasets import load_source_variables
    >>> X, y, modules = load_source_variables(Path(json.__file__).parent)
    >>> X[0].shape[1], len(X) == len(y) == len(modules), sorted(set(modules))
    (20, True, ['__init__', 'decoder', 'encoder', ...])
    """
    check_sizes(n_bits=n_bits, min_names=min_names)
    check_range("length", min_length, max_length)
    if n_bits > 32:
        raise ValueError(f"n_bits={n_bits} is more than a checksum has; use at most 32")
    folder = Path(sysconfig.get_path("stdlib") if folder is None else folder)
    X, y, modules = [], [], []
    for module, events in functions_in(folder):
        n_names = len({name for name, _ in events})
        if min_length <= len(events) <= max_length and n_names >= min_names:
            sequence, targets = encode(events, n_bits)
            X.append(sequence)
            y.append(targets)
            modules.append(module)
    if not X:
        raise ValueError(
            f"no function in {folder} has {min_length} to {max_length} steps and at least "
            f"{min_names} variables; choose another folder or a wider range"
        )
    return X, y, modules
