"""What the documents say is so: verbs, options, exit codes, layers, links, command lines; and no registry is named."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from stack import cli
from stack.errors import ExitCode
from tests.test_imports import MODULES

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
COMMANDS = ROOT / "docs/reference/commands.md"
MAIN: Any = typer.main.get_command(cli.app)
VERBS: dict[str, Any] = dict(MAIN.commands)
# Typer's releases differ in where this class is.
Refused: type[Any] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")

# In parts, so that this file names none either.
REGISTRIES = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"), ("pythonhosted", "org"), ("deb", "debian", "org"), ("security", "debian", "org"),
        ("snapshot", "debian", "org"), ("archive", "ubuntu", "com"), ("docker", "io"), ("ghcr", "io"), ("quay", "io"),
        ("nvcr", "io"), ("download", "pytorch", "org"), ("conda", "anaconda", "org"), ("crates", "io"),
        ("registry", "npmjs", "org"), ("proxy", "golang", "org"),
    )
)  # fmt: skip


def options(command: Any) -> set[str]:
    """Every name of every option of a verb, help included."""
    params = [p for p in command.params if p.param_type_name == "option"]
    return {name for p in params for name in (*p.opts, *p.secondary_opts)} | {"-h", "--help"}


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def without_code(path: Path) -> str:
    """The prose: fenced blocks and code spans are taken out."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text(path), flags=re.DOTALL | re.MULTILINE))


def rows(path: Path) -> Iterator[list[str]]:
    """Cells of every row of every table."""
    for line in text(path).splitlines():
        if line.startswith("|"):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def words_of(cell: str) -> set[str]:
    """Words in backquotes."""
    return {word for span in re.findall(r"`([^`]*)`", cell) for word in span.split()}


def test_every_verb_is_documented_and_every_documented_verb_is_there() -> None:
    table = {next(iter(words_of(r[0]))) for r in rows(COMMANDS) if len(r) == 4 and r[0] != "verb" and words_of(r[0])}
    assert table == set(VERBS)


def documented_options(verb: str) -> set[str]:
    found: set[str] = set()
    for row in rows(COMMANDS):
        if len(row) != 3 or not row[0].startswith("`-"):
            continue
        but = row[1].partition("but ")[2]
        applies = verb in words_of(row[1]) if not row[1].startswith("all") else verb not in words_of(but)
        found |= {w for w in words_of(row[0]) if w.startswith("-")} if applies else set()
    return found | {"-h", "--help"}


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_option_is_documented_for_the_verbs_that_have_it(verb: str) -> None:
    assert documented_options(verb) == options(VERBS[verb])


def test_the_options_of_the_command_itself_are_documented() -> None:
    table = {w for r in rows(COMMANDS) if len(r) == 2 for w in words_of(r[0]) if w.startswith("-")}
    assert table == options(MAIN)


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_arguments_are_documented(verb: str) -> None:
    names = [p.metavar or p.name for p in VERBS[verb].params if p.param_type_name == "argument"]
    row = next(r for r in rows(COMMANDS) if len(r) == 4 and r[0] == f"`{verb}`")
    plain = [re.sub(r"\W|S\b", "", name.upper()) for name in names]
    assert [re.sub(r"\W", "", word) for word in row[1].strip("`").split() if word] == plain


def test_the_verbs_of_a_verb_are_documented_with_their_options() -> None:
    """Their table has three columns: verb and argument, options, what it does."""
    found = {" ".join(r[0].strip("`").split()[:2]): words_of(r[1]) for r in rows(COMMANDS) if len(r) == 3}
    inner = {f"{verb} {n}": c for verb, group in VERBS.items() for n, c in getattr(group, "commands", {}).items()}
    assert inner
    for name, command in inner.items():
        said = {word for word in found[name] if word.startswith("-")} | {"-h", "--help"}
        assert said == options(command), name
    assert {name for name in found if name.split()[0] in VERBS} == set(inner)


def test_every_exit_code_is_documented() -> None:
    first = {int(r[0]) for r in rows(ROOT / "docs/reference/exit-codes.md") if r[0].isdigit()}
    assert first == {int(code) for code in ExitCode}


def test_exit_codes_name_only_verbs_that_are_there() -> None:
    named = {w for r in rows(ROOT / "docs/reference/exit-codes.md") if len(r) == 4 for w in words_of(r[0])}
    assert named == set(VERBS)


def test_the_readme_is_short_and_begins_with_the_two_commands() -> None:
    lines = text(ROOT / "README.md").splitlines()
    assert len(lines) <= 200
    commands = [line for line in lines if line.startswith("$ ")]
    assert commands[:2] == ["$ make up", "$ make test"]


def test_every_module_has_its_place_in_the_architecture() -> None:
    prose = text(ROOT / "docs/architecture.md")
    named = {w.removesuffix(",") for w in re.findall(r"`([a-z_.]+)`", prose)}
    named |= {f"host.{w}" for w in named}
    modules = {m for m in MODULES if not m.endswith("__init__")}
    assert sorted(modules - named) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=shown)
def test_relative_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(path)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        there = (path.parent / name).resolve() if name else path
        assert there.exists(), f"{shown(path)} links to {target}"
        if anchor:
            heads = re.findall(r"^#+ (.*)$", text(there), flags=re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
            assert anchor in slugs, f"{shown(path)} links to {target}"


def command_lines(path: Path) -> Iterator[list[str]]:
    """Words of every `$ sovstack ...` in a console block, comments taken off."""
    for block in re.findall(r"^```console\n(.*?)^```", text(path), flags=re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            if match := re.match(r"\$ (?:.*&& )?(?:\.venv/bin/)?sovstack(?= |$)(.*)", line):
                words = shlex.split(match[1], comments=True)
                yield words[: words.index(">")] if ">" in words else words


def unknown(words: list[str]) -> str:
    """What the command does not have, or nothing."""
    if not words or words[0].startswith("-"):
        return next((w for w in words if w not in options(MAIN)), "")
    if words[0] not in VERBS:
        return words[0]
    command = VERBS[words[0]]
    inner = getattr(command, "commands", None)
    if inner and words[1:] and not words[1].startswith("-"):
        if words[1] not in inner:
            return words[1]
        command, words = inner[words[1]], words[1:]
    wrong = [w for w in words[1:] if w.startswith("-") and w.partition("=")[0] not in options(command)]
    if wrong:
        return wrong[0]
    try:
        command.make_context(words[0], words[1:])
    except typer.Exit:  # --help
        return ""
    except Refused as error:
        return str(error) or type(error).__name__
    return ""


@pytest.mark.parametrize("path", DOCUMENTS, ids=shown)
def test_command_lines_can_be_typed(path: Path) -> None:
    for words in command_lines(path):
        assert unknown(words) == "", f"{shown(path)}: sovstack {shlex.join(words)}"


def test_a_wrong_command_line_would_be_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```console\n$ sovstack plan laptop --frob\n$ sovstack frob\n$ sovstack why laptop # a\n"
        "$ sovstack key new --frob\n$ sovstack key frob\n```\n"
    )
    assert [bool(unknown(words)) for words in command_lines(page)] == [True] * 5
    assert unknown(["key", "new", "--out", "a.pem"]) == ""
    assert unknown(["plan", "laptop", "--json"]) == ""


def test_there_are_command_lines_to_look_at() -> None:
    assert sum(1 for path in DOCUMENTS for _ in command_lines(path)) > 15


def project_files() -> Iterator[Path]:
    """Everything of the project that is text, what was made in the checkout left out."""
    made = {".git", ".venv", "build", "dist", "__pycache__"}
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        if path.is_file() and not made & set(parts) and not any(p.endswith(("_cache", ".egg-info")) for p in parts):
            yield path


def test_no_registry_is_named() -> None:
    named = [
        f"{shown(path)}: {name}"
        for path in project_files()
        for name in REGISTRIES
        if name.encode() in path.read_bytes()
    ]
    assert named == []
