"""Processes that are killed with SIGKILL, which nothing can catch."""

import os

import pytest
from helpers import in_subprocess

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that fork"),
]

CODE = """
import hashlib, os, random, signal, sys, time, warnings
import numpy as np
from sknt import NTMSequenceClassifier
from sknt.storage.checkpoints import CheckpointFile
from sknt.training import ongoing

ongoing.MIN_SECONDS, ongoing.MAX_COST = 0.0, float("inf")  # write at each epoch
warnings.filterwarnings("ignore", message=".*fork.*")
rng = np.random.RandomState(0)
X = rng.normal(size=(40, 5, 2))
y = np.where(X[:, 0, 0] > 0, "up", "down")

def make(folder):
    return NTMSequenceClassifier(
        memory="dntm", memory_params={"addressing": "hard"}, memory_size=4, word_size=6,
        hidden_size=4, backend="reference", max_epochs=6, early_stopping=True,
        class_weight={"up": 1.0, "down": 2.0}, net_params={"optimizer__eps": 1e-3},
        random_state=0, checkpoint=folder)

def result(model):
    content = hashlib.sha256()
    for parameter in model.net_.module_.parameters():
        content.update(parameter.detach().numpy().tobytes())
    for epoch in model.history_:
        content.update(repr({k: v for k, v in epoch.items() if k != "dur"}).encode())
    content.update(model.predict_proba(X).tobytes())
    return content.hexdigest().encode()

def in_child(folder, seconds):
    '''Fit in a process that is killed after some seconds; return the result, if any.'''
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(write, result(make(folder).fit(X, y)))
        finally:
            os._exit(0)
    os.close(write)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    found = os.read(read, 100)
    os.close(read)
    os.waitpid(child, 0)
    return found
"""

KILL_OFTEN = """
folder = sys.argv[1]
whole = result(make(None).fit(X, y))
start = time.monotonic()
make(None).fit(X, y)
duration, draw = time.monotonic() - start, random.Random(0)
n_kills, results = 0, 0
while n_kills < 25:
    found = in_child(folder, draw.uniform(0, 0.7 * duration))
    if found:
        assert found == whole
        assert os.listdir(folder) == []
        results += 1
    else:
        n_kills += 1
assert in_child(folder, None) == whole
assert os.listdir(folder) == []
print(n_kills, results)
"""

KILL_ONCE = """
folder = sys.argv[1]
child = os.fork()
if not child:
    make(folder).fit(X, y)
    os._exit(1)
n_done = 0
while n_done < 2:
    for name in os.listdir(folder):
        if name.startswith("fit-"):
            key = name.removeprefix("fit-").removesuffix(".sknt")
            n_done = CheckpointFile(folder, key).read()["n_done"]
os.kill(child, signal.SIGKILL)
assert os.waitpid(child, 0)[1] == signal.SIGKILL
"""

GO_ON = """
from sknt.training.loop import train
from sknt import _base
done = []
def watched(net, *args, ongoing, **kwargs):
    train(net, *args, ongoing=ongoing, **kwargs)
    done.append(ongoing.n_done)
_base.train = watched
folder = sys.argv[1]
assert result(make(folder).fit(X, y)) == result(make(None).fit(X, y))
assert done[0] >= 2 and done[1] == 0, done
assert os.listdir(folder) == []
"""


def run(code, folder, **env):
    folder.mkdir(exist_ok=True)
    setting = f"import sys; sys.argv = ['', {str(folder)!r}]\n"
    return in_subprocess(setting + CODE + code, OMP_NUM_THREADS="1", **env).stdout


def test_killed_at_any_moment_the_same_call_goes_on_to_the_same_result(tmp_path):
    n_kills, _ = map(int, run(KILL_OFTEN, tmp_path).split())
    assert n_kills == 25


def test_another_process_knows_the_fit_again(tmp_path):
    """Whatever Python draws anew for each process, such as the hashes of texts."""
    run(KILL_ONCE, tmp_path, PYTHONHASHSEED="1")
    assert len(os.listdir(tmp_path)) == 1
    run(GO_ON, tmp_path, PYTHONHASHSEED="2")
