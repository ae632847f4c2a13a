"""Variables in source code, against sources read by hand."""

import numpy as np
import pytest
from sklearn.model_selection import GroupShuffleSplit

from sknt import NTMSequenceClassifier
from sknt.datasets import load_source_variables

KINDS = ["parameter", "loop item", "call", "constant", "container", "element", "operation"]

SOURCE = '''
def read(lines, *names, limit: int = 10, **options):
    """A docstring is no assignment."""
    total: int = 0
    declared: int
    with open(lines) as file, limit.lock as (lock, *others):
        for number, line in enumerate(file, start=total):
            total += number
            fields = [field for field in line]
            options[number] = fields
    if (size := total) > limit:
        lock = options.get
    def inner(hidden):
        return hidden
    del line
    return size, lock, lambda fields: fields, unknown, declared
'''

# The names and kinds in the order of the syntax tree; None is a use.
EVENTS = [
    ("lines", "parameter"),
    ("names", "parameter"),
    ("limit", "parameter"),
    ("options", "parameter"),
    ("total", "constant"),
    ("lines", None),
    ("file", "call"),
    ("limit", None),
    ("lock", "element"),
    ("others", "element"),
    ("file", None),
    ("total", None),
    ("number", "loop item"),
    ("line", "loop item"),
    ("number", None),
    ("total", "operation"),
    ("fields", "container"),
    ("fields", None),
    ("options", None),
    ("number", None),
    ("total", None),
    ("size", "operation"),
    ("limit", None),
    ("options", None),
    ("lock", "element"),
    ("size", None),
    ("lock", None),
]

ANSWERS = {
    5: "parameter",
    7: "parameter",
    10: "call",
    11: "constant",
    14: "loop item",
    17: "container",
    18: "parameter",
    19: "loop item",
    20: "operation",
    22: "parameter",
    23: "parameter",
    25: "operation",
    26: "element",
}


def write(folder, name, source):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)


def straight(n_steps):
    """A function whose variables are used n_steps - 4 times."""
    return "def f(a, b, c, d):\n" + "    a\n" * (n_steps - 4)


def test_steps_and_answers_are_those_read_by_hand(tmp_path):
    write(tmp_path, "reading.py", SOURCE)
    (X,), (y,), modules = load_source_variables(tmp_path)
    assert modules == ["reading"]
    assert X.shape == (len(EVENTS), 12 + 8)
    for step, (_, kind) in zip(X, EVENTS, strict=True):
        told = [kind is None] + [kind == each for each in KINDS]
        np.testing.assert_array_equal(step[12:], told)
    asked = {t: answer for t, answer in enumerate(y) if isinstance(answer, str)}
    assert asked == ANSWERS
    assert all(np.isnan(y[t]) for t in range(len(y)) if t not in asked)


def test_equal_names_have_equal_bits_and_others_do_not(tmp_path):
    write(tmp_path, "reading.py", SOURCE)
    (X,), _, _ = load_source_variables(tmp_path, n_bits=20)
    names = np.array([name for name, _ in EVENTS])
    same_bits = (X[:, np.newaxis, :20] == X[:, :20]).all(axis=2)
    np.testing.assert_array_equal(same_bits, names[:, np.newaxis] == names)


def test_only_functions_in_the_ranges_are_kept(tmp_path):
    write(tmp_path, "some.py", straight(9) + straight(10) + straight(12) + straight(13))
    X, y, _ = load_source_variables(tmp_path, min_length=10, max_length=12)
    assert [len(x) for x in X] == [len(targets) for targets in y] == [10, 12]
    with pytest.raises(ValueError, match="no function in .* at least 5 variables"):
        load_source_variables(tmp_path, min_length=10, max_length=12, min_names=5)


def test_modules_are_the_topmost_ones_and_tests_are_left_out(tmp_path):
    for name in ("one.py", "two/deep/inside.py", "two/other.py", "test/three.py"):
        write(tmp_path, name, straight(20))
    write(tmp_path, "two/tests/four.py", "this is not Python")
    write(tmp_path, "site-packages/five.py", straight(20))
    _, _, modules = load_source_variables(tmp_path)
    assert modules == ["one", "two", "two"]


def test_encodings_and_dubious_escapes_are_read(tmp_path):
    source = "# coding: latin-1\n" + straight(20) + "    '\\d'\n    é = b\n    é\n"
    (tmp_path / "old.py").write_bytes(source.encode("latin-1"))
    _, (y,), _ = load_source_variables(tmp_path)
    assert y[-1] == "operation"


def test_a_file_that_is_not_python_is_named(tmp_path):
    write(tmp_path, "broken.py", "def f(:")
    with pytest.raises(SyntaxError, match=r"broken\.py"):
        load_source_variables(tmp_path)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"n_bits": 0}, "n_bits=0"),
        ({"n_bits": 33}, "n_bits=33"),
        ({"min_names": 0}, "min_names=0"),
        ({"min_length": 30, "max_length": 20}, "min_length=30"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(params, match):
    with pytest.raises(ValueError, match=match):
        load_source_variables(**params)


@pytest.mark.slow
def test_the_standard_library_can_be_split_by_module_and_learned():
    X, y, modules = load_source_variables()
    assert {"json", "argparse"} <= set(modules)
    assert not {"test", "site-packages"} & set(modules)
    split = GroupShuffleSplit(1, train_size=0.02, test_size=0.02, random_state=0)
    train, held_out = next(split.split(X, groups=modules))
    model = NTMSequenceClassifier(return_sequences=True, max_epochs=1, random_state=0)
    model.fit([X[i] for i in train], [y[i] for i in train])
    assert set(model.classes_) <= set(KINDS)
    assert 0 < model.score([X[i] for i in held_out], [y[i] for i in held_out]) < 1
