"""Another builder's signed word counts for the same bytes alone, by a key that is trusted and is not one's own."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from stack import statements
from stack.artifact import canonical_json
from stack.host import cells, keys, signing, standing
from stack.host.cells import Cell
from stack.host.keys import PrivateKey
from stack.host.library import Library, roots

BASE = "b" * 64


@pytest.fixture
def cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cell:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("SOVSTACK_KEY", raising=False)
    made = cells.open_cell(Library(roots(None)), "generic-x86", "numerics", None, tmp_path / "build")
    (made.folder / standing.CONFIRMATIONS).mkdir(parents=True)
    return made


def key(tmp_path: Path, *, trusted: bool) -> PrivateKey:
    """Another site's key."""
    made = keys.new(tmp_path / "other.pem")
    if trusted:
        folder = keys.folder() / "trusted"
        folder.mkdir(parents=True)
        shutil.copy(tmp_path / "other.pub", folder / "other.pub")
    return made


def put(cell: Cell, signer: PrivateKey, *, base: str = BASE) -> Path:
    """Their statement about an image of theirs."""
    said = statements.release(
        "x.sif", "c" * 64, "d" * 128, size=1, lock="e" * 64, base=base, key=signer.id, objects={"rootfs": "f" * 64}
    )
    path = cell.folder / standing.CONFIRMATIONS / "them.dsse.json"
    path.write_bytes(signing.sign(said, signer))
    return path


MADE = SimpleNamespace(sha256=BASE)


def test_a_trusted_builders_word_for_the_same_bytes_counts(cell: Cell, tmp_path: Path) -> None:
    signer = key(tmp_path, trusted=True)
    put(cell, signer)
    assert standing.confirmed(cell, MADE) == (signer.id,)


def test_other_bytes_an_unknown_key_and_no_image_do_not(cell: Cell, tmp_path: Path) -> None:
    signer = key(tmp_path, trusted=False)
    put(cell, signer)
    assert standing.confirmed(cell, MADE) == ()
    (keys.folder() / "trusted").mkdir(parents=True)
    shutil.copy(tmp_path / "other.pub", keys.folder() / "trusted/other.pub")
    assert standing.confirmed(cell, MADE) == (signer.id,)
    assert standing.confirmed(cell, None) == ()
    put(cell, signer, base="0" * 64)
    assert standing.confirmed(cell, MADE) == ()


def test_ones_own_word_does_not(cell: Cell) -> None:
    put(cell, keys.new(keys.site()))
    assert standing.confirmed(cell, MADE) == ()


def test_a_changed_statement_and_one_of_another_kind_do_not(cell: Cell, tmp_path: Path) -> None:
    signer = key(tmp_path, trusted=True)
    path = put(cell, signer)
    path.write_bytes(path.read_bytes().replace(b'"payload": "', b'"payload": "AAAA'))
    assert standing.confirmed(cell, MADE) == ()
    other = {**statements.statement([], "urn:other", {"base": {"digest": {"sha256": BASE}}})}
    path.write_bytes(signing.sign(other, signer))
    assert standing.confirmed(cell, MADE) == ()
    path.write_text(canonical_json({"no": "envelope"}))
    assert standing.confirmed(cell, MADE) == ()
