from __future__ import annotations

from stack.buildroot import Bind, Room, rootfs
from stack.plan import Plan

ROOM = Room(
    ("unshare", "--pid"), "/b/my root", (Bind("/h/$(id)", "/sovstack/mirror"), Bind("/h/w", "/w", True)), 1767225600
)


def test_a_program_in_the_root_sees_our_variables_and_no_network() -> None:
    argv = ROOM.command(("make", "-j", "2"), "build", {"MORE": "1"}).argv
    assert argv[:6] == ("unshare", "--pid", "unshare", "--uts", "--net", "sh")
    assert argv[-3:] == ("make", "-j", "2")
    variables = argv[argv.index("-i") + 1 : -3]
    assert {"SOURCE_DATE_EPOCH=1767225600", "MORE=1"} < {*variables}


def test_paths_reach_the_shell_as_arguments_alone() -> None:
    argv = ROOM.command(("true",), "x").argv
    script = argv[argv.index("-c") + 1]
    assert "my root" not in script and "$(id)" not in script
    start = argv.index("enter")
    assert argv[start + 1 : argv.index("--")] == (
        *("/b/my root", "ro", "/h/$(id)", "/sovstack/mirror"),
        *("rw", "/h/w", "/w"),
    )


def test_the_build_root_is_made_of_the_named_packages_alone(laptop: Plan) -> None:
    assert laptop.container
    made = rootfs("/usr/bin/mmdebstrap", ("unshare",), laptop.container, ["gcc=4:14.2.0-1", "make=4.4"], "amd64",
                  1767225600, "/b/my work", "/b/root")  # fmt: skip
    assert made.argv[:2] == ("unshare", "/usr/bin/mmdebstrap")
    assert "--include=gcc=4:14.2.0-1,make=4.4" in made.argv
    assert made.argv[-3:] == ("", "/b/root", "deb [trusted=yes] copy:/b/my%20work/repo ./")
    assert not [word for word in made.argv if "://" in word]
    assert "--skip=check/qemu" not in made.argv


def test_an_emulated_build_root_is_not_asked_for_a_program_that_few_have(laptop: Plan) -> None:
    container = laptop.container
    made = rootfs("mmdebstrap", ("unshare",), container, ["gcc=1"], "riscv64", 0, "/w", "/root", emulated=True)
    assert "--skip=check/qemu" in made.argv


def test_a_check_shares_the_network_and_what_the_kernel_says() -> None:
    room = Room((), "/r", (), 0, shares=True)
    argv = room.command(("true",), "x").argv
    assert argv[:3] == ("unshare", "--uts", "sh") and "--net" not in argv
    assert '"$root/sys"' in argv[4]
    assert "/sys" not in ROOM.command(("true",), "x").argv[argv.index("-c") + 3]
