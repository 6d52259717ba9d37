"""Ring 4. What ReFrame kept of earlier runs -> sessions with their numbers; which of them a word means."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote

from stack.errors import StackError, bad_input
from stack.visible import one_line

LAST = "last"
KEPT = ("RFM_ENABLE_RESULTS_STORAGE", "RFM_SQLITE_DB_FILE")
"""Variables that tell ReFrame whether it keeps results, and where."""
PREFIX = "sovstack_"
# What a session says of itself beside its numbers; ReFrame splits its `--session-extras` at commas.
EXTRAS = ("cell", "subject", "image", "lock", "suite", "host", "emulator")
_SAFE = " /:.-_()"
_SHORT, _LEAST = 8, 4  # characters of an id as it is shown, and as it must be typed at least
_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?Z?)?")


@dataclass(frozen=True)
class Kept:
    """How often each check is run, and what ReFrame keeps of it: in `database`, with `extras`."""

    repeat: int = 1
    database: str = ""
    extras: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """ReFrame's arguments. Repeats are to measure speed: nothing else runs beside them, and they go round, since a
        bad minute of the machine is to fall on one repeat of each check and not on all of one."""
        rounds = ["--exec-policy=serial", "--reruns", str(self.repeat - 1)]
        often = rounds if self.repeat > 1 else ["--exec-policy=async"]
        return [*often, *(self.extras if self.database else ())]

    @property
    def variables(self) -> dict[str, str]:
        """What has ReFrame keep its results in a database, or nowhere."""
        return dict(zip(KEPT, ("1", self.database) if self.database else ("0",), strict=False))


ONCE = Kept()


@dataclass(frozen=True)
class Series:
    """One number in one session: its value in every repeat that passed, and how many repeats did not."""

    check: str
    title: str
    metric: str
    unit: str
    values: tuple[float, ...]
    lost: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """Names the number."""
        return self.check, self.metric


@dataclass(frozen=True)
class Session:
    """One run of ReFrame. `date`: ISO 8601 UTC; `place`: the machine, or the scheduler and partition it ran under."""

    id: str
    date: str
    cell: str = ""
    subject: str = ""
    image: str = ""
    lock: str = ""
    suite: str = ""
    host: str = ""
    emulator: str = ""
    place: str = ""
    failed: int = 0
    series: tuple[Series, ...] = field(default=())

    @property
    def short(self) -> str:
        """The beginning of its id, enough to type."""
        return self.id[:_SHORT]

    @property
    def repeats(self) -> int:
        """The most values that any of its numbers has."""
        return max((len(s.values) for s in self.series), default=0)


def extras(said: Mapping[str, str]) -> tuple[str, ...]:
    """ReFrame's arguments that make a session say these things of itself; the keys are some of `EXTRAS`."""
    return tuple(
        word
        for key, value in said.items()
        for word in ("--session-extras", f"{PREFIX}{key}={quote(value, safe=_SAFE)}")
    )


def read(text: str) -> tuple[Session, ...]:
    """Sessions of ours, oldest first, of what ReFrame's `--describe-stored-sessions` printed; others are left out.

    Raises `ValueError` for what is none.
    """
    try:
        found = json.loads(text or "[]")
        made = [_session(data) for data in found if PREFIX + "cell" in data["session_info"]]
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, OSError, RecursionError) as error:
        raise ValueError(one_line(repr(error))[:200]) from None
    return tuple(sorted(made, key=lambda s: (s.date, s.id)))


def _session(data: Mapping[str, Any]) -> Session:
    info = data["session_info"]
    said = {key: one_line(unquote(str(info.get(PREFIX + key, "")))) for key in EXTRAS}
    cases = [case for run in data["runs"] for case in run["testcases"] if not case.get("fixture")]
    return Session(
        id=str(info["uuid"]),
        date=datetime.fromtimestamp(int(info["time_start_unix"]), UTC).isoformat().replace("+00:00", "Z"),
        place=_place(str(info["hostname"]), cases),
        failed=sum(case["result"] not in ("pass", "skip") for case in cases),
        series=tuple(_series(cases)),
        **said,
    )


def _place(hostname: str, cases: Iterable[Mapping[str, Any]]) -> str:
    """This machine; under a scheduler its nodes come and go, and the partition is what stays."""
    spread = sorted({f"{c['scheduler']}, {c['system']}:{c['partition']}" for c in cases if c["scheduler"] != "local"})
    return one_line("; ".join(spread) or hostname)


def _series(cases: Sequence[Mapping[str, Any]]) -> Iterable[Series]:
    """The numbers of all repeats, together: a repeat has the name of the others.

    What a failed check measured is no speed of anything: it may have computed something else.
    """
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for case in cases:
        by_name.setdefault(str(case["name"]), []).append(case)
    for name, repeats in sorted(by_name.items()):
        passed = [_values(c.get("perfvalues") or {}) for c in repeats if c["result"] == "pass"]
        units = {metric: unit for values in passed for metric, (_value, unit) in values.items()}
        title = one_line(str(repeats[0].get("descr") or name))
        for metric, unit in sorted(units.items()):
            found = tuple(values[metric][0] for values in passed if metric in values)
            kept = tuple(value for value in found if math.isfinite(value))
            yield Series(name, title, metric, unit, kept, len(repeats) - len(kept))


def _values(perfvalues: Mapping[str, Sequence[Any]]) -> dict[str, tuple[float, str]]:
    """ReFrame's `system:partition:name` -> [value, reference, lower, upper, unit, result]."""
    return {
        key.rsplit(":", 1)[-1]: (float(value[0]), str(value[4] or ""))
        for key, value in perfvalues.items()
        if value[0] is not None
    }


def unlike(one: Session, other: Session) -> tuple[str, ...]:
    """Why the numbers of two sessions cannot be compared, in words; empty where they can."""
    asked: tuple[tuple[str, Callable[[Session], str]], ...] = (
        ("what was checked", lambda s: s.subject),
        ("the host", lambda s: s.host),
        ("the machine", lambda s: s.place),
        ("the emulator", lambda s: s.emulator or "none"),
        ("the suite", lambda s: s.suite[:12]),
    )
    return tuple(f"{what} differs ({of(one)}, then {of(other)})" for what, of in asked if of(one) != of(other))


def newest(sessions: Sequence[Session]) -> Session:
    """The session that is looked at when none is named."""
    if not sessions:
        raise bad_input("nothing was measured here yet", remedy="`sovstack verify` with --repeat measures")
    return sessions[-1]


def meant(sessions: Sequence[Session], wanted: str) -> None:
    """Raise where a word will mean nothing, whatever is measured now."""
    chosen(sessions, wanted, Session(id="now", date="9999"))


def chosen(sessions: Sequence[Session], wanted: str, now: Session) -> tuple[Session, ...]:
    """The sessions before `now` that a word means: `last`, the id of one, a date, or an image or lock (all of it).

    `last` may be none. Raises `StackError` where another word means none, or several things.
    """
    earlier = [s for s in sessions if (s.date, s.id) < (now.date, now.id)]
    if wanted == LAST:
        return (_last(earlier, now),) if earlier else ()
    if not earlier:
        raise bad_input(f"nothing was measured here before, so {wanted!r} means nothing", remedy="--compare")
    if _DATE.fullmatch(wanted):
        day = _day(wanted)
        found = [s for s in earlier if s.date[: len(day)] <= day]
        if not found:
            raise bad_input(f"no session is as old as {wanted}: the first is of {earlier[0].date}")
        return (found[-1],)
    return _named(earlier, wanted, now)


def _day(wanted: str) -> str:
    """A date as sessions have theirs. Raises for one that no calendar has."""
    day = wanted.replace(" ", "T").rstrip("Z")
    try:
        datetime.fromisoformat(day)
    except ValueError as error:
        raise bad_input(f"there is no {wanted}: {error}", remedy="a date is such as 2026-03-02") from None
    return day


def _last(earlier: Sequence[Session], now: Session) -> Session:
    """The newest that can be compared; one with repeats before one without."""
    return (_alike(earlier, now) or list(earlier))[-1]


def _alike(sessions: Sequence[Session], now: Session) -> list[Session]:
    """Those that can be compared, with a number in common where there are such.

    What was measured once was measured beside other checks: it is taken only where there is no more.
    """
    alike = [s for s in sessions if not unlike(s, now) and s.series]
    known = {series.key for series in now.series}
    shared = [s for s in alike if known & {series.key for series in s.series}] or alike
    return [s for s in shared if s.repeats > 1] or shared


def _named(earlier: Sequence[Session], wanted: str, now: Session) -> tuple[Session, ...]:
    word = wanted.lower().removeprefix("sha256:")
    if len(word) < _LEAST or not re.fullmatch(r"[0-9a-f-]+", word):
        raise _no_session(wanted)
    one = [s for s in earlier if s.id.startswith(word)]
    digests = {d for s in earlier for d in (s.image, s.lock) if d.startswith(word)}
    if len(one) + len(digests) > 1:
        known = ", ".join(sorted([*(s.id for s in one), *digests]))
        raise bad_input(f"{wanted!r} is the beginning of several: {known}", remedy="write more of it")
    if one:
        return tuple(one)
    of_it = [s for s in earlier if digests & {s.image, s.lock}]
    if not of_it:
        raise _no_session(wanted)
    return tuple(_alike(of_it, now) or of_it[-1:])


def _no_session(wanted: str) -> StackError:
    remedy = "`sovstack history` lists the sessions; 'last', a date such as 2026-03-02, and an image's digest will do"
    return bad_input(f"no earlier session is meant by {wanted!r}", remedy=remedy)
