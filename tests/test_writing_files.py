"""Files are written as a whole or not at all, whatever happens meanwhile."""

import os
import stat
import subprocess
import sys

import pytest
from helpers import environment, small_classifier
from persistence_helpers import carrying

import sknt
from sknt.storage import writing

NAMELESS = [True, False]
"""Whether what is being written has no name yet, where the system has such files."""


@pytest.fixture(params=NAMELESS, ids=["nameless", "named"])
def nameless(request, monkeypatch):
    if not request.param:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    elif not hasattr(os, "O_TMPFILE"):
        pytest.skip("only Linux has files without a name")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "model.sknt"
    sknt.save(carrying("old"), path)
    return path


def only_the_old_is_there(path):
    return sknt.load(path).net_params == {"optimizer__x": "old"} and os.listdir(
        path.parent
    ) == [path.name]


@pytest.mark.usefixtures("nameless")
def test_the_new_file_replaces_the_old_one(path):
    sknt.save(carrying("new"), path)
    assert sknt.load(path).net_params == {"optimizer__x": "new"}
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.usefixtures("nameless")
@pytest.mark.parametrize("error", [OSError(28, "full"), KeyboardInterrupt(), MemoryError()])
@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_after_an_error_the_old_file_is_there_and_nothing_else(
    path, monkeypatch, error, where
):
    def fail(*args):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(os, where, fail)
        with pytest.raises(type(error)):
            sknt.save(carrying("new"), path)
    assert only_the_old_is_there(path)


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
@pytest.mark.usefixtures("nameless")
def test_a_file_has_the_permissions_of_any_new_file(tmp_path):
    sknt.save(small_classifier(), tmp_path / "model")
    (tmp_path / "other").touch()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("model", "other")]
    assert modes[0] == modes[1]


@pytest.mark.skipif(os.name == "nt", reason="needs rights to make links")
def test_a_symbolic_link_stays_one(path, tmp_path):
    link = tmp_path / "elsewhere" / "link"
    link.parent.mkdir()
    link.symlink_to(path)
    sknt.save(carrying("new"), link)
    assert link.is_symlink()
    assert sknt.load(path).net_params == {"optimizer__x": "new"}


def test_a_folder_that_is_not_there_or_a_folder_itself_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        sknt.save(small_classifier(), tmp_path / "no" / "model")
    with pytest.raises(FileNotFoundError):
        sknt.load(tmp_path / "no")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        sknt.save(small_classifier(), tmp_path / "folder")
    assert os.listdir(tmp_path) == ["folder"]


def test_a_long_name_is_possible(tmp_path):
    path = tmp_path / ("a" * 255)
    sknt.save(small_classifier(), path)
    sknt.save(small_classifier(), path)
    assert os.listdir(tmp_path) == [path.name]


SAVING = """
import os, random, signal, sys, time
import numpy as np
import sknt

path, kind = sys.argv[1:]
if kind == "named" and hasattr(os, "O_TMPFILE"):
    del os.O_TMPFILE
models = [
    sknt.NTMSequenceClassifier(net_params={"weights": np.full(2**17, i), "i": i})
    for i in range(7)
]
sknt.save(models[0], path)
rng, seen = random.Random(0), set()
for _ in range(40):
    child = os.fork()
    while child == 0:
        for model in rng.sample(models, 7):
            sknt.save(model, path)
    time.sleep(rng.uniform(0.01, 0.06))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    loaded = sknt.load(path).net_params
    assert (loaded["weights"] == loaded["i"]).all()
    seen.add(loaded["i"])
print(len(seen), len(os.listdir(os.path.dirname(path))) - 1)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that fork")
@pytest.mark.parametrize("kind", ["nameless", "named"])
def test_killed_at_any_moment_the_file_loads(path, kind):
    done = subprocess.run(
        [sys.executable, "-c", SAVING, str(path), kind],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    n_seen, n_litter = map(int, done.stdout.split())
    assert n_seen > 2  # they were killed in several places
    names = [name for name in os.listdir(path.parent) if name != path.name]
    assert all(name.startswith(".model.sknt.") for name in names)
    if kind == "nameless" and hasattr(os, "O_TMPFILE"):
        assert n_litter <= 3  # a name is given just before the file takes its place


def test_parts_are_written_in_their_order(tmp_path):
    writing.write_atomically(str(tmp_path / "file"), [b"one", bytearray(b" two")])
    assert (tmp_path / "file").read_bytes() == b"one two"
