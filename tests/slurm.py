"""A Slurm of two nodes on loopback, for tests: its own munge, controller and node daemons, nothing shared with the
machine's. All of it lives in a process namespace that ends with the test run, however that ends."""

from __future__ import annotations

import ctypes
import os
import pwd
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import pytest

DAEMONS = ("munged", "slurmctld", "slurmd", "unshare")
CLIENTS = ("sbatch", "srun", "squeue", "sinfo", "scancel", "scontrol")
REMEDY = "on Debian: `apt-get install slurm-wlm munge`, then `pytest tests/test_slurm.py`"
PATIENCE = 20  # seconds until both nodes are idle; 1 to 2 are usual
SOCKET_PATH = 100  # bytes of a path that Linux takes for a socket, with some to spare
_PR_SET_PDEATHSIG = 1

# Slurm's steps leave their daemon's process group: only a process namespace ends them all with the first process.
_PROCESSES = ("--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
NAMESPACES = (("unshare", *_PROCESSES), ("unshare", "--user", "--map-current-user", *_PROCESSES))


class DidNotStartError(Exception):
    """Slurm is here and does not come up; the text says why."""


def program(name: str) -> str | None:
    """Absolute path of a program; the daemons are not on an ordinary user's PATH."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def missing() -> tuple[str, ...]:
    """Which of the programs are not installed."""
    return tuple(name for name in (*DAEMONS, *CLIENTS) if program(name) is None)


def _ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [s.getsockname()[1] for s in sockets]
    finally:
        for made in sockets:
            made.close()


def _namespace() -> tuple[str, ...]:
    for prefix in NAMESPACES:
        if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0:
            return prefix
    raise DidNotStartError("no process namespace can be made here")


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclass
class Cluster:
    """Started by `with`, ended by its pid. Every file is below `folder`."""

    folder: Path
    cpus: int = 4  # what each node says it has; nothing is bound to them
    nodes: tuple[str, ...] = ("n1", "n2")
    _first: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """What plain `sbatch`, `srun`, `squeue` and `sinfo` need to talk to this cluster."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def run(self, *argv: str | Path, cwd: Path | None = None, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command that talks to this cluster, with no word of a job that the tests may themselves run in."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "SBATCH", "SQUEUE", "SINFO"))}
        return subprocess.run(
            [str(a) for a in argv],
            cwd=cwd or self.folder,
            env=clean | self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    @property
    def pid(self) -> int:
        """The process whose end ends the cluster."""
        assert self._first is not None
        return self._first.pid

    def __enter__(self) -> Cluster:
        try:
            self._write()
            self._start()
            self._wait_until_idle()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def stop_controller(self) -> None:
        """End the controller alone; the nodes stay."""
        assert self.run("scontrol", "shutdown", "slurmctld").returncode == 0
        deadline = time.monotonic() + PATIENCE
        while not self._ended():
            assert time.monotonic() < deadline, "the controller did not end"
            time.sleep(0.05)

    def _write(self) -> None:
        if len(os.fsencode(self.folder / "munge.socket")) > SOCKET_PATH:
            raise DidNotStartError(f"{self.folder} is too long for the path of a socket")
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("state", *(f"{kind}-{node}" for kind in ("spool", "tmp") for node in self.nodes)):
            (self.folder / name).mkdir()
        key = self.folder / "munge.key"
        key.touch(0o600)
        key.write_bytes(os.urandom(1024))
        (self.folder / "slurm.conf").write_text(configuration(self.folder, self.nodes, self.cpus, _ports(3)))
        (self.folder / "cgroup.conf").write_text(f"CgroupPlugin={_cgroup_plugin()}\n")
        (self.folder / "first.sh").write_text(_first_process(self.folder, self.nodes))

    def _start(self) -> None:
        with (self.folder / "first.log").open("wb") as log:
            self._first = subprocess.Popen(
                [*_namespace(), "/bin/sh", str(self.folder / "first.sh")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - no thread of ours holds a lock here
            )

    def _wait_until_idle(self) -> None:
        assert self._first is not None
        deadline = time.monotonic() + PATIENCE
        while self._first.poll() is None and not self._ended() and time.monotonic() < deadline:
            if self.run("sinfo", "--noheader", "--format=%T %D").stdout.strip() == f"idle {len(self.nodes)}":
                return
            time.sleep(0.05)
        raise DidNotStartError(self._why())

    def _why(self) -> str:
        """What ended, or that nothing did, and the last error in the logs of that."""
        ended = self._ended()
        only = "-".join(ended.split(" ended ")[0].split()) if ended else "*"
        found = []
        for log in sorted(self.folder.glob(f"{only}.log")):
            lines = log.read_text(errors="replace").splitlines()
            found += [line for line in lines if re.search(r"\b(error|fatal): ", line, re.IGNORECASE)][-1:]
        return "; ".join([ended.replace("\n", ", ") or f"not up within {PATIENCE} seconds", *found])

    def _ended(self) -> str:
        path = self.folder / "ended"
        return path.read_text().strip() if path.exists() else ""

    def _end(self) -> None:
        if self._first is not None:
            self._first.kill()  # its child is the namespace's first process, and goes with it
            self._first.wait()


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster that is up; skips the test, with the reason, where there can be none."""
    if absent := missing():
        pytest.skip(f"Slurm is not installed here (no {', '.join(absent)}); {REMEDY}")
    with ExitStack() as stack:
        why = []
        for attempt in ("first", "second"):  # another process may take a port between our look at it and Slurm's
            try:
                yield stack.enter_context(Cluster(folder / attempt))
                return
            except DidNotStartError as error:
                why.append(str(error))
        pytest.skip(f"Slurm does not come up here: {why[-1]}; mend that (logs: {folder}) and run this test again")


def _cgroup_plugin() -> str:
    """Nothing is confined; a node daemon that may find control groups itself needs systemd on some machines."""
    said = subprocess.run([str(program("slurmd")), "-V"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"(\d+)\.(\d+)", said)
    return "disabled" if found and (int(found[1]), int(found[2])) >= (23, 11) else "cgroup/v1"


def configuration(folder: Path, nodes: tuple[str, ...], cpus: int, ports: list[int]) -> str:
    """`slurm.conf`: one user, no accounting, every daemon on loopback."""
    user = pwd.getpwuid(os.geteuid()).pw_name
    settings = {
        "ClusterName": "loopback",
        "SlurmctldHost": "localhost(127.0.0.1)",
        "SlurmctldPort": ports[0],
        "SlurmUser": user,
        "SlurmdUser": user,
        "AuthType": "auth/munge",
        "AuthInfo": f"socket={folder}/munge.socket",
        "CredType": "cred/munge",
        "StateSaveLocation": f"{folder}/state",
        "SlurmdSpoolDir": f"{folder}/spool-%n",
        "SlurmctldPidFile": f"{folder}/slurmctld.pid",
        "SlurmdPidFile": f"{folder}/slurmd-%n.pid",
        "TmpFS": f"{folder}/tmp-%n",
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "JobAcctGatherType": "jobacct_gather/none",
        "AccountingStorageType": "accounting_storage/none",
        "MpiDefault": "none",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_CPU",
        "SchedulerParameters": "batch_sched_delay=0,sched_interval=1,bf_interval=1",
        "SlurmdParameters": "config_overrides",
        "ReturnToService": 2,
        "KillWait": 2,
        # Defaults that sites have, and that end tasks which still work unless a job says otherwise.
        "KillOnBadExit": 1,
        "WaitTime": 1,
        "MessageTimeout": 5,
    }
    lines = [f"{key}={value}" for key, value in settings.items()]
    lines += [
        f"NodeName={node} NodeAddr=127.0.0.1 Port={port} CPUs={cpus} RealMemory=1000"
        for node, port in zip(nodes, ports[1:], strict=True)
    ]
    lines.append(f"PartitionName=main Nodes={','.join(nodes)} Default=YES State=UP")
    return "\n".join(lines) + "\n"


def _first_process(folder: Path, nodes: tuple[str, ...]) -> str:
    """The namespace's first process: starts the daemons, notes the end of one, reaps what steps leave behind."""
    here = shlex.quote(str(folder))
    munged = (
        "munged --foreground --force --key-file=munge.key --socket=munge.socket --pid-file=munge.pid"
        " --log-file=munge.log --seed-file=munge.seed --num-threads=10"
    ).replace("=munge.", f"={here}/munge.")
    daemons = {
        "munged": munged,
        "slurmctld": "slurmctld -D -c",
        **{f"slurmd {node}": f"slurmd -D -N {node}" for node in nodes},
    }
    lines = [
        "PATH=$PATH:/usr/sbin:/sbin",
        f"export SLURM_CONF={here}/slurm.conf",
        f"cd {here} || exit 1",
        *(
            f'({command} >{name.replace(" ", "-")}.log 2>&1; echo "{name} ended with status $?" >>ended) &\n'
            + (f"until [ -S {here}/munge.socket ] || [ -e ended ]; do sleep 0.05; done" if name == "munged" else "")
            for name, command in daemons.items()
        ),
        "wait",
    ]
    return "\n".join(lines) + "\n"
