"""With CI=true, the tests run the package installed from the wheel, not the checkout."""

import os
import sysconfig
from importlib.metadata import files, version
from pathlib import Path

import pytest
from helpers import ROOT, in_subprocess

import sknt

pytestmark = pytest.mark.skipif(
    os.environ.get("CI") != "true", reason="a checkout may be tested while working on it"
)


def test_the_package_under_test_is_the_installed_one():
    site_packages = Path(sysconfig.get_path("purelib"))
    assert Path(sknt.__file__) == site_packages / "sknt" / "__init__.py"


def test_processes_that_tests_start_import_the_same(tmp_path):
    found = in_subprocess("import sknt; print(sknt.__file__)", cwd=tmp_path)
    assert Path(found.stdout.strip()) == Path(sknt.__file__)


def test_the_wheel_holds_every_file_of_the_package_and_no_others():
    checkout = {path.relative_to(ROOT) for path in (ROOT / "sknt").rglob("*.*")}
    wheel = {Path(file) for file in files("sknt") if file.parts[0] == "sknt"}
    checkout, wheel = (
        {path.as_posix() for path in paths if "__pycache__" not in path.parts}
        for paths in (checkout, wheel)
    )
    assert "sknt/py.typed" in wheel
    assert wheel == checkout, "delete build/, where an earlier build leaves its files"


def test_the_version_is_that_of_the_package():
    assert version("sknt") == sknt.__version__
