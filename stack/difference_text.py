"""Ring 4. What changed between two locks, in words: for a terminal, and the phrases that Markdown has too."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from stack.aspects import UNKNOWN, Aspect
from stack.difference import GROUPS, Difference, Entry, Group, Side, Thing
from stack.visible import visible

Quote = Callable[[str], str]
"""Makes a text from a document fit for where it is shown."""
Phrase = Callable[[str | None, str | None, Quote], str]

TITLES: Mapping[Group, str] = {
    "component": "components",
    "spack": "Spack packages",
    "os": "OS packages",
    "wheel": "wheels",
    "tool": "packages that only building needs",
}
SIGNS = {"changed": "~", "added": "+", "removed": "-"}  # in the order in which they are shown
_COUNTED = {
    "added": "added",
    "removed": "removed",
    "changed": "changed",
    "rebuilt": "only built again",  # something below them changed
    "refiled": "only in another file",  # of the same version: for another architecture, usually
}
WIDTH = 80
DIGEST = 12  # digits of a digest that tell it from others
MANY_LICENCES = 3
MARK = "!"


def plain(text: str) -> str:
    """A text from a document on one line of a terminal."""
    return " ".join(visible(text).split())


def render(found: Difference, *, build: bool = False) -> str:
    """The whole answer. `build`: what only building needs too, line by line."""
    lines = [*_head(found), summary(found), ""]
    if found.same:
        return "\n".join(lines[:-1])
    lines += [*_block("levels", found.levels), *_block("packages that run", found.classes)]
    for group in GROUPS:
        entries = [e for e in found.entries if e.group == group]
        if entries:
            lines += [f"{TITLES[group]}: {counted(found.counts(entries))}", *_group(entries, build), ""]
        if group == "component":
            lines += _block("used as", found.uses)
    return "\n".join([*lines, *_block("settings", found.settings)]).rstrip()


def _head(found: Difference) -> Iterator[str]:
    for name, side in (("before", found.before), ("after", found.after)):
        yield f"{name + ':':8}{plain(side.lock.cell)}, lock {side.lock.digest[:DIGEST]}"
        if (where := plain(side.where)) != side.lock.cell:
            yield f"        {where}"
    yield from apart(found.before, found.after)


def apart(before: Side, after: Side) -> Iterator[str]:
    """Said first where the two locks are not of one cell."""
    fields = ("environment", "profile", "target")
    other = [name for name in fields if getattr(before.lock, name) != getattr(after.lock, name)]
    if other:
        yield f"these are locks of different {' and '.join(f'{name}s' for name in other)}"


def summary(found: Difference) -> str:
    """One line: how much changed."""
    if found.same:
        return "the locks are the same"
    if not found.found:
        return "the locks are not the same, and nothing that is compared here differs"
    counts = found.counts()
    many = counts["worse"] + sum(a.worse for a in (*found.levels, *found.classes))
    told = counted(counts) if found.entries else "no package changed"
    return f"{told}; {many} to look at, marked {MARK}" if many else told


def counted(counts: Mapping[str, int]) -> str:
    """How many were added, removed and changed; how many only follow."""
    return ", ".join(f"{counts[name]} {words}" for name, words in _COUNTED.items() if counts[name])


def ordered(entries: Iterable[Entry]) -> list[Entry]:
    """The most important first: what has to be looked at, then what changed, came, and went."""
    return sorted(entries, key=lambda e: (not e.worse, tuple(SIGNS).index(e.change), e.name))


def folded(entries: Sequence[Entry], build: bool) -> tuple[list[Entry], list[str]]:
    """What is shown one by one, and words for the rest."""
    loud = [e for e in entries if e.change in SIGNS]
    shown = [e for e in loud if build or not e.build]
    words = []
    if hidden := [e for e in loud if e.build and not build]:
        marked = sum(e.worse for e in hidden)
        told = f", {marked} of them marked {MARK}" if marked else ""
        words.append(f"{len(hidden)} more that only building needs{told}; --build shows them")
    return ordered(shown), words


def _block(title: str, aspects: Iterable[Aspect]) -> list[str]:
    rows = [(a.worse, f"{plain(a.what)}: {short(a.before)} -> {short(a.after)}") for a in merged(aspects)]
    lines = [line for worse, row in rows for line in _wrapped(f"{_mark(worse)}{row}")]
    return [title, *lines, ""] if lines else []


def merged(aspects: Iterable[Aspect]) -> tuple[Aspect, ...]:
    """Aspects of one name as one: what only the one side has, and what only the other has."""
    named: dict[str, list[Aspect]] = {}
    for a in aspects:
        named.setdefault(a.what, []).append(a)
    return tuple(
        Aspect(what, _joined(a.before for a in some), _joined(a.after for a in some), any(a.worse for a in some))
        for what, some in named.items()
    )


def _joined(values: Iterable[str | None]) -> str | None:
    return " ".join(value for value in values if value is not None) or None


def _mark(worse: bool) -> str:
    return f"{MARK} " if worse else "  "


def short(value: str | None, quote: Quote = plain) -> str:
    """A value as it is shown, a digest or a commit by its first digits."""
    if value is None:
        return "none"
    named = len(value) >= 40 and not set(value) - set("0123456789abcdef")
    return quote(value[:DIGEST] if named else value)


def _group(entries: Sequence[Entry], build: bool) -> list[str]:
    shown, words = folded(entries, build)
    lines = [line for entry in shown for line in _entry(entry)]
    return lines + [f"  {line}" for line in words]


def _entry(entry: Entry) -> Iterator[str]:
    yield from _wrapped(f"{_mark(entry.worse)}{SIGNS[entry.change]} {headline(entry, plain)}")
    if entry.after and entry.worse and entry.before is None and entry.after.path:
        yield from _wrapped(f"      through {' > '.join(map(plain, entry.after.path))}")
    if told := phrases(entry, plain):
        yield from _wrapped(f"      {'; '.join(told)}")


def _wrapped(line: str) -> list[str]:
    """Lines of a terminal; a mark stays with what it is about."""
    line = line[:2] + line[2:].replace(f"{MARK} ", f"{MARK}\u00a0")
    found = textwrap.wrap(line, WIDTH, subsequent_indent="      ", break_long_words=False, break_on_hyphens=False)
    return [one.replace("\u00a0", " ") for one in found]


def headline(entry: Entry, quote: Quote) -> str:
    """What it is, with its version before and after."""
    name, old, new = quote(entry.name), entry.before, entry.after
    if old and new:
        if old.name != new.name:  # another component in the same role
            return f"{name}: {supply(old, quote)} -> {supply(new, quote)}"
        moved = f" from {quote(old.origin)} -> from {quote(new.origin)}" if entry.group == "component" else ""
        return f"{name} {versions(old, new, quote)}{moved if old.origin != new.origin else ''}"
    thing = old or new
    assert thing  # noqa: S101 - an entry has a side
    role = f" ({quote(thing.role)})" if thing.role else ""
    origin = f" from {quote(thing.origin)}" if thing.origin else ""
    licence = f", {licence_words(thing.terms.licence, quote)}" if new else ""
    return f"{name}{role} {quote(thing.version)}{origin}{licence}"


def supply(thing: Thing, quote: Quote) -> str:
    """A component on one side, for a role: its name, version and provider."""
    return f"{quote(thing.name)} {quote(thing.version)} from {quote(thing.origin)}"


def versions(old: Thing, new: Thing, quote: Quote) -> str:
    """One version, or both."""
    same = old.version == new.version
    return quote(old.version) if same else f"{quote(old.version)} -> {quote(new.version)}"


def licence_words(licence: str, quote: Quote) -> str:
    """A licence; of a long list the first few."""
    if licence == UNKNOWN:
        return "licence unknown"
    parts = licence.split(" AND ")
    more = f" and {len(parts) - MANY_LICENCES} more" if len(parts) > MANY_LICENCES + 1 else ""
    return quote(" AND ".join(parts[:MANY_LICENCES]) if more else licence) + more


_TOLD = {"component", "version", "provider"}  # by the headline


def phrases(entry: Entry, quote: Quote) -> list[str]:
    """What differs besides the version; what should be looked at first, and marked."""
    found = sorted((a for a in entry.aspects if a.what not in _TOLD and not a.quiet), key=lambda a: not a.worse)
    told = [
        f"{MARK} {_phrase(a, quote)}" if a.worse else _phrase(a, quote)
        for a in found
        if a.what not in ("patch", "needs")
    ]
    patches = [a for a in found if a.what == "patch"]
    more, fewer = sum(a.before is None for a in patches), sum(a.after is None for a in patches)
    told += [f"{n} {'patch' if n == 1 else 'patches'} {word}" for n, word in ((more, "more"), (fewer, "fewer")) if n]
    for side, words in (("after", "needs {} now"), ("before", "needs {} no more")):
        names = [quote(name) for a in found if a.what == "needs" and (name := getattr(a, side)) is not None]
        told += [words.format(" ".join(names))] if names else []
    return told


def _phrase(aspect: Aspect, quote: Quote) -> str:
    what, before, after = aspect.what, aspect.before, aspect.after
    if what in _PHRASES:
        return _PHRASES[what](before, after, quote)
    return f"{what} {short(before, quote)} -> {short(after, quote)}"


def _variant(before: str | None, after: str | None, quote: Quote) -> str:
    if before is None or after is None:
        return f"{quote(after or before or '')} ({'new' if before is None else 'gone'})"
    return f"{quote(before)} -> {quote(after)}"


def _licence(before: str | None, after: str | None, quote: Quote) -> str:
    words = (UNKNOWN if text in (None, UNKNOWN) else licence_words(text or "", quote) for text in (before, after))
    return f"licence {' -> '.join(words)}"


def _rank(name: str) -> Phrase:
    """A class, or whether something may be handed on: words of our own."""
    return lambda before, after, _: f"{name} {after}" if before is None else f"{name} {before} -> {after}"


def _scope(_before: str | None, after: str | None, _quote: Quote) -> str:
    return "needed to run now" if after == "run" else "only building needs it now"


def _external(before: str | None, after: str | None, quote: Quote) -> str:
    return " -> ".join(f"taken from {quote(place)}" if place else "built" for place in (before, after))


def _again(name: str, sign: str) -> Phrase:
    """The same version, and yet not the same. `sign`: what stands before the digest."""

    def told(before: str | None, after: str | None, quote: Quote) -> str:
        sums = ((text or "").rpartition(sign)[2][:DIGEST] for text in (before, after))
        return f"same version, other {name}: {' -> '.join(map(quote, sums))}"

    return told


_PHRASES: Mapping[str, Phrase] = {
    "variant": _variant,
    "licence": _licence,
    "class": _rank("class"),
    "source": _rank("source redistribution"),
    "binary": _rank("binary redistribution"),
    "scope": _scope,
    "external": _external,
    "bytes": _again("bytes", ":"),
    "commit": _again("source", "="),
    "recipe": lambda _before, _after, _quote: "other recipe or source",
}
