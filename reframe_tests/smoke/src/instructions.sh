# Programs and libraries under an emulator whose CPU has what the target has, and no more: whatever they choose when they
# start, no instruction is illegal. Arguments: the emulator (empty where everything here is emulated anyway, and takes its
# CPU from QEMU_CPU), the CPU, the subject's Python, then the names of components and roles that are there.
set -u
emulator=$1 cpu=$2 python=$3
shift 3
here=$SOVSTACK_SUITE/smoke/src
has() { case " $names " in *" $1 "*) return 0 ;; esac; return 1; }
names="$*"
work=$(mktemp -d "${TMPDIR:-/tmp}/instructions.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
programs=0 illegal=0 failed=0 where="" broke=""
plain() { tr -c ' -~' ' ' | tr -d '"\\' | cut -c1-300; }

# under NAME ARGUMENTS...: an absolute program under the emulator; each of its children is a program of this machine again.
under() {
  name=$1
  shift
  if [ -n "$emulator" ]; then set -- "$emulator" -cpu "$cpu" "$@"; else set -- env QEMU_CPU="$cpu" "$@"; fi
  judge "$name" "$@"
}

# ranks NAME PROGRAM...: two ranks, each under the emulator.
ranks() {
  name=$1
  shift
  if [ -n "$emulator" ]; then
    judge "$name" mpiexec -n 2 "$emulator" -cpu "$cpu" "$@"
  else
    judge "$name" env QEMU_CPU="$cpu" mpiexec -n 2 "$@"
  fi
}

judge() {
  name=$1
  shift
  programs=$((programs + 1))
  "$@" > "$work/said" 2>&1 < /dev/null
  status=$?
  [ $status -ne 0 ] || return 0
  last=$(grep -v '^{"sovstack"' "$work/said" | grep -v '^ *$' | tail -n 3 | plain)
  if [ $status -eq 132 ] || grep -q -i 'illegal instruction\|target signal 4\|signal 4 ' "$work/said"; then
    illegal=$((illegal + 1))
    where="$where${where:+; }$name has an instruction that $cpu has not ($last)"
  else
    failed=$((failed + 1))
    broke="$broke${broke:+; }$name ended with status $status on $cpu: $last"
  fi
}

compiled() { # compiled NAME COMPILER SOURCE [WAYS]: is made as this machine is, and judged below
  made="$work/$1"
  shift
  compiler=$1 source=$2
  shift 2
  sh "$SOVSTACK_SUITE/lib/compile.sh" "$compiler" "$made" "$source" "$@" > "$work/compiler" 2>&1 && return 0
  broke="$broke${broke:+; }$(plain < "$work/compiler")"
  failed=$((failed + 1)) programs=$((programs + 1))
  return 1
}

command="$(command -v sh)"
under sh "$(readlink -f "$command")" -c 'exit 0'
if has compilers; then
  compiled hello "gcc cc clang" "$SOVSTACK_SUITE/toolchain/src/hello.c" && under "a compiled program" "$work/hello"
  compiled openmp "gcc cc clang" "$SOVSTACK_SUITE/toolchain/src/openmp.c" && under "an OpenMP program" "$work/openmp"
  if has mpi; then
    compiled ring mpicc "$SOVSTACK_SUITE/mpi/src/ring.c" && ranks "an MPI program" "$work/ring" 2
  fi
  if has scalapack; then
    compiled dense mpicc "$SOVSTACK_SUITE/scalapack/src/dense.c" pkg:scalapack-openmpi pkg:scalapack-mpich pkg:scalapack \
      -lscalapack-openmpi -lscalapack-mpich -lscalapack && ranks "ScaLAPACK with its BLAS" "$work/dense" 2
  fi
fi
if has fftw; then
  wisdom=$(command -v fftw-wisdom) && under FFTW "$wisdom" -n cof256 cif256 rof243 cof210
fi
if has python; then
  program=$(command -v "$python")
  under Python "$program" "$here/instructions.py" python
  for name in numpy mpi4py pytorch; do
    ! has $name || under "$name" "$program" "$here/instructions.py" $name
  done
fi

metric() { printf '{"sovstack": "metric", "name": "%s", "value": %d, "detail": "%s"}\n' "$1" "$2" "$3"; }
metric programs "$programs" "on $cpu"
metric illegal_instructions "$illegal" "$where"
metric failed_programs "$failed" "$broke"
printf '{"sovstack": "done"}\n'
