"""What the tests of docs/clusters.md share: its scripts, and processes that die."""

import importlib
import json
import os
import re
import signal
import subprocess
import sys
import textwrap

import pytest
from helpers import ROOT, environment

PAGE = ROOT / "docs" / "clusters.md"
TIMEOUT = 500
"""Seconds after which a cluster is taken to hang."""

KILLER = """
import os, signal
from pathlib import Path
from skorch.callbacks import Callback

class KillOnce(Callback):
    '''Kill the process in the middle of a fit: one worker, once.'''

    def __init__(self, driver=os.getpid(), mark=Path("killed").absolute()):
        self.driver, self.mark = driver, mark

    def on_epoch_begin(self, net, **kwargs):
        if os.getpid() != self.driver and len(net.history) == 2:
            try:
                self.mark.touch(exist_ok=False)
            except FileExistsError:
                return
            os.kill(os.getpid(), signal.SIGKILL)
"""


def save_blocks(place):
    """Save the scripts of the page, which begin with their names, in a folder."""
    blocks = re.findall(r"```python\n(# (\w+\.py)\n.*?)```", PAGE.read_text(), re.DOTALL)
    for block, name in blocks:
        (place / name).write_text(block)


def load_block(name, place, monkeypatch):
    """Import one of the scripts; the test's end forgets it."""
    save_blocks(place)
    monkeypatch.syspath_prepend(place)
    module = name.removesuffix(".py")
    monkeypatch.delitem(sys.modules, module, raising=False)
    loaded = importlib.import_module(module)
    monkeypatch.setitem(sys.modules, module, loaded)
    return loaded


def run_with_killed_worker(code, place):
    """Run code with ``KillOnce`` next to the scripts; return what it prints, from JSON.

    After the timeout, the whole group of processes is ended.
    """
    save_blocks(place)
    process = subprocess.Popen(
        [sys.executable, "-c", KILLER + textwrap.dedent(code)],
        cwd=place,
        env=environment(OMP_NUM_THREADS="1", RAY_USAGE_STATS_ENABLED="0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, error = process.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        pytest.fail(f"no end after {TIMEOUT} s: {process.communicate()[1]}")
    assert process.returncode == 0, error
    assert (place / "killed").exists(), "no worker has been killed"
    return json.loads(out.splitlines()[-1])  # Ray says something before
