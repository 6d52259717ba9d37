"""Ring 4. Five layers of sovereignty, level 0 to 4 each: the highest level at which every check up to it passes.

There is no total: the weakest layer is named, and nothing is averaged. A check says what was seen, and of what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from stack.audit.inventory import Item
from stack.audit.situation import Exit, Situation

State = Literal["pass", "fail", "not assessed"]
LAYERS = ("compute", "software", "operational", "data", "model")
TOP = 4
YEAR = timedelta(days=366)
SHOWN = 200  # so many offenders are named; the rest is counted


@dataclass(frozen=True)
class Check:
    """One demand of one level. `said`: what was seen; `details`: each thing that stands in the way."""

    layer: str
    level: int
    title: str
    state: State
    said: str
    evidence: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layer:
    """A layer with its level; None where not even the first was assessed."""

    name: str
    level: int | None
    checks: tuple[Check, ...]

    @property
    def next(self) -> tuple[Check, ...]:
        """The checks that keep it from the next level."""
        wanted = (self.level or 0) + 1
        return tuple(c for c in self.checks if c.level == wanted and c.state != "pass")


@dataclass(frozen=True)
class Assessment:
    """All layers. `weakest`: the assessed layers of the lowest level."""

    layers: tuple[Layer, ...]

    @property
    def weakest(self) -> tuple[str, ...]:
        """Names of the layers that are the weakest link."""
        known = [layer for layer in self.layers if layer.level is not None]
        return tuple(x.name for x in known if x.level == min(y.level or 0 for y in known))

    def level(self, name: str) -> int | None:
        """Level of a layer."""
        return next(layer.level for layer in self.layers if layer.name == name)


def assess(situation: Situation) -> Assessment:
    """The levels."""
    checks = tuple(check for ask in _CHECKS for check in ask(situation))
    return Assessment(tuple(_layer(name, tuple(c for c in checks if c.layer == name)) for name in LAYERS))


def _layer(name: str, checks: tuple[Check, ...]) -> Layer:
    level = 0
    for wanted in range(1, TOP + 1):
        states = {c.state for c in checks if c.level == wanted}
        if states != {"pass"}:
            break
        level = wanted
    first = {c.state for c in checks if c.level == 1}
    return Layer(name, None if level == 0 and "not assessed" in first and "fail" not in first else level, checks)


def _check(
    layer: str, level: int, title: str, bad: Iterable[str], good: str, evidence: str, state: State | None = None
) -> Check:
    """Passed where nothing is bad; `good` is what then is said."""
    found = tuple(bad)
    said = good if not found else found[0] if len(found) == 1 else f"{len(found)} stand in the way"
    return Check(layer, level, title, state or ("fail" if found else "pass"), said, evidence, found[:SHOWN])


def _unknown(layer: str, level: int, title: str, how: str, evidence: str = "") -> Check:
    return Check(layer, level, title, "not assessed", how, evidence)


def _named(items: Iterable[Item]) -> Iterator[str]:
    return (f"{item.name} {item.version}" for item in items)


# --- compute ---


def _compute(s: Situation) -> Iterator[Check]:
    running = s.inventory.scoped("run")
    lost = [*_empty(s), *_named(i for i in running if i.kind != "base" and _reach_unknown(i))]
    yield _check("compute", 1, "the hardware that every package runs on is known", lost,
                 f"known of all {len(running)} packages that run", "facts")  # fmt: skip
    makers = sorted({maker for other in s.others for maker in other.makers})
    few = [] if len(makers) > 1 else [f"locked for {makers[0] if makers else 'nobody'} alone"]
    cells = ", ".join(other.cell for other in s.others)
    yield _check("compute", 2, "locks for two makers of hardware", few, f"locked for {', '.join(makers)}", cells)
    yield from _exits(s)
    passed = sorted({maker for proof in s.proofs for maker in proof.makers})
    open_isa = sorted({proof.isa for proof in s.proofs if proof.open})
    bad = [] if len(passed) > 1 else [f"the suite passed on {', '.join(passed) or 'no'} hardware alone"]
    bad += [] if open_isa else ["the suite passed on no open instruction set"]
    title = "the same numerical suite passes on two makers' hardware and one open instruction set"
    evidence = ", ".join(f"{p.cell} of {p.date}" for p in s.proofs)
    if not s.proofs:
        yield _unknown("compute", 4, title, "no verdict of the suite stands; `sovstack up` and `verify` write one")
    else:
        yield _check("compute", 4, title, bad, f"passed on {', '.join((*passed, *open_isa))}", evidence)


def _empty(s: Situation) -> tuple[str, ...]:
    """Of nothing everything is true, and nothing is shown."""
    return () if any(i.kind != "base" for i in s.inventory.scoped("run")) else ("nothing in the lock runs",)


def _reach_unknown(item: Item) -> bool:
    reach = item.facts.reach if item.facts else None
    return reach is None or "unknown" in (reach.cpu, reach.accelerator)


def _exits(s: Situation) -> Iterator[Check]:
    title = "there is an exit from any one maker: locked, and built, with it forbidden"
    known = {e.forbidden: e for e in s.exits}
    missing = [m for m in s.makers if m not in known]
    bad = [f"no exit from {m}" for m in s.makers if m in known and not known[m].found]
    bad += [f"the exit from {m} was locked and not built" for m in s.makers if m in known and _unbuilt(known[m])]
    evidence = ", ".join(f"{e.forbidden}: {e.date}" for e in s.exits)
    if bad:
        yield _check("compute", 3, title, [*bad, *(f"no exit test from {m}" for m in missing)], "", evidence)
    elif missing or not s.makers:
        how = f"no exit test from {', '.join(missing) or 'anybody'} stands; `sovstack exit-test --all` makes them"
        yield _unknown("compute", 3, title, how, evidence)
    else:
        yield _check("compute", 3, title, (), f"an exit from each of {', '.join(s.makers)}", evidence)


def _unbuilt(found: Exit) -> bool:
    return found.found and not found.built


# --- software ---


def _software(s: Situation) -> Iterator[Check]:
    running = [i for i in s.inventory.scoped("run") if i.kind != "base"]
    bare = [i for i in running if not i.hashes and not (i.kind == "spack" and not i.external) and not _supplied(i, s)]
    yield _check("software", 1, "an inventory with hashes", [*_empty(s), *(f"{n}: no hash" for n in _named(bare))],
                 f"{len(s.inventory.items)} components, {len(running)} of them run", "lock")  # fmt: skip
    unread = [f"{n}: licence unknown" for n in _named(i for i in running if i.licence is None)]
    yield _check("software", 2, "every licence is known and valid", [*unread, *s.invalid],
                 f"all {len(running)}", "facts")  # fmt: skip
    unsaid = (
        i
        for i in running
        if i.facts is None or "unknown" in (i.facts.redistribution.source, i.facts.redistribution.binary)
    )
    yield _check("software", 2, "what may be handed on is known", (f"{n}: unknown" for n in _named(unsaid)),
                 f"of all {len(running)}", "facts")  # fmt: skip
    title = "the SBOM is complete by BSI TR-03183-2"
    if s.phase == "design":
        lacking = [f"{g.component or 'the SBOM'}: {g.field}" for g in s.gaps]
        state: State = "fail" if lacking else "not assessed"
        said = "a lock has no deployable files yet; `sovstack build` makes them"
        yield _check("software", 2, title, lacking, said, "design SBOM", state)
    else:
        gaps = (f"{g.component or 'the SBOM'}: {g.field}" for g in s.gaps)
        yield _check("software", 2, title, gaps, "nothing is missing", "build SBOM")
    nobody = (
        f"{n}: steward, jurisdiction or governance unknown" for n in _named(s.inventory.by_ref[r] for r in s.unsteered)
    )
    title = "who decides about each component is known, and about each package that is not open or is for one vendor"
    yield _check("software", 3, title, nobody, "all of them", "facts")
    yield from _open(s, running)
    yield from _rebuilt(s)


def _supplied(item: Item, s: Situation) -> bool:
    """An external is the file of the package that supplies it."""
    return bool(item.external) and any(s.inventory.by_ref[ref].hashes for ref in item.depends)


def _open(s: Situation, running: list[Item]) -> Iterator[Check]:
    classes = {i.ref: i.facts.licence_class if i.facts else "unknown" for i in running}
    # An exception allows what is known not to be open; what nobody knows stays unknown, whatever allows it.
    allowed = {i.ref for i in running if classes[i.ref] not in ("osi", "unknown") and i.ref in s.excepted}
    closed = [i for i in running if classes[i.ref] != "osi" and i.ref not in allowed]
    wheels = [i for i in running if i.kind == "wheel"]
    excepted = [f"{i.name}: {s.excepted[i.ref]}" for i in running if i.ref in allowed]
    good = f"all {len(running)}" + (f"; exceptions: {'; '.join(excepted)}" if excepted else "")
    bad = [f"{n} is {classes[i.ref]}" for n, i in zip(_named(closed), closed, strict=True)]
    yield _check("software", 3, "all open source, exceptions stated", bad, good, "facts, policy")
    yield _check("software", 3, "all built from source, by us or by the distribution",
                 (f"{n} is a wheel that others built" for n in _named(wheels)), "no binary of a third party",
                 "lock")  # fmt: skip


def _rebuilt(s: Situation) -> Iterator[Check]:
    title = "the sources are in the site's mirror"
    if s.inventory.lock.spack is None:
        how = "the distribution's own sources are not mirrored by this program; nothing else is built from source"
        yield _unknown("software", 4, title, how)
    elif s.mirrored is None:
        yield _unknown("software", 4, title, "no survey of the mirror stands; `sovstack mirror` makes one")
    else:
        good = f"all {s.mirrored.there}"
        yield _check("software", 4, title, (f"{m} is not there" for m in s.mirrored.missing), good, "source mirror")
    yield _independently(s)


def _independently(s: Situation) -> Check:
    """Another builder's signed word for the same bytes; a second build of one's own can only refute them."""
    title = "rebuilt independently, with equal digests"
    if s.rebuild and s.rebuild.same is False:
        bad = [f"a second build gave other bytes on {s.rebuild.date}"]
        return _check("software", 4, title, bad, "", "rebuild.json")
    if s.confirmed:
        keys = ", ".join(key[:12] for key in s.confirmed)
        return _check("software", 4, title, (), f"the same image was signed by {keys}", "confirmations/")
    own = f"one's own second build gave the same bytes on {s.rebuild.date}; " if s.rebuild and s.rebuild.same else ""
    how = f"{own}no statement of another builder whose key is trusted stands in confirmations/"
    return _unknown("software", 4, title, how)


# --- operational ---


def _operational(s: Situation) -> Iterator[Check]:
    unsigned = [] if s.signed else ["no signature by a key that is trusted here"]
    yield _check("operational", 1, "a lock, and a signed SBOM", unsigned, f"lock {s.inventory.digest[:12]}, signed",
                 "signature in the image")  # fmt: skip
    if s.signed is None:
        yield _unknown("operational", 2, "the key is the site's own", "no signature by a key that is trusted here")
    else:
        bad = [] if s.signed.own else [f"{s.signed.key[:12]} is not the site's key"]
        yield _check("operational", 2, "the key is the site's own", bad, s.signed.key[:12], "key")
    title = "rebuilt with no network"
    if s.rebuild is None:
        yield _unknown("operational", 3, title, "not done; `sovstack build --offline --fresh` does it")
    else:
        yield _check("operational", 3, title, (), f"on {s.rebuild.date}", "rebuild.json")
    yield from _tested(s)
    names = {"scheduler": s.scheduled, **s.providers}
    alone = [f"{role}: {', '.join(found) or 'nothing'} alone" for role, found in names.items() if len(found) < 2]
    good = "; ".join(f"{role}: {', '.join(found)}" for role, found in names.items())
    yield _check("operational", 4, "scheduler, MPI and BLAS each have a second open provider", alone, good, "recipes")


def _tested(s: Situation) -> Iterator[Check]:
    title = "disconnection tested within a year"
    if s.rebuild is None:
        yield _unknown("operational", 4, title, "not done")
        return
    try:
        ago = date.fromisoformat(s.today) - date.fromisoformat(s.rebuild.date[:10])
        bad = [] if timedelta(0) <= ago <= YEAR else [f"the last was on {s.rebuild.date}"]
    except ValueError:
        bad = [f"the last was on {s.rebuild.date}"]
    yield _check("operational", 4, title, bad,
                 f"on {s.rebuild.date}", "rebuild.json")  # fmt: skip


# --- data and model ---


def _carried(_s: Situation) -> Iterator[Check]:
    """Until an environment carries data and models, there is nothing to look at."""
    for layer, titles in _CARRIED.items():
        for level, title in enumerate(titles, 1):
            yield _unknown(layer, level, title, f"environments carry no {layer} yet")


_CARRIED = {
    "data": ("open formats", "a manifest with licence and location", "running needs no egress, tested",
             "copies at several sites, verified"),
    "model": ("an ML-BOM", "hash and signature of the weights", "the licence allows retraining",
              "training data and recipe are open"),
}  # fmt: skip
_CHECKS: tuple[Callable[[Situation], Iterator[Check]], ...] = (_compute, _software, _operational, _carried)
