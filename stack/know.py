"""Top. The verb `facts`: what is known of packages, how much of it, and entries for what nobody looked at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stack.answers import library_of, say
from stack.errors import ExitCode, bad_input
from stack.options import DryOption, JsonOption, RootOption

if TYPE_CHECKING:
    from stack.facts import Facts, Kind
    from stack.host.knowing import Addition, Locks
    from stack.host.library import Library


def facts(
    packages: Annotated[
        list[str] | None, typer.Argument(metavar="[PACKAGE]...", help="Names of packages; their coverage by default.")
    ] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Only packages of spack, debian or wheel.")] = None,
    coverage: Annotated[
        bool, typer.Option("--coverage", help="How much is known of the packages in locks; the default.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 1 when anything is unknown that counts in the coverage.")
    ] = False,
    missing: Annotated[
        bool, typer.Option("--missing", help="Write entries that say unknown for packages that have none.")
    ] = False,
    into: Annotated[
        Path | None, typer.Option("--into", metavar="FILE", help="With --missing, the file they are added to.")
    ] = None,
    root: RootOption = None,
    build_dir: Annotated[
        Path | None, typer.Option("--build-dir", envvar="SOVSTACK_BUILD_DIR", help="Read the locks in there too.")
    ] = None,
    as_json: JsonOption = False,
    dry_run: DryOption = False,
) -> None:
    """Show what is known of packages: licence, redistribution, hardware, steward, and where that was read."""
    from stack.host import knowing

    chosen = _kind(kind)
    _fitting(bool(packages), coverage=coverage, strict=strict, missing=missing, into=into, dry_run=dry_run)
    library = library_of(root)
    known, found = knowing.facts(library), knowing.read_locks(library, build_dir)
    if packages:
        _shown(packages, chosen, known, found, as_json)
    elif missing:
        _missing(library, known, found, chosen, into, as_json, dry=dry_run)
    else:
        _coverage(library, known, found, chosen, as_json, strict=strict)


def _kind(word: str | None) -> Kind | None:
    from stack.document import did_you_mean
    from stack.facts import KINDS

    found = next((kind for kind in KINDS if kind == word), None)
    if word is not None and found is None:
        raise bad_input(f"no kind of packages {word[:100]!r}", remedy=did_you_mean(word, KINDS))
    return found


def _fitting(named: bool, *, coverage: bool, strict: bool, missing: bool, into: Path | None, dry_run: bool) -> None:
    """Options that say two things at once, or nothing."""
    if named + coverage + missing > 1:
        raise bad_input("PACKAGE, --coverage and --missing are three questions", remedy="ask one of them")
    if strict and (named or missing):
        raise bad_input("--strict is for the coverage", remedy="sovstack facts --coverage --strict")
    if (into or dry_run) and not missing:
        raise bad_input("nothing is written without --missing", remedy="sovstack facts --missing")


def _shown(words: list[str], kind: Kind | None, known: Facts, found: Locks, as_json: bool) -> None:
    from stack.audit import facts_text
    from stack.host import knowing

    rows = [row for word in dict.fromkeys(words) for row in knowing.look_up(word, kind, known, found)]
    data = {"packages": [facts_text.as_data(row) for row in rows]}
    say(data, as_json, "\n\n".join(map(facts_text.text, rows)))


def _coverage(library: Library, known: Facts, found: Locks, kind: Kind | None, as_json: bool, *, strict: bool) -> None:
    from stack.audit import coverage
    from stack.host import knowing

    made = knowing.covered(library, known, found, kind)
    data = {"locks": len(found.cells), **coverage.as_data(made)}
    say(data, as_json, f"{len(found.cells)} locks\n{coverage.text(made)}")
    if strict and not made.whole:
        raise typer.Exit(ExitCode.CHECK_FAILED)


def _missing(
    library: Library, known: Facts, found: Locks, kind: Kind | None, into: Path | None, as_json: bool, *, dry: bool
) -> None:
    from stack.host import knowing
    from stack.host.library import shown

    made = knowing.missing(library, known, found, kind, into)
    if not dry:
        knowing.write(made)
    files = [
        {"file": shown(a.path), "kind": a.kind, "packages": list(a.names), "licences_read": dict(a.read)} for a in made
    ]
    lines = [line for addition in made for line in _told(addition, shown(addition.path), dry=dry)]
    text = "\n".join(lines) or "every package of the locks has an entry"
    say({"files": files, "written": bool(made) and not dry}, as_json, text)


def _told(addition: Addition, path: str, *, dry: bool) -> list[str]:
    count = f"{len(addition.names)} {'entry' if len(addition.names) == 1 else 'entries'}"
    head = f"{path}: {count} {'would be written' if dry else 'written'}: {', '.join(addition.names)}"
    return [head, *(f"  {name}: {licence}, as its copyright file says" for name, licence in addition.read.items())]
