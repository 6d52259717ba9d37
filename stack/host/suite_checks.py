"""The suite's checks on a subject of `suite`: running them, what is kept of a run, and which of them can run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from stack import card as cards
from stack import outcome, probing, verify
from stack.artifact import canonical_json, digest
from stack.document import did_you_mean
from stack.errors import bad_input
from stack.host import apptainer, checks, clock, files, placing, remembering
from stack.host.run import Sink
from stack.host.suiting import FOLDER, Subject
from stack.render import reframe
from stack.verdict import Verdict


def check(subject: Subject, sink: Sink, only: Sequence[str] = (), repeat: int = 1, note: Sink | None = None) -> Verdict:
    """Run the checks and keep what they measured; of a whole run also verdict, card and report.

    With `repeat`, those that measure speed, or those of `only`, so often. What a preloaded library did is not kept.
    """
    only = chosen(subject, only, repeat)
    expected = verify.expected(checks.limits(), subject.features, subject.asked.called, only)
    refused = verify.refused(checks.limits(), subject.features, subject.asked.called, only)
    if not expected:
        raise bad_input(f"no check can run on {subject.asked.called}", remedy="`sovstack suite --list` says why")
    place, verb = subject.asked.place, _verb(subject)
    if place.down:
        able = verify.anywhere(checks.limits(), expected, subject.begin.kind)
        refused |= placing.without_nodes(place.down, able, expected, note)
        subject, expected, only = replace(subject, asked=replace(subject.asked, place=place.here)), able, able
    return outcome.with_failed(_run(subject, sink, expected, only, repeat, note), refused, verb)


def _run(
    subject: Subject, sink: Sink, expected: tuple[str, ...], only: Sequence[str], repeat: int, note: Sink | None
) -> Verdict:  # fmt: skip
    folder, places, preloaded = subject.folder, _paths(subject), subject.asked.preload is not None
    aside = preloaded or bool(subject.asked.place.instead)
    verify.usable(places)
    with files.exclusive(folder, lambda who: sink(f"waiting for {who}")):
        checks.empty(Path(places.folder))
        settings = reframe.settings_of(subject.system, subject.facts, subject.where)
        files.write_text(Path(places.manifest), subject.manifest)
        files.write_text(Path(places.subject), subject.begin.text)
        files.write_tree(folder, settings)
        about = _told(subject, expected, {p: f.text for p, f in settings})
        about = replace(about, left_out=verify.left_out(checks.limits(), subject.features, only))
        remembering.ready(folder)
        kept = checks.keeping(folder, subject.begin, _remembered(subject, about), repeat, aside=aside)
        env = checks.environment(apptainer.environment())
        (command,) = verify.commands(places, env, expected if only else (), kept)
        result, told = checks.ran(command, Path(places.report), sink, folder / "verify.log")
        if note and kept.database and (why := remembering.unkept(folder, result)):
            note(why)
        verdict = outcome.parse(told, about)
        verdict = verdict.model_copy(update={"provider": "" if subject.lock else probing.PROVIDER})
        if not only and not preloaded:
            _keep(subject, verdict)
    return verdict


def chosen(subject: Subject, only: Sequence[str], repeat: int) -> Sequence[str]:
    """The checks that are meant; none where all of them are."""
    return checks.measuring_of(subject.features, subject.asked.called, only, repeat)


def rows(subject: Subject, only: Sequence[str] = (), repeat: int = 1) -> list[dict[str, str]]:
    """Every check that is meant, and why it is left out where it is. Raises for a name that no check has."""
    limits = checks.limits()
    for name in only:
        if name not in limits.checks:
            raise bad_input(f"no check {name!r}", remedy=did_you_mean(name, limits.checks))
    meant = chosen(subject, only, repeat) or limits.checks
    possible = dict(verify.possible(limits, subject.features))
    if subject.asked.place.down:
        able = verify.anywhere(limits, list(possible), subject.begin.kind)
        stuck = [name for name, why in possible.items() if not why and name not in able]
        possible |= dict.fromkeys(stuck, f"nodes: {subject.asked.place.down}")
    return [{"check": name, "left_out": why} for name, why in possible.items() if name in meant]


def _paths(subject: Subject) -> verify.Paths:
    folder, preload = subject.folder / "reframe", subject.asked.preload
    return verify.Paths(
        python=sys.executable,
        suite=str(checks.suite()),
        settings=str(folder / "settings.json"),
        manifest=str(folder / "manifest.json"),
        subject=str(folder / "subject.json"),
        folder=str(folder / "run"),
        preload=str(preload) if preload else None,
        programs=(str(Path(subject.begin.apptainer).parent),) if subject.begin.apptainer else (),
        namespace=subject.namespace,
    )


def _host(subject: Subject) -> str:
    facts = subject.facts
    host = f"{facts.microarchitecture}, {facts.cores} cores, {facts.memory_gib:g} GiB, {facts.os_title}"
    return f"{host}{subject.asked.place.text}"


def _verb(subject: Subject) -> tuple[str, ...]:
    return ("sovstack", "suite", *subject.asked.words)


def _told(subject: Subject, expected: tuple[str, ...], settings: dict[str, str]) -> outcome.Subject:
    asked, suite = subject.asked, checks.suite_files()
    kind = "an image" if asked.image else f"modules {', '.join(asked.load)}" if asked.load else "the machine's own"
    return outcome.Subject(
        cell=f"{FOLDER}/{asked.called}",
        image=subject.sha256,
        lock=subject.lock.digest if subject.lock else digest(subject.manifest),
        suite=verify.suite_digest({**suite, **settings}),
        date=clock.now(),
        host=f"{_host(subject)}; {kind}",
        verb=_verb(subject),
        expected=expected,
        machine=subject.machine,
        files=verify.suite_digest(suite),
    )


def _remembered(subject: Subject, about: outcome.Subject) -> outcome.Subject:
    """As the history has it. Other modules, or one component more, are the change that a comparison is about: they make
    neither another host nor another suite."""
    return replace(about, host=_host(subject), suite=about.files or about.suite)


def _keep(subject: Subject, verdict: Verdict) -> None:
    """The verdict, and its card with the software that answered; the scale of a run is in their names."""
    from stack import card_page, explain

    made = cards.make(verdict, subject.lock)
    if subject.found:
        parts = (cards.Part(name=n, version=v, provider=probing.PROVIDER) for n, v in subject.found.software)
        made = cards.foreign(made, parts, image=subject.asked.image is not None)
    said = probing.lines(subject.found) if subject.found else ()
    texts = {
        "verdict.json": canonical_json(verdict.model_dump(mode="json", by_alias=True)),
        cards.NAME: cards.text(made),
        cards.PAGE: card_page.as_html(made),
        "report.txt": "\n".join((*said, "", explain.verdict_text(verdict), "")),
    }
    place = replace(subject.asked.place, kind="image")
    for name, text in texts.items():
        files.write_text(subject.folder / place.file(name), text)
