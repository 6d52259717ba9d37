from __future__ import annotations

import subprocess
import sys

import pytest

from stack.errors import ExitCode, StackError
from stack.host import namespace
from tests.command import ROOT

WHOLE = "         0          0 4294967295\n"
RANGE = "         0       1001          1\n         1     100000      65536\n"
ALONE = "         0       1001          1\n"


@pytest.mark.parametrize("maps", [WHOLE + WHOLE, RANGE + RANGE])
def test_a_range_that_holds_nobody_will_do(maps: str) -> None:
    assert namespace.reaches(maps)


@pytest.mark.parametrize("maps", ["", ALONE + ALONE, RANGE + ALONE, ALONE + RANGE, "1 100000 65536\n" * 2])
def test_fewer_ids_will_not(maps: str) -> None:
    assert not namespace.reaches(maps)


def test_what_was_found_works() -> None:
    try:
        prefix = namespace.find()
    except StackError as error:
        assert error.exit_code is ExitCode.HOST
        pytest.skip(f"this machine gives no range of ids: {error}")
    assert prefix in namespace.candidates()
    done = subprocess.run([*prefix, "id", "-u"], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"


def test_root_over_one_id_is_told() -> None:
    if subprocess.run(["unshare", "-Ur", "true"], capture_output=True, check=False).returncode:
        pytest.skip("user namespaces are not allowed here; allow them and run `make test`")
    script = "from stack.host import namespace; namespace.find()"
    words = ["unshare", "-Ur", sys.executable, "-c", script]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "gives 1 user and group ids" in done.stderr
    assert "/etc/subuid" in done.stderr
