"""Print the oldest versions that pyproject.toml declares, as constraints for pip."""

import re
import tomllib
from itertools import chain
from pathlib import Path

pyproject = Path(__file__).parents[1] / "pyproject.toml"
project = tomllib.loads(pyproject.read_text())["project"]
optional = project["optional-dependencies"].values()
for requirement in chain(project["dependencies"], *optional):
    if bound := re.match(r"([\w.-]+)>=([\w.]+)", requirement):
        print("{}=={}".format(*bound.groups()))
