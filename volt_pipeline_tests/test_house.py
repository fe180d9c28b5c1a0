"""The house keeps its own rules: layers, names, and instructions that work."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "'click", DeprecationWarning)  # what typer still uses of click's
    from typer.testing import CliRunner

    from volt_pipeline.cli import app

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "volt_pipeline"
MODULES = sorted(PACKAGE.rglob("*.py"))
MADE = {"__pycache__", "target", "logs"}  # by tools, not by people
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def _files() -> Iterator[Path]:
    """Every text of the project: what is ours in its folder, without what tools put there."""
    for folder, below, names in os.walk(ROOT):
        below[:] = [name for name in below if name not in MADE and not name.endswith(".egg-info")]
        below[:] = [name for name in below if not name.startswith(".") or name == ".ci"]
        yield from (Path(folder) / name for name in names)


def _commands(page: Path) -> Iterator[list[str]]:
    """The commands that a page tells people to give: in its sh blocks and between backticks."""
    text = page.read_text(encoding="utf-8")
    lines = [
        line
        for block in re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        for line in block.splitlines()
    ]
    lines += re.findall(
        r"`((?:make|(?:\.venv/bin/)?volt-pipeline)(?: [^`]*)?)`",
        re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE),
    )
    for line in lines:
        words = shlex.split(line, comments=True)
        if words and Path(words[0]).name in ("make", "volt-pipeline"):
            yield [Path(words[0]).name, *words[1:]]


def _targets() -> set[str]:
    return set(re.findall(r"^([\w-]+):(?!=)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def test_the_layers_hold() -> None:
    """The contracts of setup.cfg; the name of a broken one says why it stands."""
    checker = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [checker, "--config", "setup.cfg", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    kept = re.findall(r"Contracts: (\d+) kept, 0 broken", done.stdout)
    contracts = re.findall(r"^\[importlinter:contract:", (ROOT / "setup.cfg").read_text(), re.MULTILINE)
    assert kept == [str(len(contracts))]


def test_modules_are_named_after_what_they_hold() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "misc"}
    modules = [path for top in ("volt_pipeline", "volt_pipeline_tests") for path in (ROOT / top).rglob("*.py")]
    assert len(modules) > len(MODULES)
    assert not [path for path in modules if vague & {path.stem, *path.relative_to(ROOT).parts}]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_opens_with_what_it_is(module: Path) -> None:
    assert ast.get_docstring(ast.parse(module.read_text(encoding="utf-8")))


def test_nothing_names_a_path_of_this_machine() -> None:
    places = {str(ROOT), str(Path.home()), sys.prefix, sys.base_prefix} - {"/", "/root", "/usr", "/usr/local"}
    there = re.compile("|".join(rf"(?<![\w.]){re.escape(place)}(?![\w-])" for place in sorted(places)))
    named = []
    for path in _files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        named += [f"{path.relative_to(ROOT)}: {found}" for found in there.findall(text)]
    assert not named


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_that_people_are_told_exist(page: Path) -> None:
    told = list(_commands(page))
    assert told or page.parent.name == "docs"
    for program, *arguments in told:
        if program == "make":
            named = [word for word in arguments if "=" not in word]
            assert set(named) <= _targets(), f"{page.name}: make {' '.join(arguments)}"
        else:
            shown = CliRunner().invoke(app, [*arguments, "--help"])
            assert shown.exit_code == 0, f"{page.name}: volt-pipeline {' '.join(arguments)}: {shown.output}"


def test_every_command_is_in_the_readme() -> None:
    told = {" ".join(words) for words in _commands(ROOT / "README.md")}
    for command in app.registered_commands:
        name = command.name or getattr(command.callback, "__name__", "")
        known = (f"volt-pipeline {name}", f"make {name}")
        assert any(line == name or line.startswith(known) for line in told), name


def test_every_target_that_make_promises_is_there() -> None:
    (promised,) = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(promised.split()) <= _targets()


def test_every_setting_in_the_readme_is_one() -> None:
    told = re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(told) > 3
    readers = (PACKAGE / "settings.py", PACKAGE / "door" / "jobs.py")
    known = "".join(path.read_text(encoding="utf-8") for path in readers)
    assert [name for name in told if f'"{name}"' not in known] == []
