"""Ring 4. An exit test in words: a head line, what is replaced by what, what has no replacement, what it costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stack.exit_test import ExitRecord, Gone, Row, Supply
from stack.explain import table
from stack.visible import visible

MANY = 12  # rows of one kind that are printed; the record has all
NEXT = 4
STAYS = "stays"
FATES = {
    "replaced": "{by}",
    "lost": "NO REPLACEMENT",
    "dropped": "not needed",
    "kept": "STILL NEEDED",
}
OPEN = {"osi": "open", "source-available": "source to see", "proprietary": "proprietary", "unknown": "unknown"}


def plan_text(record: ExitRecord) -> str:
    """The migration plan."""
    before = record.before
    lines = [f"exit test: {record.environment} on {before.place} without {record.title}", headline(record)]
    lines += [f"  {one}" for one in record.nearness if record.result == "moves"]
    lines += [f"note: {one}" for one in record.notes]
    for tried in record.tried:
        lines += ["", f"no exit at {tried.place}:", *(f"  {why}" for why in tried.why)]
    if record.exists:
        lines += _differences(record)
    if record.nearly:
        what, where = ", ".join(record.nearly.packages), record.nearly.to.place
        lines += ["", f"all that {where} has of {record.title} is open and runs anywhere: {what}",
                  "  an exit would exist there if somebody else carried that on, or if nothing needed it"]  # fmt: skip
    if record.others:
        more = f" and {len(record.others) - NEXT} more" if len(record.others) > NEXT else ""
        lines += ["", f"further away: {', '.join(record.others[:NEXT])}{more}"]
    return "\n".join(visible(one) for one in lines)


def headline(record: ExitRecord) -> str:
    """The answer in one line."""
    after = record.after
    if after is None:
        if not record.tried:
            return f"NO EXIT: every target that is known here has hardware of {record.title}'s"
        return (
            f"NO EXIT: {record.tried[0].place} cannot be locked without {record.title}, and no lock further away holds"
        )
    how = f"a new lock, {after.lock[:12]}, was made" if record.anew else f"its lock {after.lock[:12]} holds"
    if record.result == "stays":
        return f"an exit exists on the same target: {how}"
    return f"an exit exists: {after.place} (partition {after.partition}); {how}"


def _differences(record: ExitRecord) -> list[str]:
    found, before, after = record.differences, record.before, record.after
    lines: list[str] = []
    if record.changed:
        lines += ["", "refused:", *(f"  {one}" for one in record.changed)]
    moved = [r for r in found.components if r.before != r.after]
    if moved:
        rows = [("component", "before", "after"), *(_component(r) for r in moved)]
        lines += ["", "replaced by:", *_indented(table(rows))]
    if found.forbidden:
        lines += ["", f"packages of {record.title}:", *_indented("\n".join(_vendors(found.forbidden)))]
    lost = [g for g in found.forbidden if g.fate == "lost"]
    lines += ["", "no replacement:", *(f"  {g.name}: {g.work}" for g in lost)] if lost else []
    cost = list(_cost(record))
    lines += ["", "what it costs:", *(f"  {one}" for one in cost or ["nothing that the recipes know of"])]
    if after is not None and before.lock != after.lock:
        lines += ["", f"packages: {len(found.gone)} go, {len(found.new)} come{_of_whom(record)}"]
    if found.unknown:
        lines += [f"nothing is known of {len(found.unknown)} packages afterwards: whose they are is not shown"]
    if not record.built:
        lines += ["no image of this lock was built here: that it builds is not shown"]
    return lines


def _indented(text: str) -> list[str]:
    return [f"  {one}" for one in text.splitlines()]


def _component(row: Row) -> tuple[str, str, str]:
    name = (row.before or row.after or _NOBODY).name
    return f"{row.role} ({name})" if row.role else name, _supply(row.before), _supply(row.after)


_NOBODY = Supply(name="none", provider="site", version="", package="")


def _supply(supply: Supply | None) -> str:
    return f"{supply.name} {supply.version} from {supply.provider}: {supply.package}" if supply else "none"


def _vendors(forbidden: Sequence[Gone]) -> Iterable[str]:
    """A table of those with work of their own; the others only served them."""
    own = [g for g in forbidden if g.fate != "dropped"]
    if own:
        yield table([("package", "version", "licence", "its work", "afterwards"), *map(_gone, own)])
    if served := [g.name for g in forbidden if g.fate == "dropped"]:
        yield f"{len(served)} {'more ' if own else ''}that nothing needs there: {', '.join(served)}"


def _gone(gone: Gone) -> tuple[str, str, str, str, str]:
    by = ", ".join(gone.replaced_by)
    return gone.name, gone.version, OPEN[gone.licence_class], gone.work or "-", FATES[gone.fate].format(by=by)


def _cost(record: ExitRecord) -> Iterable[str]:
    """Accelerators, versions that fell, promises and features that are gone; components first."""
    before, after, found = record.before, record.after, record.differences
    if after is not None and before.accelerator != after.accelerator:
        yield f"accelerator: {before.accelerator or 'none'} -> {after.accelerator or 'none, the CPU alone'}"
    yield from (f"version: {one}" for one in _versions(found.components))
    for promise in found.promises:
        state = "does not hold any more" if promise.failed else "is not asked for there"
        yield f"{promise.what} {state}: {promise.why}"
    own = {s.package.partition(" ")[0] for r in found.components for s in (r.before,) if s}
    hit = sorted((f for f in found.features if f.lost), key=lambda f: (f.package not in own, f.package))
    for feature in hit[:MANY]:
        gained = f", and has {' '.join(feature.gained)}" if feature.gained else ""
        yield f"{feature.package} loses {' '.join(feature.lost)}{gained}"
    if len(hit) > MANY:
        yield f"and variants of {len(hit) - MANY} more packages; the record has all"


def _versions(rows: Sequence[Row]) -> Iterable[str]:
    for row in rows:
        old, new = row.before, row.after
        if old and new and old.name == new.name and old.version != new.version:
            yield f"{old.name} {old.version} -> {new.version}"


def _of_whom(record: ExitRecord) -> str:
    stewards = sorted({n.steward for n in record.differences.new if n.steward})
    return f" (whose stewards are {', '.join(stewards[:MANY])})" if stewards else ""


def matrix(records: Sequence[ExitRecord], failed: Sequence[tuple[str, str, str]] = ()) -> str:
    """One row for each cell, one column for each vendor. `failed`: (cell, vendor, why)."""
    answers = {(f"{r.environment}/{r.before.place}", r.forbidden): _short(r) for r in records}
    answers |= {(cell, vendor): "failed" for cell, vendor, _why in failed}
    every = sorted({vendor for _cell, vendor in answers})
    rest = {v for v in every if all(a == STAYS for (_cell, vendor), a in answers.items() if vendor == v)}
    vendors = [v for v in every if v not in rest]
    rows = [("cell", *(f"without {v}" for v in vendors))]
    rows += [(cell, *(answers.get((cell, v), "") for v in vendors)) for cell in sorted({c for c, _v in answers})]
    same = [f"without {', '.join(sorted(rest))}: all of them stay"] if rest else []
    lines = [table(rows)] if vendors else []
    return visible("\n".join([*lines, *same, *(f"{cell} without {v}: {why}" for cell, v, why in failed)]))


def _short(record: ExitRecord) -> str:
    if record.after is None:
        return "NO EXIT"
    where = STAYS if record.result == "stays" else f"to {record.after.place}"
    return f"{where}, new lock" if record.anew else where
