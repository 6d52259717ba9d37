"""Notes beside unfinished work: which inputs a file was made for, so that a stopped run can be taken up again."""

from __future__ import annotations

from pathlib import Path

from stack.artifact import canonical_json
from stack.host import files


def mark(path: Path, key: str) -> None:
    """Note that the file is whole, and what it was made for."""
    files.write_text(_note(path), canonical_json(_content(path, key)))


def has(path: Path, key: str) -> bool:
    """Whether the file is there whole, made for these inputs."""
    return path.is_file() and files.read_record(_note(path)) == _content(path, key)


def drop(path: Path) -> None:
    """Remove the file and its note."""
    path.unlink(missing_ok=True)
    _note(path).unlink(missing_ok=True)


def _note(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _content(path: Path, key: str) -> dict[str, object]:
    return {"key": key, "size": path.stat().st_size}
