"""In the subject: this process as one rank of `torch.distributed`: a launcher's, or one of several started here."""

import datetime
import hashlib
import os
import re
import socket
import subprocess
import sys
import traceback
from pathlib import Path

# What tells each process its rank, how many there are, and its rank on this node: the suite or torchrun, Open MPI, PMI.
LAUNCHERS = (
    ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
    ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"),
)
LAUNCHED = "SOVSTACK_LAUNCHED"  # set by the suite where its launcher starts this program, once per rank
MEETING = "SOVSTACK_MEETING"  # set where this program starts itself again for every rank: where they meet
SECONDS = 120  # after which a rank that waits for another gives up


def launched(env):
    """(rank, how many, rank on this node) as the launcher says; None where this program starts its ranks itself.

    Rank variables alone prove nothing: a job of a scheduler has them without a launcher too.
    """
    if not env.get(LAUNCHED):
        return None
    for rank, size, local in LAUNCHERS:
        if rank in env and size in env:
            return int(env[rank]), int(env[size]), int(env.get(local, env[rank]))
    raise RuntimeError(f"started by a launcher, which says no rank: looked for {', '.join(n[0] for n in LAUNCHERS)}")


def first_host(nodes):
    """The first of a scheduler's list of nodes: `gpu[007-009,12],login` -> `gpu007`."""
    head, inside, rest = re.match(r"([^\[,]*)(?:\[([^\]]*)\])?([^,]*)", nodes).groups()
    return head + re.split("[-,]", inside or "")[0] + rest


def meeting(env, resolve=socket.gethostbyname):
    """Where ranks meet, as an init method: those of a launcher on the first node, at a port that the job gives."""
    if env.get(MEETING):
        return env[MEETING]
    nodes = first_host(env.get("SOVSTACK_NODES", ""))
    hosts = [env.get("MASTER_ADDR", ""), nodes, env.get("SOVSTACK_LAUNCHER", "")]
    job = hashlib.sha256(env.get("SOVSTACK_JOB", "").encode()).hexdigest()
    port = env.get("MASTER_PORT") or 20000 + int(job, 16) % 12000
    for host in filter(None, hosts):
        try:
            # Builds without libuv refuse it, and it is the default.
            return f"tcp://{resolve(host)}:{port}?use_libuv=0"
        except OSError:
            continue
    raise RuntimeError(f"no node to meet at: none of {[h for h in hosts if h]} has an address (set MASTER_ADDR)")


def join(backend, rank, size, method):
    """Enter the group. MPI knows ranks itself."""
    import torch.distributed as dist

    patience = datetime.timedelta(seconds=SECONDS * int(os.environ.get("SOVSTACK_PATIENCE", "1")))
    if backend == "mpi":
        dist.init_process_group("mpi", timeout=patience)
        return dist.get_rank(), dist.get_world_size()
    dist.init_process_group(backend, init_method=method, rank=rank, world_size=size, timeout=patience)
    return rank, size


def devices():
    """How many accelerators PyTorch sees, asked of another process: one that has looked may not fork any more."""
    argv = [sys.executable, "-c", "import torch; print(torch.cuda.device_count())"]
    said = subprocess.run(argv, capture_output=True, text=True, check=False).stdout.split()
    return int(said[-1]) if said else 0


def run(count, work, backend="gloo", *, apart=False):
    """`work(rank, size, local rank)` in every rank; returns the exit status.

    Without a launcher the ranks are forked, after the library was loaded once; `apart`: this program is started again
    for each, since PyTorch crashed in forks under QEMU. A rank ends at once, whether it failed or not: whatever runs at
    an interpreter's end would wait for others.
    """
    told = launched(os.environ)
    if backend == "mpi":
        status = _ended(lambda: _joined("mpi", 0, 0, "", work, int(told[2]) if told else 0))
        return os._exit(status) if status else 0
    if told:
        os._exit(_ended(lambda: _joined(backend, told[0], told[1], meeting(os.environ), work, told[2])))
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    store = Path.cwd() / "store"
    store.unlink(missing_ok=True)
    method = f"file://{store}"
    if apart:
        return max(_started(count, method))
    return max(_forked(count, lambda rank: _joined(backend, rank, count, method, work, rank)))


def _forked(count, body):
    children = []
    for rank in range(count):
        pid = os.fork()
        if pid == 0:  # nothing of the parent's own ending happens in a forked rank
            os._exit(_ended(lambda me=rank: body(me)))
        children.append(pid)
    return [abs(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])) for pid in children]


def _started(count, method):
    """The ranks as this program with its own arguments, by which it knows its rank."""
    told = {**os.environ, LAUNCHED: "1", MEETING: method, "WORLD_SIZE": str(count)}
    ranks = [{**told, "RANK": str(n), "LOCAL_RANK": str(n)} for n in range(count)]
    children = [subprocess.Popen([sys.executable, *sys.argv], env=env) for env in ranks]
    return [abs(child.wait()) for child in children]


def _joined(backend, rank, size, method, work, local):
    import torch.distributed as dist

    rank, size = join(backend, rank, size, method)
    work(rank, size, local)
    dist.barrier()
    if backend == "mpi":
        dist.destroy_process_group()  # gloo's hangs now and then; whoever is not in MPI ends without a word


def _ended(body):
    try:
        body()
        status = 0
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status
