"""What changed between two locks."""

from __future__ import annotations

from stack import changes
from stack.plan import Plan
from tests.test_lock import make


def test_a_difference_names_components_and_packages(laptop: Plan) -> None:
    old, new = make(laptop), make(laptop, python3_numpy="1:2.2.5+ds-1")
    assert [str(c) for c in changes.between(old, new)] == [
        "~ numpy 2.2.4 from os -> 2.2.5 from os (component)",
        "~ python3-numpy 1:2.2.4+ds-1 [00000000] -> 1:2.2.5+ds-1 [00000000] (OS package)",
    ]
    assert changes.between(old, old) == ()


def test_other_bytes_of_the_same_version_are_a_difference(laptop: Plan) -> None:
    old = make(laptop)
    changed = tuple(p.model_copy(update={"sha256": "f" * 64}) if p.name == "python3" else p for p in old.os.packages)
    new = old.model_copy(update={"os": old.os.model_copy(update={"packages": changed})})
    assert [c.name for c in changes.between(old, new)] == ["python3"]
