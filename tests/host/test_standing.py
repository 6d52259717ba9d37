"""Evidence beside a lock that is damaged, forged or about something else: it counts for nothing, and breaks nothing."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stack import statements
from stack.audit.situation import Mirrored, Rebuild, Signed
from stack.host import cells, image, keys, locking, sealing, signing, standing
from stack.host.cells import Cell
from stack.host.image import Image
from stack.host.library import Library, roots
from stack.lock import Lock
from tests.host import tiny

ROW = {"packages": ["a@1"], "kind": "archive", "sha256": "0" * 64, "holders": ["x"], "had": "here"}
REBUILD = {"date": "2026-05-01T10:00:00Z", "same": True, "host": "here", "image": "a" * 64}
SURVEY = {"sources": [ROW], "unhashed": [["b@1", "a commit"]]}
WRONG: tuple[Any, ...] = (None, 5, "", "x", [], {}, [5], [[]], [None], {"a": 1}, "\ud800", "false", -1)


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    made = cells.open_cell(Library(roots(None)), "generic-x86", "numerics", None, tmp_path)
    made.folder.mkdir(parents=True)
    shutil.copy(made.released / "stack.lock.json", made.lock_path)
    shutil.copy(made.released / "spack.lock", made.folder)
    return made


@pytest.fixture
def lock(cell: Cell) -> Lock:
    found = locking.read(cell)
    assert found
    return found


def note(cell: Cell, lock: Lock, name: str, content: dict[str, Any]) -> None:
    (cell.folder / name).write_text(json.dumps({"lock": lock.digest, **content}))


def test_whole_notes_count(cell: Cell, lock: Lock) -> None:
    note(cell, lock, standing.REBUILD, REBUILD)
    note(cell, lock, standing.SURVEY, SURVEY)
    assert standing.rebuild(cell, lock, None) == Rebuild("2026-05-01", True, "here")
    assert standing.mirrored(cell, lock) == Mirrored(1, ("b@1",))
    seen = standing.survey(cell, lock)
    assert seen
    assert seen.holders == {"a@1": (("x",),)}


@pytest.mark.parametrize("key", ["date", "same"])
@pytest.mark.parametrize("value", WRONG)
def test_a_rebuild_that_says_nonsense_is_none(cell: Cell, lock: Lock, key: str, value: Any) -> None:
    note(cell, lock, standing.REBUILD, {**REBUILD, key: value})
    found = standing.rebuild(cell, lock, None)
    assert found is None or (key == "same" and value is None and found.same is None)


@pytest.mark.parametrize("key", ["packages", "holders", "had", "sources", "unhashed"])
@pytest.mark.parametrize("value", WRONG)
def test_a_survey_that_says_nonsense_breaks_nothing(cell: Cell, lock: Lock, key: str, value: Any) -> None:
    note(cell, lock, standing.SURVEY, {**SURVEY, "sources": [{**ROW, key: value}]} if key in ROW else
         {**SURVEY, key: value})  # fmt: skip
    standing.survey(cell, lock)
    found = standing.mirrored(cell, lock)
    assert found is None or isinstance(value, (str, list))


def test_a_survey_of_nothing_is_no_mirror(cell: Cell, lock: Lock) -> None:
    note(cell, lock, standing.SURVEY, {"sources": [], "unhashed": []})
    assert standing.mirrored(cell, lock) is None


def test_equal_bytes_count_for_the_image_that_stands_alone(cell: Cell, lock: Lock) -> None:
    note(cell, lock, standing.REBUILD, REBUILD)
    made = Image(Path("x.sif"), "k", "a" * 64, "b" * 64, 1, lock.digest, {})
    assert standing.rebuild(cell, lock, made) == Rebuild("2026-05-01", True, "here")
    assert standing.rebuild(cell, lock, replace(made, sha256="d" * 64)) == Rebuild("2026-05-01", None, "here")


@pytest.mark.image
class TestSigned:
    """The signature over a real image."""

    @pytest.fixture
    def sealed(self, lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Image:
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
        monkeypatch.delenv("SOVSTACK_KEY", raising=False)
        key, made = keys.new(keys.site()), tiny.make(tmp_path / "image", lock)
        return sealing.seal(made, tiny.evidence(made, lock), key, tiny.tools(), tiny.EPOCH, print)

    def test_by_the_site_also_where_only_its_public_key_is(self, sealed: Image) -> None:
        assert sealed.sealed
        own = Signed(sealed.sealed.key, True)
        assert standing.signed(sealed) == own
        keys.site().unlink()
        assert standing.signed(sealed) == own

    def test_a_key_that_cannot_be_used_here_stops_no_audit(self, sealed: Image) -> None:
        keys.site().chmod(0o644)
        assert standing.signed(sealed)

    def test_a_signed_statement_about_something_else_is_none(self, sealed: Image, lock: Lock) -> None:
        said = statements.release("x", sealed.file_sha256, "0" * 128, size=1, lock=lock.digest, base="", key="k",
                                  objects={})  # fmt: skip
        key = keys.private(keys.site())
        for wrong in ({"predicateType": "urn:other"}, {"subject": "x"}, {"subject": [{"digest": 5}]}):
            sealing.statement_path(sealed.path).write_bytes(signing.sign({**said, **wrong}, key))
            assert standing.signed(sealed) is None

    def test_an_image_without_an_sbom_has_no_signed_one(self, sealed: Image, lock: Lock) -> None:
        evidence = tiny.evidence(sealed, lock)
        bare = replace(evidence, objects={n: d for n, d in evidence.objects.items() if "sbom" not in n})
        made = sealing.seal(sealed, bare, keys.private(keys.site()), tiny.tools(), tiny.EPOCH, print)
        assert image.present(made.path.parent, tiny.NAME) == made
        assert standing.signed(made) is None
