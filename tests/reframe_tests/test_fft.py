"""Fourier transforms: roots and bounds are right, wrong transforms are caught, FFTW's program too."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.reframe_tests.programs import SUITE, load

np: Any = pytest.importorskip("numpy", reason="needs NumPy: pip install 'sovereign-stack[dev]'")
FFT = np.fft.fft


@pytest.fixture
def transform(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load(monkeypatch, "fft/src/transform.py")


def ratios(transform: ModuleType) -> tuple[float, float, float]:
    report = transform.Report(io.StringIO())
    forward, back, energy = transform.compare(report, "fp64", np.complex128, 2.0**-53)
    return forward.value, back.value, energy.value


def test_roots_have_twice_the_precision(transform: ModuleType) -> None:
    high, low = transform.roots(8)
    whole = Fraction(high[1].real) + Fraction(low[1].real)
    assert abs(whole**2 - Fraction(1, 2)) < Fraction(1, 2**100)
    high, low = transform.roots(97)
    for h, rest in zip(high, low, strict=True):
        re, im = Fraction(h.real) + Fraction(rest.real), Fraction(h.imag) + Fraction(rest.imag)
        assert abs(re**2 + im**2 - 1) < Fraction(1, 2**100)
    np.testing.assert_allclose(high, np.exp(-2j * np.pi * np.arange(97) / 97), atol=1e-15)


def test_the_definition_agrees_with_exact_sums(transform: ModuleType) -> None:
    x = np.array([[3 + 1j], [5 - 2j], [-7 + 4j], [11 + 0j]])
    high, low = transform.defined(x)
    assert np.abs((high - np.array([[12 + 3j], [8 + 3j], [-20 + 7j], [12 - 9j]])) + low).max() < 1e-30


def test_the_bound_grows_with_the_logarithm(transform: ModuleType) -> None:
    u = 2.0**-53
    assert transform.bound(512, u) == pytest.approx(9 / 3 * transform.bound(8, u), rel=1e-12)
    assert 20 * u < transform.bound(8, u) < 30 * u


def test_an_honest_transform_passes(transform: ModuleType) -> None:
    assert all(0 < value < 0.5 for value in ratios(transform))


@pytest.mark.parametrize(
    ("wrong", "caught"),
    [
        (lambda x, **k: FFT(x.astype(np.complex64), **k).astype(np.complex128), (True, True, True)),
        (lambda x, **k: FFT(x, **k) * np.exp(1e-12j), (True, True, False)),  # a turn has the same energy
        (lambda x, **k: np.conj(FFT(x, **k)), (True, True, False)),
    ],
)
def test_a_wrong_transform_is_caught(
    transform: ModuleType, monkeypatch: pytest.MonkeyPatch, wrong: Any, caught: tuple[bool, ...]
) -> None:
    monkeypatch.setattr(np.fft, "fft", wrong)
    assert tuple(value > 1 for value in ratios(transform)) == caught


def test_integers_that_are_not_exact_are_counted(transform: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong() -> float:
        stream = io.StringIO()
        transform.integers(transform.Report(stream))
        return float(json.loads(stream.getvalue().splitlines()[0])["value"])

    assert wrong() == 0
    fftn = np.fft.fftn
    monkeypatch.setattr(np.fft, "fftn", lambda x: fftn(x.astype(np.complex64)))
    assert wrong() > 10


# FFTW's interface, by the definition of the transform; REAL is the precision in which it sums
STAND_IN = """
#include <complex.h>
#include <math.h>
#include <stdlib.h>
enum { FFTW_FORWARD = -1, FFTW_BACKWARD = 1, FFTW_ESTIMATE = 64, FFTW_PRESERVE_INPUT = 16 };
typedef struct { int n, sign; double complex *from, *to; } *fftw_plan;
static fftw_plan fftw_plan_dft_1d(int n, double complex *from, double complex *to, int sign, int flags) {
  fftw_plan plan = malloc(sizeof *plan);
  plan->n = n, plan->sign = sign, plan->from = from, plan->to = to;
  return (void)flags, plan;
}
static void fftw_execute(fftw_plan p) {
  for (int k = 0; k < p->n; ++k) {
    REAL re = 0, im = 0;
    for (int j = 0; j < p->n; ++j) {
      int turn = (int)((long)j * k % p->n);
      double angle = 2 * M_PI * turn / p->n;
      REAL c = 4 * turn % p->n ? cos(angle) : (int[]){1, 0, -1, 0}[4 * turn / p->n];
      REAL s = p->sign * (4 * turn % p->n ? sin(angle) : (int[]){0, 1, 0, -1}[4 * turn / p->n]);
      re += (REAL)creal(p->from[j]) * c - (REAL)cimag(p->from[j]) * s;
      im += (REAL)creal(p->from[j]) * s + (REAL)cimag(p->from[j]) * c;
    }
    p->to[k] = re + I * im;
  }
}
static void fftw_destroy_plan(fftw_plan p) { free(p); }
"""


@pytest.mark.skipif(not shutil.which("gcc"), reason="needs a C compiler: apt-get install gcc")
@pytest.mark.parametrize(("precision", "right"), [("double", True), ("float", False)])
def test_the_program_in_c_tells_a_right_library_from_a_wrong_one(tmp_path: Path, precision: str, right: bool) -> None:
    (tmp_path / "fftw3.h").write_text(STAND_IN)
    source = SUITE / "fft" / "src" / "fftw.c"
    includes = [f"-I{tmp_path}", f"-I{SUITE / 'lib'}", f"-DREAL={precision}"]
    subprocess.run(["gcc", "-O2", *includes, "-o", tmp_path / "fftw", source, "-lm"], check=True)
    ran = subprocess.run([tmp_path / "fftw"], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert lines[-1] == {"sovstack": "done"}
    values = {line["name"]: line["value"] for line in lines if line["sovstack"] == "metric"}
    assert (values["fp64_error"] <= 1) is right
    assert (values["fp64_round_trip"] <= 1) is right
    assert (values["integers_wrong"] == 0) is right
    assert all((line["ratio"] <= 1) is right for line in lines if line["sovstack"] == "number")
