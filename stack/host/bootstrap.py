"""Make the virtual environment that the program runs in: `python3 stack/host/bootstrap.py FOLDER [extras]`.

The standard library alone; run by the Makefile before anything is installed. A second run with nothing changed does
nothing. A killed one leaves an environment without its stamp, and that is made anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
NEEDS = ROOT / "stack/data/host.yaml"
STAMP = "sovstack-stamp.json"
DOCUMENTS = ("containers", "environments", "profiles", "recipes", "stack")  # folders of what is read beforehand
LACKS = 3  # exit code: the machine lacks something
_OFFLINE = re.compile(
    r"NewConnectionError|NameResolutionError|Failed to establish|Temporary failure|ConnectTimeout|Connection refused"
    r"|Network is unreachable|Connection timed out|Could not (resolve|connect)|ProxyError"
)
_NOTHING = re.compile(r"the requirement (\S+) \(from versions: none\)")
_FULL = re.compile(r"No space left on device|enough free space")
_STEP = re.compile(
    r"^\s*(Collecting \S+|Downloading \S+|Building wheel for \S+|Installing collected packages|WARNING: Retrying(?= ))"
)


def main(arguments: list[str]) -> int:
    """Exit code 0 when the environment is ready, 2 for wrong arguments, 3 when the machine lacks something."""
    if not 1 <= len(arguments) <= 2:
        print("usage: bootstrap.py FOLDER [extra,extra]", file=sys.stderr)
        return 2
    folder, extras = Path(arguments[0]).absolute(), sorted(set(filter(None, ",".join(arguments[1:]).split(","))))
    needs = json.loads(NEEDS.read_text())
    python = interpreter(tuple(needs["python"]["minimum"]))
    if python is None:
        wanted = ".".join(map(str, needs["python"]["minimum"]))
        return lacks(f"Python {wanted} or newer is needed; this is {sys.version.split()[0]}", apt_line(needs))
    if python != sys.executable:
        os.execv(python, [python, __file__, *arguments])  # noqa: S606 - the same program in a newer Python
    with (ROOT / "pyproject.toml").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second `make` waits here
        return 0 if current(folder, extras) else make(folder, extras, needs)


def interpreter(minimum: tuple[int, ...]) -> str | None:
    """This Python when it is new enough, else another one on PATH."""
    if sys.version_info[:2] >= minimum:
        return sys.executable
    names = [f"python{minimum[0]}.{minor}" for minor in range(minimum[1] + 4, minimum[1] - 1, -1)]
    return next((found for name in names if (found := shutil.which(name))), None)


def fingerprint() -> str:
    """Digest of what decides an environment: the project's metadata and version, what it needs, and this Python."""
    state = hashlib.sha256(f"{sys.version}\n{sys.base_prefix}\n{ROOT}\n".encode())
    for name in ("pyproject.toml", "stack/__init__.py", "stack/data/host.yaml"):
        state.update((ROOT / name).read_bytes())
    return state.hexdigest()


def stamp(folder: Path) -> dict[str, object]:
    """What a completed run left; empty when there was none."""
    try:
        made = json.loads((folder / STAMP).read_text())
    except (OSError, ValueError):
        return {}
    return made if isinstance(made, dict) else {}


def current(folder: Path, extras: list[str]) -> bool:
    """Whether nothing has to be done."""
    made = stamp(folder)
    known = made.get("extras")
    same = made.get("fingerprint") == fingerprint() and (folder / "bin/python").exists()
    return same and isinstance(known, list) and set(extras) <= set(known)


def make(folder: Path, extras: list[str], needs: dict[str, Any]) -> int:
    """Create or refresh the environment; the stamp is taken away first and put back last."""
    made = stamp(folder)
    known = made.get("extras")
    extras = sorted({*extras, *(known if isinstance(known, list) else [])})
    usable = bool(made) and made.get("python") == sys.version and (folder / "bin/python").exists()
    (folder / STAMP).unlink(missing_ok=True)
    if not usable:
        code = create(folder, needs)
        if code:
            return code
    code = (prepare(needs) if "dev" in extras else 0) or install(folder, extras)
    if code == 0:
        done = {"fingerprint": fingerprint(), "extras": extras, "python": sys.version}
        partial = folder / f".{STAMP}.partial"
        partial.write_text(json.dumps(done))
        partial.replace(folder / STAMP)
    return code


def create(folder: Path, needs: dict[str, Any]) -> int:
    """An empty environment; as root, the distribution's packages for it are installed first when they are missing."""
    if not has_venv():
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            return lacks("this Python cannot make virtual environments (no venv or ensurepip)", apt_line(needs))
        code = apt_install(needs["python"]["packages"])
        if code:
            return code
        if not has_venv():
            return lacks("this Python still cannot make virtual environments", apt_line(needs))
        # The packages may have brought a newer Python: go on as that one, or the stamp would name the old.
        os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606 - the same program, anew
    say(f"making {folder.name} with Python {sys.version.split()[0]}")
    if folder.exists():
        shutil.rmtree(folder)
    code, output = stream([sys.executable, "-m", "venv", str(folder)])
    return explained(code, output, "make the virtual environment") if code else 0


def has_venv() -> bool:
    """Whether `python -m venv` can work; asked of a new process, so that a package installed meanwhile counts."""
    done = subprocess.run([sys.executable, "-c", "import venv, ensurepip"], capture_output=True, check=False)
    return done.returncode == 0


def prepare(needs: dict[str, Any]) -> int:
    """As root, install what the tests use of the distribution; others are told by each test that has to be skipped."""
    wanted = {**{n: i["package"] for n, i in needs["programs"].items()}, **needs["development"]}
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    absent = sorted({str(package) for name, package in wanted.items() if not shutil.which(name, path=path)})
    return apt_install(absent) if absent and os.geteuid() == 0 and shutil.which("apt-get") else 0


def missing(needs: dict[str, Any]) -> list[str]:
    """Every package of which this machine lacks the program, and those of Python."""
    found = [] if has_venv() else list(needs["python"]["packages"])
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    for name, item in needs["programs"].items():
        wanted = not item.get("bundled") and (item.get("users", "all") == "all" or os.geteuid() != 0)
        if wanted and not shutil.which(name, path=path):
            found.append(item["package"])
    return sorted(set(found))


def apt_line(needs: dict[str, Any]) -> str:
    """The one line for someone who may install packages."""
    packages = missing(needs) or needs["python"]["packages"]
    return f"as root: apt-get update && apt-get install --no-install-recommends {' '.join(packages)}"


def apt_install(packages: list[str]) -> int:
    """Install packages as root."""
    say(f"installing {' '.join(packages)}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    options = ["-o", "Acquire::Retries=1", "-o", "APT::Update::Error-Mode=any"]
    for words in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        code, output = stream(["apt-get", *options, *words], env)
        if code:
            return explained(code, output, f"install {' '.join(packages)}")
    return 0


def install(folder: Path, extras: list[str]) -> int:
    """Install the project, so that its files stay in the checkout. The user's pip settings rule."""
    what = f"{ROOT}[{','.join(extras)}]" if extras else str(ROOT)
    say("installing the program and its Python packages")
    pip = [str(folder / "bin/python"), "-m", "pip", "install", "--progress-bar", "off", "--no-input"]
    code, output = stream([*pip, "--editable", what])
    if code:
        return explained(code, output, "install the Python packages")
    return made_quick(str(folder / "bin/python"))


def made_quick(python: str) -> int:
    """Compile the program and read its documents, so that the first command is as quick as later ones."""
    documents = sorted(str(path) for folder in DOCUMENTS for path in (ROOT / folder).rglob("*.yaml"))
    for words in (["compileall", "-q", "stack"], ["stack.host.parsed", *documents]):
        code, output = stream([python, "-m", *words])
        if code:
            return explained(code, output, "prepare the program")
    return 0


def stream(argv: list[str], env: dict[str, str] | None = None) -> tuple[int, str]:
    """Run, and show its steps as they happen; its status and all it printed."""
    lines = []
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, text=True, cwd=ROOT)
    assert child.stdout is not None  # noqa: S101 - PIPE
    for line in child.stdout:
        lines.append(line)
        step = _STEP.match(line)
        if step:
            say(f"  {step[1].removeprefix('WARNING: ')}")
    return child.wait(), "".join(lines)


def explained(code: int, output: str, purpose: str) -> int:
    """Say why it failed, in one message."""
    nothing = _NOTHING.search(output)
    if nothing and not _OFFLINE.search(output):
        what = f"could not {purpose}: the package index cannot be reached, or it has no {nothing[1]}"
        return lacks(what, "check the network, and pip's settings")
    if _OFFLINE.search(output):
        return lacks(
            f"could not {purpose}: the package index cannot be reached", "check the network, and pip's settings"
        )
    if _FULL.search(output):
        return lacks(f"could not {purpose}: the disk is full", "free some space and run the same command again")
    last = "\n".join("    " + line for line in output.splitlines()[-12:])
    return lacks(f"could not {purpose} (status {code})\n{last}", "")


def lacks(what: str, remedy: str) -> int:
    """One message on standard error, and the exit code."""
    print(f"error: {what}" + (f"\n  {remedy}" if remedy else ""), file=sys.stderr)
    return LACKS


def say(text: str) -> None:
    """A line of progress."""
    print(text, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as problem:
        sys.exit(
            lacks(f"{problem.filename or 'the file system'}: {problem.strerror}", "make room, or a folder writable")
        )
