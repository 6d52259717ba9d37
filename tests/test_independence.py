"""How many archives hold a source, and what of that is a finding."""

from __future__ import annotations

import json

from stack import independence
from stack.independence import HERE, Row, Seen, State
from stack.origins import Candidate
from stack.sources import Archives, Kind, needed
from tests.test_sources import archives, recorded

__all__ = ["archives"]
WANTED = recorded("numerics")
BLIS = next(s for s in needed(WANTED) if s.label == "blis@2.0")


def seen(operator: str, state: State, kind: Kind = "upstream", said: str = "") -> Seen:
    return Seen(Candidate(kind, kind, operator, f"https://{operator}.example/x"), state, said)


def what(row: Row, archives: Archives) -> list[str]:
    return [f.what for f in independence.findings([row], WANTED, archives)]


def test_two_urls_of_one_forge_are_one_archive(archives: Archives) -> None:
    row = Row(BLIS, (seen("github", "unreachable"), seen("github", "named")), HERE)
    assert row.holders == ("github",)
    assert what(row, archives) == ["one-forge"]


def test_a_host_that_is_no_forge_is_another_finding(archives: Archives) -> None:
    assert what(Row(BLIS, (seen("www.fftw.org", "named"),), HERE), archives) == ["one-archive"]


def test_what_was_asked_and_lacks_it_holds_nothing(archives: Archives) -> None:
    row = Row(BLIS, (seen("github", "lacks"), seen("debian", "held", "distribution")), "debian")
    assert row.holders == ("debian",)
    refuted = Row(BLIS, (seen("github", "other", said="SHA-256 x"),))
    assert refuted.holders == ()
    assert what(refuted, archives) == ["no-archive", "wrong-hash", "not-had"]


def test_a_mirror_counts_when_it_was_seen_to_have_it(archives: Archives) -> None:
    assert Row(BLIS, (seen("m", "named", "mirror"), seen("g", "unreachable", "git"))).holders == ()
    both = Row(BLIS, (seen("m", "held", "mirror"), seen("debian", "listed", "distribution")), "mirror")
    assert both.holders == both.proven == ("m", "debian")
    assert what(both, archives) == []


def test_a_table_has_every_file_and_the_best_word(archives: Archives) -> None:
    first, second = seen("github", "named"), seen("github", "held")
    table = independence.rows(WANTED, {BLIS.path: [first, second]}, {BLIS.path: "upstream"})
    assert len(table) == 19
    row = next(r for r in table if r.source == BLIS)
    assert row.seen == (second,)
    text = independence.text(table, independence.findings(table, WANTED, archives, fetched=False))
    assert ["blis@2.0", "08bbebd77914", "1", "github", "upstream"] in [line.split() for line in text.splitlines()]
    assert "one-forge: blis@2.0: github alone has it" in text
    assert "no-archive: bzip2@1.0.8: no archive that is known has it" in text
    assert "not-had" not in text


def test_what_has_no_hash_is_a_finding(archives: Archives) -> None:
    torch = recorded("torch")
    found = independence.findings((), torch, archives)
    assert {f.source for f in found} == {
        "cpuinfo@2025-11-14",
        "fp16@2020-05-14",
        "pthreadpool@2023-08-29",
        "py-torch@2.12.0",
    }
    assert {f.what for f in found} == {"no-hash"}


def test_the_data_shows_no_password(archives: Archives) -> None:
    candidate = Candidate("mirror", "mirror", "m.example", "https://me:secret@m.example/x")
    table = (Row(BLIS, (Seen(candidate, "held"),), "mirror"),)
    data = json.dumps(independence.as_data(table, independence.findings(table, WANTED, archives)))
    assert "secret" not in data
    assert json.loads(data)["sources"][0]["asked"][0]["where"] == "https://m.example/x"
