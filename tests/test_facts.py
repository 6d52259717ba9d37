"""The facts that ship: every package of every released lock has some, and the document says how many are whole.

After a change of facts or locks: `PYTHONPATH=. python tests/test_facts.py`, and read the difference.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from stack.audit.coverage import Coverage
from stack.errors import Faults
from stack.expressions import contradiction, problems
from stack.facts import Facts, FactsFile, PackageFacts, join
from stack.host import knowing
from stack.host.checking import check_knowledge
from stack.host.library import Library, shipped

PAGE = shipped() / "docs/reference/facts.md"
README = shipped() / "README.md"
FIGURE = r"\*\*\d+ of \d+ packages \(.*?\)\*\*"
BEGIN, END = "<!-- coverage: made by tests/test_facts.py -->\n", "<!-- end of coverage -->\n"


@pytest.fixture(scope="module")
def covered(library: Library) -> Coverage:
    return _covered(library)


def _covered(library: Library) -> Coverage:
    return knowing.covered(library, knowing.facts(library), knowing.read_locks(library))


def test_no_file_has_a_fault(library: Library) -> None:
    assert list(map(str, check_knowledge(library).found)) == []


def test_every_package_of_every_released_lock_has_an_entry(covered: Coverage) -> None:
    assert covered.packages > 300
    assert {part.kind: part.lacking["facts"] for part in covered.parts} == {"spack": (), "debian": (), "wheel": ()}


def test_every_expression_is_spdxs_and_agrees_with_its_class(library: Library) -> None:
    every = [(kind, name, f) for kind, found in library.facts.packages.items() for name, f in found.items()]
    assert len(every) > 400
    wrong = [(kind, name, said) for kind, name, f in every for said in problems(f.licence)]
    assert wrong == []
    assert [(k, n) for k, n, f in every if contradiction(f.licence, f.licence_class)] == []


def test_what_is_not_known_has_no_evidence_that_says_it_is(library: Library) -> None:
    """Where a licence is stated, somebody read it somewhere."""
    every = [(kind, name, f) for kind, found in library.facts.packages.items() for name, f in found.items()]
    unread = [(k, n) for k, n, f in every if f.licence != "unknown" and not any("licence" in e.of for e in f.evidence)]
    assert unread == []


def test_the_document_has_the_figure_and_names_what_is_unknown(covered: Coverage) -> None:
    assert _block(covered) in PAGE.read_text(encoding="utf-8"), "run: PYTHONPATH=. python tests/test_facts.py"


def test_the_readme_has_the_figure(covered: Coverage) -> None:
    said = re.findall(FIGURE, README.read_text(encoding="utf-8"))
    assert said == [f"**{covered.figure}**"], "run: PYTHONPATH=. python tests/test_facts.py"


def file(**packages: Mapping[str, object]) -> FactsFile:
    entry = {"licence": "MIT", "class": "osi", "redistribution": {"source": "allowed", "binary": "allowed"},
             "reach": {"cpu": "any"}}  # fmt: skip
    made = {name: PackageFacts.model_validate({**entry, **changes}) for name, changes in packages.items()}
    return FactsFile.model_construct(schema_version=1, kind="spack", packages=made)


def test_a_sites_package_hides_ours_and_twice_in_one_root_is_a_fault() -> None:
    faults = Faults()
    made = join([[("ours.yaml", file(a={}))], [("mine.yaml", file(a={"licence": "X11"}))]], {}, faults)
    assert not faults.found
    assert getattr(made.of("spack", "a"), "licence", None) == "X11"
    join([[("1.yaml", file(a={})), ("2.yaml", file(a={}))]], {}, faults)
    assert list(map(str, faults.found)) == ["2.yaml: a (spack) has facts in 1.yaml too (keep one of them)"]


def test_a_steward_that_nobody_knows_is_a_fault() -> None:
    faults = Faults()
    join([[("ours.yaml", file(a={"steward": "gnv"}))]], {}, faults)
    assert list(map(str, faults.found)) == ["ours.yaml: unknown steward 'gnv' of a (add it to stewards.yaml)"]


def test_a_python_project_is_found_by_any_spelling() -> None:
    entry = file(a={}).packages["a"]
    made = Facts({"spack": {"a-b": entry}, "debian": {}, "wheel": {"a-b": entry}}, {})
    assert made.of("wheel", "A_b") is made.of("wheel", "a.B") is entry
    assert made.of("spack", "A_b") is None


def _block(covered: Coverage) -> str:
    rows = []
    for part in covered.parts:
        lacking = {name for names in part.lacking.values() for name in names}
        rows.append(f"| {part.kind} | {len(part.packages)} | {len(part.packages) - len(lacking)} |\n")
    names = "".join(f"- `{name}` ({kind})\n" for kind, name in covered.incomplete) or "- nothing\n"
    stewards = ", ".join(f"`{name}` ({kind})" for kind, name in covered.unsteered) or "none"
    return (
        f"{BEGIN}Everything is known of **{covered.figure}** in the released locks.\n\n"
        f"| kind | packages | everything but the steward is known of |\n|---|---|---|\n{''.join(rows)}\n"
        f"Of {len(covered.needed)} packages the steward must be known. It is not known of: {stewards}.\n\n"
        f"Something is unknown of:\n\n{names}{END}"
    )


def _write() -> None:
    covered = _covered(Library((shipped(),)))
    text, made = PAGE.read_text(encoding="utf-8"), _block(covered)
    PAGE.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: made, text, flags=re.DOTALL), encoding="utf-8")
    README.write_text(re.sub(FIGURE, f"**{covered.figure}**", README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    _write()
