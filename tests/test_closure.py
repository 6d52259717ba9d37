from __future__ import annotations

import json

import pytest

from stack import closure
from stack.catalogue import Catalogue
from stack.errors import StackError
from stack.plan import Plan
from tests.conftest import RECORDED

URIS = (RECORDED / "closure/uris.txt").read_text()
SHOW = (RECORDED / "closure/show.txt").read_text()
REPORT = (RECORDED / "closure/pip-report.json").read_text()


def test_every_package_that_apt_would_install_is_found() -> None:
    found = closure.installed(URIS)
    assert len(found) == len(URIS.splitlines())
    assert ("zlib1g", "1:1.3.dfsg+really1.3.1-1+deb13u1", "amd64") in found
    assert ("python3-six", "1.17.0-1", "all") in found


def test_the_stanzas_give_hash_size_source_and_what_apt_needs() -> None:
    made = {p.name: p for p in closure.packages(SHOW, closure.installed(URIS))}
    libc = made["libc6"]
    assert libc.source == "glibc (2.41-12+deb13u4)"
    assert libc.filename == "libc6_2.41-12+deb13u4_amd64.deb"
    assert libc.control["Depends"] == "libgcc-s1"
    assert "Description" not in libc.control
    assert len(libc.sha256) == 64


def test_a_package_without_a_hash_is_an_error_that_names_it() -> None:
    text = "\n".join(line for line in SHOW.splitlines() if not line.startswith("SHA256"))
    with pytest.raises(StackError, match=r"no SHA-256 for libc6 2\.41"):
        closure.packages(text, closure.installed(URIS))


def test_what_is_requested_is_the_base_and_the_components(laptop: Plan) -> None:
    wanted = closure.requested(laptop)
    assert wanted[0] == "?essential"
    assert {"python3-torch", "openmpi-bin", "gfortran", "ca-certificates"} <= set(wanted)


def test_wheels_that_another_provider_supplies_are_left_out(laptop: Plan, catalogue: Catalogue) -> None:
    names = [w["metadata"]["name"] for w in json.loads(REPORT)["install"]]
    assert names == ["mpi4py", "numpy"]
    assert closure.wheels(REPORT, laptop, catalogue) == ()


@pytest.mark.parametrize("report", ["", "{}", '{"install": [{}]}', "[]"])
def test_a_report_that_is_not_pips_is_an_error(laptop: Plan, catalogue: Catalogue, report: str) -> None:
    with pytest.raises(StackError, match="pip's report"):
        closure.wheels(report, laptop, catalogue)
