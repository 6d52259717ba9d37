"""Check programs as modules, for the tests beside this."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest

from stack.host.library import shipped

SUITE = shipped() / "reframe_tests"


def load(monkeypatch: pytest.MonkeyPatch, path: str) -> ModuleType:
    """A check program as a module, with what it finds beside it inside an image."""
    monkeypatch.syspath_prepend(str(SUITE / "lib"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    spec = importlib.util.spec_from_file_location(path.replace("/", "_").removesuffix(".py"), SUITE / path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
