"""The cache of package files: what lies at a hash has that hash."""

from __future__ import annotations

import hashlib
from pathlib import Path

from stack.host import packages
from tests.host.mirror import Wanted


def test_only_what_has_a_wanted_hash_is_taken(tmp_path: Path) -> None:
    store, incoming = tmp_path / "store", tmp_path / "incoming"
    incoming.mkdir()
    (incoming / "a.deb").write_bytes(b"good")
    (incoming / "b.deb").write_bytes(b"half")
    good = hashlib.sha256(b"good").hexdigest()
    packages.take(incoming, store, [Wanted("a", "1", good)])
    assert not list(incoming.iterdir())
    assert [p.relative_to(store) for p in store.rglob("*.deb")] == [Path(good[:2], f"{good}.deb")]
    assert packages.cached(store, good)


def test_a_damaged_file_is_removed(tmp_path: Path) -> None:
    sha256 = hashlib.sha256(b"good").hexdigest()
    path = packages.place(tmp_path, sha256)
    path.parent.mkdir()
    path.write_bytes(b"bad")
    assert not packages.cached(tmp_path, sha256)
    assert not path.exists()
