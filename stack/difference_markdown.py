"""Ring 4. What changed between two locks, as Markdown for a merge request.

Every text from a document stands in a code span. There nothing is a link, a mention, HTML or a reference to an issue,
for GitLab as for GitHub; a backslash before `|` keeps a table's cell whole in both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from stack.aspects import Aspect
from stack.difference import GROUPS, Difference, Entry, Thing
from stack.difference_text import (
    DIGEST,
    MARK,
    SIGNS,
    TITLES,
    apart,
    counted,
    folded,
    licence_words,
    merged,
    phrases,
    plain,
    short,
    summary,
)

MANY = 100  # rows of one table: merge requests take no text without an end


def cell(text: str) -> str:
    """A text from a document as a code span in a table."""
    text = plain(text)
    if not text:
        return ""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence, space = "`" * (longest + 1), " " if longest else ""
    return f"{fence}{space}{text}{space}{fence}".replace("|", "\\|")


def render(found: Difference, *, build: bool = False) -> str:
    """The whole answer. `build`: what only building needs too, row by row."""
    before, after = found.before, found.after
    sides = [
        ("cell", cell(before.lock.cell), cell(after.lock.cell)),
        ("read", cell(before.where), cell(after.where)),
        ("lock", cell(before.lock.digest[:DIGEST]), cell(after.lock.digest[:DIGEST])),
    ]
    parts = ["### What changed between two locks", table(("", "before", "after"), sides)]
    parts += [*apart(before, after), f"**{summary(found)}**"]
    if found.same:
        return "\n\n".join(parts)
    rows = [("Level", found.levels), ("Packages that run", found.classes), ("Used as", found.uses)]
    parts += [table((title, "before", "after"), _aspects(aspects)) for title, aspects in rows if aspects]
    # Components are shown in any case, right below.
    marked = [e for e in found.entries if e.worse and e.group != GROUPS[0] and (build or not e.build)]
    if marked:
        parts += ["#### To look at", _entries(marked)]
    parts += _groups(found, build)
    if found.settings:
        parts.append(_details("settings", table(("setting", "before", "after"), _aspects(found.settings))))
    return "\n\n".join(parts)


def _groups(found: Difference, build: bool) -> Iterator[str]:
    for group in GROUPS:
        entries = [e for e in found.entries if e.group == group]
        if not entries:
            continue
        title = f"{TITLES[group]}: {counted(found.counts(entries))}"
        shown, words = folded(entries, build)
        text = "\n\n".join([*([_entries(shown)] if shown else []), *words])
        if group == GROUPS[0]:
            yield from (f"#### {title}", text or "nothing else")
        elif text:
            yield _details(title, text)
        else:
            yield title


def _details(title: str, text: str) -> str:
    """Folded away; nothing of a document is in the title."""
    return f"<details>\n<summary>{title}</summary>\n\n{text}\n\n</details>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _aspects(aspects: Iterable[Aspect]) -> Iterator[tuple[str, str, str]]:
    for a in merged(aspects):
        yield f"{MARK} {cell(a.what)}" if a.worse else cell(a.what), short(a.before, cell), short(a.after, cell)


def _entries(entries: Sequence[Entry]) -> str:
    made = table(("", "package", "before", "after", "what differs"), map(_entry, entries[:MANY]))
    more = len(entries) - MANY
    return f"{made}\n\nand {more} more: `sovstack diff --json` has all" if more > 0 else made


def _entry(entry: Entry) -> tuple[str, ...]:
    told = phrases(entry, cell)
    if entry.before is None and entry.after:
        told.insert(0, licence_words(entry.after.terms.licence, cell))
        if entry.worse and entry.after.path:
            told.append(f"through {' > '.join(map(cell, entry.after.path))}")
    sign = f"**{MARK}** {SIGNS[entry.change]}" if entry.worse else SIGNS[entry.change]
    return sign, cell(entry.name), _thing(entry, entry.before), _thing(entry, entry.after), "; ".join(told)


def _thing(entry: Entry, thing: Thing | None) -> str:
    if thing is None:
        return ""
    name = f"{cell(thing.name)} " if thing.name != entry.name else ""
    origin = f" from {cell(thing.origin)}" if entry.group == GROUPS[0] else ""
    return f"{name}{cell(thing.version)}{origin}"
