"""A profile's policy and contact: what its check says, and that neither makes a lock older."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from stack.check_policy import check_policy
from stack.document import Document, parse
from stack.errors import Faults, StackError
from stack.host import cells, checking
from stack.host.library import Library, shipped
from stack.profile import UNDECIDING, Contact, Profile

EXCEPTION = "  exceptions: [{packages: [%s], kind: %s, rules: [%s], reason: so, granted_by: us}]\n"


def document(text: str) -> Document:
    made = parse(text, "f", Faults())
    assert made is not None
    return made


def said(library: Library, policy: str) -> list[str]:
    faults = Faults()
    check_policy(document(f"policy:\n{policy}"), library.policy, library.facts, library.catalogue, faults)
    return [str(fault).removeprefix("f:") for fault in faults.found]


FACTS = "`sovstack facts --missing` writes an entry for what a lock has and facts lack"
TWO = "  forbid_licences: [MIT]\n  allow_licences: [MIT]\n"


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ("  rules: {propietary: off}\n", "2:11: unknown rule 'propietary' (did you mean 'proprietary'?)"),
        (
            EXCEPTION % ("cuda", "spack", "unknown-licens"),
            "2:56: unknown rule 'unknown-licens' (did you mean 'unknown-licence'?)",
        ),
        (
            EXCEPTION % ("cudda", "spack", "proprietary"),
            "2:28: no package 'cudda' (spack) is known (did you mean 'cuda'?)",
        ),
        (
            EXCEPTION % ("intel-oneapi-mkl", "wheel", "proprietary"),
            "2:28: no package 'intel-oneapi-mkl' (wheel) is known (did you mean kind: spack?)",
        ),
        (
            EXCEPTION % ("zzzzzzzz", "debian", "proprietary"),
            f"2:28: no package 'zzzzzzzz' (debian) is known ({FACTS})",
        ),
        (
            EXCEPTION % ("cuda", "spack", "not-redistributable"),
            "2:56: the rule not-redistributable takes no exception (no site can grant what a licence does not)",
        ),
        (EXCEPTION % ("cuda, cuda", "spack", "proprietary"), "2:34: 'cuda' is listed twice (first in line 2)"),
        (
            "  forbid_licences: [AGPL-3.0-onyl]\n",
            "2:21: SPDX has no licence 'AGPL-3.0-onyl' (did you mean 'AGPL-3.0-only'?)",
        ),
        ("  forbid_licences: [BUSSL-*]\n", "2:21: no licence of SPDX's is 'BUSSL-*' (did you mean 'BUSL-1.1'?)"),
        ("  forbid_licences: [MIT, MIT]\n", "2:26: 'MIT' is listed twice (first in line 2)"),
        (TWO, "3:20: 'MIT' is forbidden and allowed (keep one of them)"),
    ],
)
def test_what_nothing_knows_is_a_fault(library: Library, policy: str, told: str) -> None:
    assert said(library, policy) == [told]


@pytest.mark.parametrize(
    "policy",
    [
        "  rules: {proprietary: warning, single-forge: off}\n",
        EXCEPTION % ("cray-mpich", "spack", "unknown-licence, unknown-class"),
        EXCEPTION % ("Nvidia_cuDNN.cu12", "wheel", "proprietary"),
        "  forbid_licences: [GPL-*, LicenseRef-Ours-1, '*', GPL-3.0-only WITH GCC-exception-3.1]\n",
        "  {}\n",
    ],
)
def test_what_is_known_is_no_fault(library: Library, policy: str) -> None:
    assert said(library, policy) == []


def test_two_exceptions_are_checked_each_with_its_kind(library: Library) -> None:
    one = "    - {packages: [%s], kind: %s, rules: [proprietary], reason: so, granted_by: us}\n"
    text = "  exceptions:\n" + one % ("cuda", "spack") + one % ("cuda", "debian")
    assert said(library, text) == ["4:19: no package 'cuda' (debian) is known (did you mean kind: spack?)"]


# --- through the documents ---

PROFILE = (shipped() / "profiles/generic-riscv.yaml").read_text(encoding="utf-8")
TELLING = """\
contact: {name: Example HPC, email: sbom@example.org}
policy:
  rules: {single-forge: error}
  exceptions:
    - {packages: [cuda], kind: spack, rules: [proprietary], reason: so, until: "2027-01-01", granted_by: the board}
  forbid_licences: [AGPL-*]
"""


def site(folder: Path, text: str) -> Library:
    (folder / "profiles").mkdir(exist_ok=True)
    (folder / "profiles/generic-riscv.yaml").write_text(text, encoding="utf-8")
    return Library((folder, shipped()))


def digest(library: Library, tmp_path: Path) -> str:
    return cells.open_cell(library, "generic-riscv", "hpc-mpi", None, tmp_path / "build").documents["profile"]


def test_neither_contact_nor_policy_decides_a_lock(library: Library, tmp_path: Path) -> None:
    plain = library.profile("generic-riscv")[0].digest
    assert digest(library, tmp_path) == plain
    made = site(tmp_path, PROFILE + TELLING)
    assert made.profile("generic-riscv")[0].digest != plain
    assert digest(made, tmp_path) == plain
    assert digest(site(tmp_path, PROFILE + TELLING.replace("error", "off")), tmp_path) == plain


def test_every_other_key_does(library: Library, tmp_path: Path) -> None:
    changed = site(tmp_path, PROFILE.replace("description: ", "description: another ") + TELLING)
    assert digest(changed, tmp_path) != library.profile("generic-riscv")[0].digest
    assert set(UNDECIDING) < set(Profile.model_fields)


def test_a_released_lock_stays_current(library: Library, tmp_path: Path) -> None:
    from stack.host import locking

    made = site(tmp_path, PROFILE + TELLING)
    cell = cells.open_cell(made, "generic-riscv", "hpc-mpi", None, tmp_path / "build")
    assert locking.strict(cell).inputs["profile"] == library.profile("generic-riscv")[0].digest
    assert cell.plan.profile.contact == Contact(name="Example HPC", email="sbom@example.org")
    assert cell.plan.profile.policy is not None and cell.plan.profile.policy.forbid_licences == ("AGPL-*",)


def test_a_verb_and_the_check_name_the_line(tmp_path: Path) -> None:
    made = site(tmp_path, PROFILE + TELLING.replace("[proprietary]", "[propietary]"))
    line = next(n for n, text in enumerate((PROFILE + TELLING).split("\n"), 1) if "[proprietary]" in text)
    with pytest.raises(StackError) as error:
        digest(made, tmp_path)
    (fault,) = error.value.faults
    assert fault.where is not None and fault.where.line == line
    assert str(fault).endswith("unknown rule 'propietary' (did you mean 'proprietary'?)")
    assert checking.check(made, (str(tmp_path / "profiles/generic-riscv.yaml"),))[0] == (fault,)


NEITHER = "contact: a mapping should have an email or a url, and not both"
PAGE = "contact.url should be a URL such as 'https://host/path' (http or https)"
PERSON = "contact.name should be a name (at most 200 characters, without '<' and '>')"


@pytest.mark.parametrize(
    ("contact", "told"),
    [
        ("{name: Us}", NEITHER),
        ("{name: Us, email: a@b.org, url: 'https://b.org'}", NEITHER),
        ("{name: Us, email: nobody}", "contact.email should be an e-mail address, not 'nobody'"),
        ("{name: Us, url: 'ftp://b.org'}", f"{PAGE}, not 'ftp://b.org'"),
        ("{name: 'Us <a@b.org>', email: a@b.org}", f"{PERSON}, not 'Us <a@b.org>'"),
        ("{email: a@b.org}", "contact lacks the key 'name' (add it: a name)"),
    ],
)
def test_a_contact_that_nobody_can_use_is_a_fault(tmp_path: Path, contact: str, told: str) -> None:
    faults = checking.check(
        site(tmp_path, PROFILE + f"contact: {contact}\n"), (str(tmp_path / "profiles/generic-riscv.yaml"),)
    )[0]
    assert [str(fault).partition(": ")[2] for fault in faults] == [told]


def test_a_policy_without_a_rule_on_publishing_is_refused(tmp_path: Path) -> None:
    text = textwrap.dedent("""\
        schema: 1
        rules:
          one: {title: t, level: error, match: {licence: unknown}, why: w}
    """)
    (tmp_path / "policy.yaml").write_text(text, encoding="utf-8")
    (fault,) = checking.check(Library((shipped(),)), (str(tmp_path / "policy.yaml"),))[0]
    assert "has no rule on 'binary': then everything could be published" in fault.what


@pytest.mark.parametrize("match", ["{}", "{licence: unknown, classes: [unknown]}"])
def test_a_rule_matches_one_thing(tmp_path: Path, match: str) -> None:
    text = f"schema: 1\nrules:\n  one: {{title: t, level: error, match: {match}, why: w}}\n"
    (tmp_path / "policy.yaml").write_text(text, encoding="utf-8")
    faults = checking.check(Library((shipped(),)), (str(tmp_path / "policy.yaml"),))[0]
    assert any("should name one of licences, licence, classes, binary, operators, vendors" in f.what for f in faults)
