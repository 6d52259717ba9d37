"""What Spack says while it installs: packages, times, and why one could not be installed."""

from __future__ import annotations

from stack import source_output
from stack.source_output import Step

OUTPUT = """\
[e] phz4bik gcc@14.2.0 /usr (0s)
[ ] i62risn blis@2.0 build (11s)
[+] pgobclr py-setuptools@82.0.1 /sovstack/tree/[padded-to-128-chars]/linux-x86_64_v3/py-setuptools-82.0.1-pgob (2s)
[+] i62risn blis@2.0 /sovstack/tree/[padded-to-128-chars]/linux-x86_64_v3/blis-2.0-i62risniszlbks6unns7m4gl7 (8m38s)
[ ] kgvfyjm gcc-runtime@14.2.0 relocating (1h2m3s)
==> In environment /sovstack/env (6 root specs)
"""
FAILED = """\
  spack.error.FetchError: All fetchers failed for spack-stage-bzip2-1.0.8-q5el35kh2pdgddudiia4aqzjq4pxe7km
      sha256 checksum failed for /sovstack/work/stage/root/spack-stage-numactl-2.0.19-p5itegxjq5j/v2.0.19.tar.gz
==> Error: The following packages failed to install:
bzip2@1.0.8/q5el35kh2pdgddudiia4aqzjq4pxe7km: /sovstack/work/stage/root/spack-stage-bzip2-1.0.8-q5-yayn3x1b.log
numactl@2.0.19/p5itegxjq5j7i7rpmmnpusbneakw5hrx: /sovstack/work/stage/root/spack-stage-numactl-2.0.19-x1b.log
py-numpy@2.3.5/2iwhrxeh4py7k5gwyx4o5esh4jzzuuoc: /sovstack/work/stage/root/spack-stage-py-numpy-2.3.5-q2mi.log
==> Error: Expected InstallError to include the associated package
"""


def test_what_spack_says_becomes_steps_and_times() -> None:
    steps = [s for s in map(source_output.step, OUTPUT.splitlines()) if s]
    assert steps[0] == Step("blis@2.0", "build", 11)
    assert [str(s) for s in steps] == [
        "blis@2.0: build",
        "py-setuptools@82.0.1 in 2 s",
        "blis@2.0 in 518 s",
        "gcc-runtime@14.2.0: relocating",
    ]
    assert source_output.times(OUTPUT) == {"py-setuptools@82.0.1": 2, "blis@2.0": 518}


def test_a_failure_says_why_for_each_package() -> None:
    assert source_output.failures(FAILED) == {
        "bzip2@1.0.8": "the mirror does not have its source",
        "numactl@2.0.19": "what the mirror has for its source is something else",
        "py-numpy@2.3.5": "it does not build",
    }
    assert source_output.failures("Error: no such command\n") == {}
