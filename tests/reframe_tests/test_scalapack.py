"""ScaLAPACK's program with stand-ins for MPI and ScaLAPACK, one process: known values, right and wrong results."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import pytest

from tests.reframe_tests.programs import SUITE

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="needs a C compiler: apt-get install gcc")
N = 128
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899")

MPI = """
#include <stdlib.h>
#include <string.h>
enum { MPI_COMM_WORLD, MPI_DOUBLE, MPI_SUM };
#define MPI_IN_PLACE ((void *)0)
static int MPI_Init(int *c, char ***v) { return !c || !v; }
static int MPI_Finalize(void) { return 0; }
static int MPI_Comm_rank(int comm, int *rank) { return *rank = 0 * comm; }
static int MPI_Comm_size(int comm, int *size) { return *size = 1 + comm, 0; }
static double MPI_Wtime(void) { return 0; }
static int MPI_Allreduce(void *in, void *out, int n, int type, int op, int comm) { return 0; }
"""
# Elimination in REAL without pivots; vectors and values of min(i, j) by their formula, value OFF wrong by FAR.
STAND_IN = """
#include <math.h>
void Cblacs_get(int a, int b, int *context) { *context = 0; }
void Cblacs_gridinit(int *context, const char *order, int rows, int columns) {}
void Cblacs_gridinfo(int context, int *rows, int *columns, int *row, int *column) {
  *rows = *columns = 1, *row = *column = 0;
}
void Cblacs_gridexit(int context) {}
void descinit_(int *about, const int *m, const int *n, const int *mb, const int *nb, const int *r, const int *c,
               const int *context, const int *lead, int *info) { about[8] = *lead, *info = 0; }
void pdgesv_(const int *n, const int *one, double *a, const int *i, const int *j, const int *about, int *pivots,
             double *b, const int *ib, const int *jb, const int *side, int *info) {
  for (int k = 0; k < *n; ++k)
    for (int r = 0; r < *n; ++r) {
      if (r == k) continue;
      REAL factor = (REAL)a[r + k * *n] / (REAL)a[k + k * *n];
      for (int c = 0; c < *n; ++c) a[r + c * *n] = (REAL)a[r + c * *n] - factor * (REAL)a[k + c * *n];
      b[r] = (REAL)b[r] - factor * (REAL)b[k];
    }
  for (int k = 0; k < *n; ++k) b[k] = (REAL)b[k] / (REAL)a[k + k * *n];
  *info = 0;
}
void pdsyev_(const char *job, const char *half, const int *n, double *a, const int *i, const int *j, const int *about,
             double *values, double *z, const int *iz, const int *jz, const int *at, double *work, const int *length,
             int *info) {
  *info = 0, *work = 1;
  for (int k = 0; k < *n; ++k) {
    long double angle = (2 * (*n - k) - 1) * acosl(-1) / (2 * *n + 1), s = sinl(angle / 2);
    values[k] = (REAL)(0.25L / (s * s)) * (k == OFF ? 1 + FAR : 1);
    for (int r = 0; r < *n; ++r) z[r + k * *n] = (REAL)(2 / sqrtl(2 * *n + 1) * sinl((r + 1) * angle));
  }
}
"""


def sine(x: Decimal) -> Decimal:
    term, total, i = x, x, 1
    while abs(term) > Decimal("1e-60"):
        term, i = -term * x * x / ((i + 1) * (i + 2)), i + 2
        total += term
    return total


def known(k: int) -> float:
    """Eigenvalue k of min(i, j), rounded once."""
    with localcontext() as context:
        context.prec = 60
        return float(1 / (4 * sine((2 * (N - k) - 1) * PI / (4 * N + 2)) ** 2))


def said(folder: Path, real: str = "double", off: int = -1, far: str = "0") -> dict[str, dict[str, Any]]:
    (folder / "mpi.h").write_text(MPI)
    (folder / "stand_in.c").write_text(STAND_IN)
    sources = [SUITE / "scalapack" / "src" / "dense.c", folder / "stand_in.c"]
    options = ["-O2", "-w", f"-I{folder}", f"-I{SUITE / 'lib'}", f"-DREAL={real}", f"-DOFF={off}", f"-DFAR={far}"]
    subprocess.run(["gcc", *options, "-o", folder / "dense", *sources, "-lm"], check=True)
    ran = subprocess.run([folder / "dense", "1"], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert lines[-1] == {"sovstack": "done"}
    return {line["name"]: line for line in lines if line["sovstack"] == "metric"}


RATIOS = {"solve_ratio": 30, "solve_error": 1, "eigen_ratio": 30, "orthogonality_ratio": 30, "eigenvalue_ratio": 30}


@pytest.mark.parametrize(("real", "right"), [("double", True), ("float", False)])
def test_right_results_are_told_from_wrong_ones(tmp_path: Path, real: str, right: bool) -> None:
    found = said(tmp_path, real)
    assert {name: found[name]["value"] <= bound for name, bound in RATIOS.items()} == dict.fromkeys(RATIOS, right)
    assert all(re.search("expected .* got ", str(found[name]["detail"])) for name in RATIOS)


@pytest.mark.parametrize("k", [0, 1, 17, 40, 63, 64, 99, 120, 126, 127])
def test_known_eigenvalues_are_right_to_the_last_bit(tmp_path: Path, k: int) -> None:
    detail = str(said(tmp_path, off=k, far="0.25")["eigenvalue_ratio"]["detail"])
    number = re.search(r"eigenvalue (\d+): expected (\S+) ", detail)
    assert number
    assert int(number[1]) == k
    assert float(number[2]) == known(k)


def test_not_a_number_in_the_middle_is_not_lost(tmp_path: Path) -> None:
    found = said(tmp_path, off=5, far="NAN")
    assert {n for n in RATIOS if not found[n]["value"] <= RATIOS[n]} == {"eigen_ratio", "eigenvalue_ratio"}
