"""What the tests of docs/clusters.md share: its scripts, as readers save them."""

import importlib
import re
import sys

from helpers import ROOT

PAGE = ROOT / "docs" / "clusters.md"


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
