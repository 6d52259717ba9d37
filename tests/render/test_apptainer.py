"""The definition as Apptainer reads it, the files of an image, and the safety of free text in both."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings

from stack.artifact import Tree
from stack.host.files import write_tree
from stack.lock import Lock
from stack.plan import Plan
from stack.render import apptainer

from .conftest import lock_of
from .strategies import lines

SECTIONS = ("labels", "environment", "runscript", "test", "help")


def arguments_filled(text: str) -> str:
    """Apptainer 1.4's treatment of `{{ name }}` (its internal/pkg/build/args/reader.go, followed line by line)."""
    known = dict(
        line.strip().split("=", 1) for line in section_of(text).get("arguments", "").splitlines() if line.strip()
    )
    out, done = "", 0
    for match in re.finditer(r"{{\s*(\w+)\s*}}", text, re.ASCII):
        line = max(text.rfind("\n", done, match.start() + 1), done)
        if re.search(r"\s*[#][^!]\s*.*", text[line : match.start()], re.ASCII):
            continue
        assert match[1] in known, f"build var {match[1]} is not defined"
        out, done = out + text[done : match.start()] + known[match[1]], match.end()
    return out + text[done:]


def section_of(text: str) -> dict[str, str]:
    """Sections by name: a line whose first word begins with `%` begins one, indented or not."""
    found, name = {"header": ""}, "header"
    for line in text.split("\n"):
        if line.split() and line.split()[0].startswith("%"):
            name = line.split()[0].lstrip("%").lower()
            assert name not in found, f"two sections {name}"
            found[name] = ""
        else:
            found[name] += line + "\n"
    return found


def labels_of(section: str) -> dict[str, str]:
    rows = [line.strip() for line in section.split("\n") if line.strip() and not line.strip().startswith("#")]
    return {row.partition(" ")[0]: row.partition(" ")[2].strip() for row in rows}


def read(plan: Plan, lock: Lock | None) -> dict[str, str]:
    text = apptainer.definition(plan, lock).files["ai-hpc.def"].text
    found = section_of(arguments_filled(text))
    found.pop("arguments", None)
    return found


def with_text(plan: Plan, text: str) -> Plan:
    """A plan whose free text is `text`, wherever documents have some."""
    environment = plan.environment.model_copy(update={"purpose": text})
    container = plan.container.model_copy(update={"environment": {"FIRST": text, "SECOND": "plain"}})
    recipes = {
        name: recipe.model_copy(
            update={"summary": text, "verify": recipe.verify.model_copy(update={"version": ("printf", "%s", text)})}
        )
        for name, recipe in plan.recipes.items()
    }
    return dataclasses.replace(plan, environment=environment, base=container, recipes=recipes)


def test_sections(plan: Plan) -> None:
    found = read(plan, lock_of(plan))
    assert tuple(found) == ("header", *SECTIONS)
    header = [line for line in found["header"].splitlines() if line and not line.startswith("#")]
    assert header == ["Bootstrap: localimage", "From: rootfs.squashfs"]


def test_labels(plan: Plan) -> None:
    lock = lock_of(plan)
    found = labels_of(read(plan, lock)["labels"])
    assert found == apptainer.labels(plan, lock)
    assert found["org.opencontainers.image.version"] == (lock.digest[:12] if lock else "unlocked")
    assert found["org.sovstack.target"] == plan.target.name


def test_image_holds_what_the_definition_says(plan: Plan) -> None:
    lock = lock_of(plan)
    inside, found = apptainer.metadata(plan, lock).files, read(plan, lock)
    for name, section in (("env/90-environment.sh", "environment"), ("runscript", "runscript"), ("test", "test")):
        file = inside[f".singularity.d/{name}"]
        assert file.executable
        assert file.text.removeprefix("#!/bin/sh\n").strip() == found[section].strip()
    assert inside[".singularity.d/runscript.help"].text.strip() == found["help"].strip()
    assert not inside[".singularity.d/labels.json"].executable
    held = json.loads(inside[".singularity.d/labels.json"].text)
    assert apptainer.labels(plan, lock).items() <= held.items()
    assert inside[".singularity.d/Singularity"].text == apptainer.definition(plan, lock).files["ai-hpc.def"].text


def test_evidence(plan: Plan) -> None:
    lock = lock_of(plan)
    inside = apptainer.metadata(plan, lock).files
    record = json.loads(inside["opt/sovstack/plan.json"].text)
    assert [c["component"] for c in record["components"]] == [c.component for c in plan.choices]
    assert ("opt/sovstack/stack.lock.json" in inside) is (lock is not None)
    if lock:
        assert inside["opt/sovstack/stack.lock.json"].text == lock.text()


def test_inspection_object(plan: Plan) -> None:
    lock = lock_of(plan)
    made = json.loads(apptainer.inspection(plan, lock).files["inspect-metadata.json"].text)["data"]["attributes"]
    assert set(made) == {"deffile", "environment", "helpfile", "labels", "runscript", "test"}
    assert made["labels"].items() >= apptainer.labels(plan, lock).items()


def test_what_the_site_brings_is_not_tested_in_the_image(plan: Plan) -> None:
    checks = [row.split()[1] for row in read(plan, None)["test"].splitlines() if row.startswith("check '")]
    known = {f"'{c.component}'" for c in plan.choices if c.provider != "site" and c.version}
    assert set(checks) == known


def shell(tree: Tree, folder: Path, name: str, *args: str) -> subprocess.CompletedProcess[str]:
    write_tree(folder, tree)
    return subprocess.run([folder / ".singularity.d" / name, *args], capture_output=True, text=True, check=False)


def test_runscript(laptop: Plan, tmp_path: Path) -> None:
    tree = apptainer.metadata(laptop, None)
    done = shell(tree, tmp_path, "runscript", "printf", "<%s>", "a b", "", "$(id)")
    assert done.stdout == "<a b><><$(id)>"
    assert shell(tree, tmp_path, "runscript", "sh", "-c", "exit 7").returncode == 7


@pytest.mark.parametrize(("said", "status"), [("2.6.0", 0), ("12.6.0", 1), ("nothing", 1)])
def test_test_script(laptop: Plan, tmp_path: Path, said: str, status: int) -> None:
    choice = dataclasses.replace(laptop.choice("pytorch"), version="2.6.0")
    one = dataclasses.replace(with_text(laptop, said), choices=(choice,))
    done = shell(apptainer.metadata(one, None), tmp_path, "test")
    assert done.returncode == status
    assert done.stdout.startswith("FAIL pytorch 2.6.0" if status else "ok   pytorch 2.6.0")


@given(text=lines)
@settings(max_examples=150, deadline=None)
def test_free_text_in_the_definition(laptop: Plan, text: str) -> None:
    plan = with_text(laptop, text)
    found = read(plan, None)
    assert tuple(found) == ("header", *SECTIONS)
    assert labels_of(found["labels"])["org.opencontainers.image.description"] == text.strip()
    assert f"Purpose: {text}\n" in found["help"]
    assert found["help"].count(text) >= len(plan.choices)
    made = apptainer.metadata(plan, None).files
    assert json.loads(made[".singularity.d/labels.json"].text)["org.opencontainers.image.description"] == text.strip()
    assert found["environment"].strip() == made[".singularity.d/env/90-environment.sh"].text.split("\n", 1)[1].strip()


@given(text=lines)
@settings(max_examples=40, deadline=None)
def test_free_text_in_the_shell_files(laptop: Plan, text: str) -> None:
    made = apptainer.metadata(with_text(laptop, text), None)
    for path, file in made:
        if file.executable:
            assert subprocess.run(["/bin/sh", "-n"], input=file.text.encode(), check=False).returncode == 0, path
    script = made.files[".singularity.d/env/90-environment.sh"].text + 'printf "%s" "$FIRST"; exit "${#SECOND}"\n'
    done = subprocess.run(["/bin/sh"], input=script.encode(), capture_output=True, check=False)
    assert (done.stdout.decode(), done.returncode) == (text, len("plain"))


def test_the_reader_here_sees_an_injection(laptop: Plan) -> None:
    """The reader above would notice: an unescaped line begins a section, an unescaped brace asks for an argument."""
    assert tuple(section_of("Bootstrap: x\n%labels\n a b\n  %post\n id\n")) == ("header", "labels", "post")
    with pytest.raises(AssertionError, match="not defined"):
        arguments_filled("%help\n{{ x }}\n")
    assert arguments_filled("%help\n # {{ x }}\n") == "%help\n # {{ x }}\n"
