"""What is in the wheel that everybody installs, and in the one that the image is made of."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def wheel_of(tree: Path, directory: Path) -> zipfile.Path:
    """The wheel of a source tree."""
    building = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    subprocess.run(building, cwd=tree, check=True, capture_output=True, timeout=60)
    (file,) = directory.glob("*.whl")
    return zipfile.Path(file)


def rooms(wheel: zipfile.Path) -> set[str]:
    return {entry.name for entry in wheel.iterdir() if not entry.name.endswith(".dist-info")}


def copied_into_the_image() -> list[str]:
    """What the image's build has of the source tree."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    instructions = [line.split()[1:-1] for line in lines if line.startswith("COPY ") and "--from" not in line]
    return [source for sources in instructions for source in sources]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    """The wheel that the image installs."""
    tree = tmp_path_factory.mktemp("source")
    for source in copied_into_the_image():
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, tree / source, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, tree)
    return wheel_of(tree, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(image: zipfile.Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with that wheel's content."""
    directory = tmp_path_factory.mktemp("installed")
    image.root.extractall(directory)
    assert not (directory / "sandbox").exists(), "its verbs would start it"
    return directory


def resetd(*args: str, path: list[Path]) -> subprocess.CompletedProcess[str]:
    """A run of the command that is on `path`; `-S` keeps this source tree, which is installed too, out of sight."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RESETD_")}
    return subprocess.run(
        [sys.executable, "-S", "-P", "-m", "daemon", *args],
        env=kept | {"PYTHONPATH": os.pathsep.join([*map(str, path), sysconfig.get_path("purelib")])},
        cwd=path[0],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_wheel_holds_the_daemon_and_the_sandbox_and_nothing_of_the_tests(tmp_path: Path) -> None:
    assert rooms(wheel_of(ROOT, tmp_path)) == {"daemon", "statemachines", "schemas", "sandbox"}


def test_the_image_holds_no_sandbox(image: zipfile.Path) -> None:
    assert rooms(image) == {"daemon", "statemachines", "schemas"}


def test_the_images_build_sees_only_what_it_copies() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert lines[1] == "*"
    assert [line[1:] for line in lines if line.startswith("!")] == copied_into_the_image()


def test_without_the_sandbox_the_other_verbs_are_there(installed: Path) -> None:
    assert "serve" in resetd("--help", path=[installed]).stdout
    checked = resetd("catalog", "check", path=[installed])
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "6 services" in checked.stdout


@pytest.mark.parametrize("verb", [["sandbox", "up"], ["demo"]])
def test_without_the_sandbox_its_verbs_say_where_it_is(installed: Path, verb: list[str]) -> None:
    ended = resetd(*verb, path=[installed])
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "the sandbox is not in this installation" in ended.stderr
    assert "make demo" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_what_the_sandbox_needs_its_verbs_name_it_and_the_extra(
    installed: Path, tmp_path: Path
) -> None:
    (tmp_path / "sandbox").mkdir()
    (tmp_path / "sandbox" / "demo.py").write_text("import no_such_package\n")
    ended = resetd("demo", path=[installed, tmp_path])
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "no_such_package is missing" in ended.stderr
    assert "resetd[sandbox]" in ended.stderr
