"""Ring 4. Earlier runs as plain data and as a page: a small plot for each number, and a table of what it shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stack import quantity, regression
from stack.history import Session
from stack.regression import Comparison, Directions
from stack.render import html, plot

Content = Mapping[str, Any]
SHOWN = 40  # sessions in a plot: more would be a smear
# What a break in a line means, in the order in which it is told; the lock of another image is another as well.
_CHANGES = {"image": "image", "lock": "lock", "suite": "suite", "host": "host", "place": "machine",
            "emulator": "emulator"}  # fmt: skip


@dataclass(frozen=True)
class History:
    """All that is told of a cell's earlier runs. `date`: of the page, ISO 8601; `program`: version of sovstack."""

    cell: str
    sessions: tuple[Session, ...]
    directions: Directions
    program: str
    date: str
    comparison: Comparison | None = None


def content(made: History) -> dict[str, Any]:
    """Plain data (format: `docs/reference/history.md`)."""
    return {
        "schema": 1,
        "cell": made.cell,
        "date": made.date,
        "program": made.program,
        "sessions": [_session(s) for s in made.sessions],
        "trends": list(trends(made.sessions, made.directions)),
        "comparison": regression.content(made.comparison) if made.comparison else None,
    }


def _session(session: Session) -> dict[str, Any]:
    return {"session": session.id, "date": session.date, "subject": session.subject, "image": session.image,
            "lock": session.lock, "suite": session.suite, "host": session.host, "place": session.place,
            "emulator": session.emulator or None, "checks": len({s.check for s in session.series}),
            "failed": session.failed, "repeats": session.repeats}  # fmt: skip


def trends(sessions: Sequence[Session], directions: Directions) -> Iterator[dict[str, Any]]:
    """Each number that has a direction, of each subject, session by session."""
    keys = sorted({(*s.key, session.subject) for session in sessions for s in session.series
                   if (regression.named(s.check), s.metric) in directions})  # fmt: skip
    for check, metric, subject in keys:
        of_it = [(session, s) for session in sessions for s in session.series
                 if session.subject == subject and s.key == (check, metric) and s.values]  # fmt: skip
        if of_it:
            last = of_it[-1][1]
            yield {"check": check, "title": last.title, "metric": metric, "unit": last.unit, "subject": subject,
                   "better": directions[regression.named(check), metric], "points": list(_points(of_it))}  # fmt: skip


def _points(of_it: Sequence[tuple[Session, Any]]) -> Iterator[dict[str, Any]]:
    former: Session | None = None
    for session, series in of_it:
        found = regression.sample(series)
        changed = _changed(former, session) if former else []
        yield {"session": session.id, "date": session.date, "n": found.n, "lost": found.lost, "median": found.median,
               "low": found.low, "high": found.high, "image": session.image, "emulator": session.emulator or None,
               "changed": changed}  # fmt: skip
        former = session


def _changed(former: Session, now: Session) -> list[str]:
    return [word for name, word in _CHANGES.items() if getattr(former, name) != getattr(now, name)]


def as_html(told: Content) -> str:
    """A page that needs nothing else, of the plain data."""
    return html.template("history.html.j2").render(told, history=view(told))


def view(told: Content) -> dict[str, Any]:
    """The same data as `history.html.j2` shows it."""
    return {**drawn(told["trends"]), "sessions": list(reversed(told["sessions"])), "comparison": told["comparison"]}


def drawn(trends: Sequence[Content]) -> dict[str, Any]:
    """The plots alone."""
    several = len({trend["subject"] for trend in trends}) > 1
    return {
        "plots": [_plotted(i, trend, several) for i, trend in enumerate(trends)],
        "shown": SHOWN,
        "emulated": any(point["emulator"] for trend in trends for point in trend["points"]),
    }


def _plotted(place: int, trend: Content, several: bool) -> dict[str, Any]:
    points = [p for p in trend["points"] if all(abs(p[k]) <= plot.MOST for k in ("median", "low", "high"))][-SHOWN:]
    about = f"{regression.named(trend['check'])}: {trend['title']}"  # `--check` takes the first
    title = f"{trend['metric']}, {about}" + (f" ({trend['subject']})" if several else "")
    dots = tuple(plot.Dot(p["date"], p["median"], p["low"], p["high"], tuple(p["changed"])) for p in points)
    shape = plot.shape(plot.Plot(f"trend-{place}", title, trend["unit"], _said(trend, points), dots))
    return {"shape": shape, "trend": trend, "points": list(reversed(points)), "title": title}


def _said(trend: Content, points: Sequence[Content]) -> str:
    """The plot in a sentence, for who does not see it."""
    if not points:
        return "No value that can be drawn."
    first, last = points[0], points[-1]
    unit, better = trend["unit"], trend["better"]
    breaks = sum(bool(p["changed"]) for p in points[1:])
    tail = f"; something was changed {breaks} times" if breaks > 1 else "; something was changed once" if breaks else ""
    emulated = " Measured under emulation." if last["emulator"] else ""
    if len(points) == 1:
        return f"One session: {quantity.number(last['median'])} {unit}; {better} is better.{emulated}"
    return (f"{len(points)} sessions, from {quantity.number(first['median'])} to {quantity.number(last['median'])} "
            f"{unit}{tail}; {better} is better.{emulated}")  # fmt: skip
