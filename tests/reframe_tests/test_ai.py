"""Training, collectives and the accelerators' programs: on PyTorch's CPU, as they are and with something broken."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import pytest

from stack.host import checks
from tests.reframe_tests.programs import SUITE, load

DRIVER = Path(__file__).with_name("broken.py")
OPERATORS = Path(__file__).with_name("wrong_operators.py")
Said = dict[str, dict[str, float]]


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("gpu[007-009,12]", "gpu007"),
        ("a1,b2", "a1"),
        ("n[3,5]", "n3"),
        ("r[1-2]n", "r1n"),
        ("login", "login"),
        ("", ""),
    ],
)
def test_the_first_of_a_list_of_nodes(monkeypatch: pytest.MonkeyPatch, nodes: str, first: str) -> None:
    assert load(monkeypatch, "lib/ranks.py").first_host(nodes) == first


def test_ranks_of_a_job_are_no_ranks_of_a_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    launched = load(monkeypatch, "lib/ranks.py").launched
    ours = {"RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "0"}
    assert launched(ours) is None
    assert launched({**ours, "SOVSTACK_LAUNCHED": "1"}) == (1, 4, 0)
    assert launched({"PMI_RANK": "3", "PMI_SIZE": "4", "SOVSTACK_LAUNCHED": "1"}) == (3, 4, 3)
    with pytest.raises(RuntimeError, match="says no rank"):
        launched({"SOVSTACK_LAUNCHED": "1"})


def test_ranks_meet_where_a_name_has_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    meeting = load(monkeypatch, "lib/ranks.py").meeting

    def resolve(host: str) -> str:
        if not host.startswith(("10.", "known")):
            raise OSError(host)
        return "10.0.0.7"

    job = {"SOVSTACK_NODES": "known[1-2]", "SOVSTACK_LAUNCHER": "10.0.0.9", "SOVSTACK_JOB": "12.0"}
    assert meeting({**job, "MASTER_PORT": "29500"}, resolve) == "tcp://10.0.0.7:29500?use_libuv=0"
    assert meeting({**job, "SOVSTACK_NODES": "lost[1-2]"}, resolve) == meeting(job, resolve)
    assert meeting(job, resolve) != meeting({**job, "SOVSTACK_JOB": "12.1"}, resolve)
    with pytest.raises(RuntimeError, match="set MASTER_ADDR"):
        meeting({"MASTER_ADDR": "lost"}, resolve)


def test_ranks_that_were_started_apart_meet_where_they_were_told(monkeypatch: pytest.MonkeyPatch) -> None:
    ranks = load(monkeypatch, "lib/ranks.py")
    assert ranks.meeting({ranks.MEETING: "file:///x/store", "MASTER_ADDR": "elsewhere"}) == "file:///x/store"


def test_every_rank_is_this_program_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ranks = load(monkeypatch, "lib/ranks.py")
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys\nnames = ('SOVSTACK_LAUNCHED', 'RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'SOVSTACK_MEETING')\n"
        "open(sys.argv[1] + os.environ['RANK'], 'w').write(' '.join(os.environ[n] for n in names))\n"
        "sys.exit(3 if os.environ['RANK'] == '1' else 0)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    monkeypatch.setattr(sys, "argv", [str(program), "said"])
    assert ranks.run(2, lambda *_: None, apart=True) == 3
    said = [(tmp_path / f"said{n}").read_text() for n in range(2)]
    assert said == [f"1 {n} {n} 2 file://{tmp_path}/store" for n in range(2)]


def test_checks_of_accelerators_are_tagged_and_ask_for_one() -> None:
    text = (SUITE / "gpu/gpu.py").read_text()
    limits = {name: check for name, check in checks.limits().checks.items() if name.startswith("Gpu")}
    assert len(limits) == text.count('"accelerator"') == text.count("(SuiteCheck)") == 5
    assert all("gpu" in check.needs for check in limits.values())


def driven(driver: Path, words: tuple[str, ...], image: Path, apptainer: str, work: Path) -> Said:
    """What every program printed that a driver ran in the image, by the driver's name for how it was run."""
    binds = [f"{SUITE}:/sovstack/suite:ro", f"{driver}:/sovstack/driver.py:ro", f"{work}:/sovstack/work"]
    argv = [apptainer, "-q", "exec", "--containall", "--env", "OMP_NUM_THREADS=1,PYTHONDONTWRITEBYTECODE=1",
            *(word for bind in binds for word in ("--bind", bind)), "--pwd", "/sovstack/work", str(image),
            "python3", "/sovstack/driver.py", "/sovstack/suite", *words]  # fmt: skip
    done = subprocess.run(argv, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    found: Said = {}
    for line in done.stdout.splitlines():
        if line.startswith("== "):
            here = found.setdefault(line[3:], {})
        elif line.startswith("{"):
            message: dict[str, Any] = json.loads(line)
            if message.get("sovstack") == "metric":
                here[message["name"]] = message["value"]
            elif message.get("sovstack") in ("done", "fault"):
                here[message["sovstack"]] = 1.0
            elif "aware" in message:
                here.update({"aware": message["aware"], "wrong": message["wrong"][0], "claims": message["claims"]})
                here["paths"] = message["paths"]
    return found


@pytest.fixture(scope="module")
def said(image: Path, apptainer: str, tmp_path_factory: pytest.TempPathFactory) -> Said:
    return driven(DRIVER, (), image, apptainer, tmp_path_factory.mktemp("broken"))


@pytest.fixture(scope="module")
def operators(image: Path, apptainer: str, tmp_path_factory: pytest.TempPathFactory) -> Said:
    parameters = checks.limits().checks["TorchOperators"].parameters
    words = json.dumps({"float64": parameters["float64"]}), "exp", "log", "erf", "tanh", "gelu", "div", "sqrt"
    return driven(OPERATORS, words, image, apptainer, tmp_path_factory.mktemp("operators"))


def beyond(said: Said, run: str, check: str) -> set[str]:
    """Names of the numbers that a check would not accept; not-a-number is never accepted."""
    limits = checks.limits().checks[check].metrics
    return {name for name, value in said[run].items()
            if name in limits and (bound := limits[name].bound) is not None and not value <= bound}  # fmt: skip


@pytest.mark.image
@pytest.mark.parametrize(
    ("run", "check", "wrong"),
    [
        ("collectives", "TorchAllReduce", set()),
        ("collectives in fp32", "TorchAllReduce", {"allreduce_wrong", "allreduce_error_fp64"}),
        ("collectives wrong on rank 1", "TorchAllReduce",
         {"allreduce_wrong", "allreduce_error_fp64", "allreduce_error_fp32"}),
        ("collectives that lose a value", "TorchAllReduce", {"moved_wrong"}),
        ("training", "TorchTrainingAmp", set()),
        ("training in fp32", "TorchTrainingAmp", {"not_in_bfloat16"}),
        ("training apart", "TorchTrainingAmp", {"parameters_differ"}),
        ("training that stands still", "TorchTrainingAmp", {"loss_ratio"}),
        ("training alone", "TorchTrainingAlone", set()),
        ("training from another seed", "TorchTrainingAlone", {"repeat_differs"}),
        ("products", "GpuGemm", set()),
        ("products of fp64 in fp32", "GpuGemm", {"fp64_exact", "fp64_error", "fp64_error_wide"}),
        ("products of fp32 in TF32", "GpuGemm", {"fp32_exact", "fp32_error", "fp32_error_wide"}),
        ("products by fixed slices", "GpuGemm", {"fp64_exact", "fp64_error_wide"}),
        ("products of 16 bits in fp8", "GpuGemm", {"fp16_exact", "bf16_exact"}),
        ("products with not-a-number", "GpuGemm",
         {"fp64_exact", "fp32_exact", "fp16_exact", "bf16_exact", "fp64_error", "fp64_error_wide", "fp32_error",
          "fp32_error_wide"}),
        ("products wrong where large", "GpuGemm", {"fp64_exact", "fp64_error", "fp64_error_wide"}),
        ("products of a device that was measured", "GpuGemm", {"fp16_calibrated"}),
        ("memory", "GpuMemory", set()),
        ("memory with a wrong value", "GpuMemory", {"stream_wrong"}),
    ],
)  # fmt: skip
def test_what_is_broken_is_caught_and_nothing_else(said: Said, run: str, check: str, wrong: set[str]) -> None:
    assert beyond(said, run, check) == wrong
    limits = checks.limits().checks[check].metrics
    if not wrong:
        assert said[run]["done"] == 1.0
        assert {name for name, limit in limits.items() if not limit.optional} <= set(said[run])
    assert set(said[run]) - {"done"} <= set(limits)


@pytest.mark.image
@pytest.mark.parametrize(
    ("run", "wrong"),
    [
        ("as it is", set()),
        ("fp64 products in fp32 where large", {"matmul_exact"}),
        ("fp32 products in TF32 where large", {"matmul_exact"}),
        *((name, {"elementwise_float64"}) for name in ("exp", "log", "erf", "tanh", "gelu")),
        *((name, {"elementwise_float64", "not_nearest"}) for name in ("div", "sqrt")),
    ],
)
def test_an_operator_of_a_shorter_precision_is_caught(operators: Said, run: str, wrong: set[str]) -> None:
    assert beyond(operators, run, "TorchOperators") == wrong
    assert operators[run]["done"] == 1.0
    if run in ("exp", "div"):
        assert operators[run]["elementwise_float64"] > 1e6


@pytest.mark.parametrize(
    ("name", "given", "digits"),
    [
        ("exp", (1.0,), "2.7182818284590452353602874713526624977572470937"),
        ("expm1", (0.0009765625,), "0.00097703949241653524284529261160650646585162918174"),
        ("log", (2.0,), "0.6931471805599453094172321214581765680755001343603"),
        ("log1p", (1.0,), "0.6931471805599453094172321214581765680755001343603"),
        ("sin", (1.0,), "0.8414709848078965066525023216302989996225630607984"),
        ("sin", (-6.0,), "0.2794154981989258728115554466118947596279948643182"),
        ("cos", (1.0,), "0.5403023058681397174009366074429766037323104206179"),
        ("tanh", (1.0,), "0.7615941559557648881194582826047935904127685972579"),
        ("erf", (1.0,), "0.8427007929497148693412206350826092592960669979663"),
        ("erf", (-3.0,), "-0.9999779095030014145586272238704176796201522929126"),
        ("pow", (2.0, 0.5), "1.4142135623730950488016887242096980785696718753769"),
        ("sqrt", (2.0,), "1.4142135623730950488016887242096980785696718753769"),
        ("sigmoid", (0.0,), "0.5"),
        ("silu", (0.0,), "0"),
        ("relu", (-1.0,), "0"),
        ("gelu", (1.0,), "0.8413447460685429485852325456320379224779129667266"),
    ],
)
def test_the_references_have_50_digits(
    monkeypatch: pytest.MonkeyPatch, name: str, given: tuple[float, ...], digits: str
) -> None:
    np: Any = pytest.importorskip("numpy", reason="needs NumPy: pip install 'sovereign-stack[dev]'")
    references = load(monkeypatch, "ai/src/references.py")
    with localcontext() as context:
        context.prec = references.CARRIED
        got = references.FUNCTIONS[name](*map(Decimal, given))
        assert abs(got - Decimal(digits)) <= abs(Decimal(digits)) * Decimal("1e-45")
    high, low = references.reference(name, [np.array([x]) for x in given])
    assert (high[0], abs(low[0]) <= abs(high[0]) * 2.0**-53) == (float(digits), True)


def test_every_operator_has_a_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numpy", reason="needs NumPy: pip install 'sovereign-stack[dev]'")
    listed = re.findall(r'^    \("(\w+)", ', (SUITE / "ai/src/operators.py").read_text(), re.M)
    assert listed == list(load(monkeypatch, "ai/src/references.py").FUNCTIONS)


@pytest.mark.image
def test_without_a_device_a_program_does_not_come_to_its_end(said: Said) -> None:
    assert said["no device"] == {}


@pytest.mark.image
def test_an_mpi_is_asked_before_it_gets_buffers_of_a_device(said: Said) -> None:
    mpi: dict[str, Any] = said["mpi"]
    assert mpi["aware"] == [1, 0, 1, -1]
    assert mpi["claims"] == [True, False]
    assert mpi["paths"] == ["/usr/lib/libmpi.so.40", "/usr/lib/libmpi_gnu.so", "/usr/lib/libmpich.so.12"]
    assert mpi["wrong"] == 100_000
