# Compile a C program that needs a library, whose name differs from place to place.
# Arguments: compilers, of which the first that is there is taken; the program to make; its source; then ways to compile
# and link it, tried in turn: options, or `pkg:NAME` for what pkg-config says of it. SOVSTACK_SUITE: the suite's folder.
compiler="" program=$2 source=$3
for name in $1; do
  [ -n "$compiler" ] || ! command -v "$name" > /dev/null 2>&1 || compiler=$name
done
[ -n "$compiler" ] || { echo "there is no compiler ($1)" >&2; exit 1; }
shift 3
[ $# -gt 0 ] || set -- -O2
said="no way to link it is known here"
for way in "$@"; do
  case $way in
    pkg:*) options=$(pkg-config --cflags --libs "${way#pkg:}" 2> /dev/null) || continue ;;
    *) options=$way ;;
  esac
  # shellcheck disable=SC2086 # options are words
  said=$($compiler -O2 -fopenmp -I"$SOVSTACK_SUITE/lib" -o "$program" "$source" $options -lm 2>&1) && exit 0
done
printf '%s cannot be compiled: %s\n' "$source" "$said" >&2
exit 1
