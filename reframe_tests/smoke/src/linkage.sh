# Every ELF file asks the dynamic linker for its libraries: all are there, with the versions of symbols that it wants, and
# none comes from outside what was installed. The terms of the host contract are held against what is here.
# Arguments: `--root FOLDER` to look in (the whole file system without one), `--below FOLDER` where all libraries are
# the subject's own, `--given LIBRARY` that a host brings, `--shadow LIBRARY` that is taken from it where it has it,
# `--one-of PATTERN` of files of which one is used: once one of them is whole, the others may lack theirs; `--bound FOLDER`
# where a host's libraries are bound; `--libc VERSION` that they may need at most; `--kernel` and `--driver VERSION`: the
# oldest that will do; `--module FILE` where the driver says its version.
set -u
export LC_ALL=C
unset LD_PRELOAD # it is of whoever runs this, and not of what is asked
set -f # the words of these lists are no patterns of this folder's files
roots="" below="" given="" shadows="" spare="" bound="" libc="" kernel="" driver="" module=""
while [ $# -gt 1 ]; do
  case $1 in
    --root) roots="$roots $2" ;;
    --below) below="$below $2" ;;
    --given) given="$given $2" ;;
    --shadow) shadows="$shadows $2" ;;
    --one-of) spare="$spare $2" ;;
    --bound) bound="$bound $2" ;;
    --libc) libc=$2 ;;
    --kernel) kernel=$2 ;;
    --driver) driver=$2 ;;
    --module) module=$2 ;;
  esac
  shift 2
done
kept=$(mktemp -d "${TMPDIR:-/tmp}/linkage.XXXXXX") || exit 1
trap 'rm -rf "$kept"' EXIT
export kept

# shellcheck disable=SC2086 # the folders are words
find ${roots:-/} -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /sovstack \) -prune \
  -o -type f \( -name '*.so' -o -name '*.so.*' -o -perm /111 \) -size +0 -print0 2> /dev/null |
  xargs -0 -r grep -l -a -m1 "$(printf '^\177ELF')" 2> /dev/null > "$kept/files"

set +f
# The dynamic linker itself is asked: where its libraries are found, only it knows for certain.
for linker in /lib64/ld-linux-*.so.* /lib/ld-linux-*.so.* /lib64/ld64.so.* /lib/ld64.so.*; do
  [ -x "$linker" ] && "$linker" --list /bin/sh > /dev/null 2>&1 && break
  linker=""
done
[ -n "$linker" ] || { echo "no dynamic linker of glibc is here" >&2; exit 1; }
export linker

# Several at once, each with a file of its own. What is no dynamic program of this machine is no one's concern here.
xargs -r -d '\n' -P "${OMP_NUM_THREADS:-1}" -n 48 sh -c '
  exec > "$(mktemp "$kept/said.XXXXXX")" 2>> "$kept/troubles"
  for file; do
    printf "%s:\n" "$file"
    LD_TRACE_LOADED_OBJECTS=1 "$linker" "$file"
    [ $? -lt 128 ] || echo "broke off at $file" >&2
  done' linkage < "$kept/files"

# -> `missing LIBRARY FILE`, once for every pair; `found LIBRARY FILE`, once for every library.
cat "$kept"/said.* 2> /dev/null | awk -v answered="$kept/answered" '
  /^[^\t].*:$/ { file = substr($0, 1, length($0) - 1); next }
  / => not found/ { if (!(($1, file) in lacks)) print "missing\t" $1 "\t" file; lacks[$1, file] = 1; next }
  / => \// { print file > answered; if (!($3 in has)) print "found\t" $3 "\t" file; has[$3] = 1; next }
  /^\t\/.* \(0x/ { if (!($1 in has)) print "found\t" $1 "\t" file; has[$1] = 1 }
' > "$kept/links"

# It tells versions too that a library does not define; a weak one may be missing. A file has one name here, whatever links
# lead to it. -> `lacks VERSION of LIBRARY, FILE`, once for every three.
sed -n 's/^.*: \(.*\): version `\(.*\)'\'' not found (required by \(.*\))$/\1\tversion \2\t\3/p' "$kept/troubles" > "$kept/lacks"
# Of a library that defines no version at all most symbols will do, and others end a program: it says so once it binds them.
sed -n 's/^.*: \(.*\): no version information available (required by \(.*\))$/\1\t\2/p' "$kept/troubles" | sort -u |
  while IFS='	' read -r library file; do
    LD_TRACE_LOADED_OBJECTS=1 LD_WARN=yes LD_BIND_NOW=1 "$linker" "$file" 2>&1 |
      grep -q '^Inconsistency detected by ld.so' && printf '%s\tany version\t%s\n' "$library" "$file"
  done >> "$kept/lacks"
while IFS='	' read -r library version file; do
  printf 'lacks\t%s of %s\t%s\n' "$version" "$(readlink -m "$library")" "$(readlink -m "$file")"
done < "$kept/lacks" | sort -u >> "$kept/links"

: >> "$kept/answered"
set -f
for pattern in $spare; do
  whole=""
  awk -F '\t' -v given="$given" '
    BEGIN { count = split(given, list, " "); for (i = 1; i <= count; ++i) brought[list[i]] = 1 }
    $1 != "found" && !($2 in brought) { print $3 }' "$kept/links" > "$kept/partly"
  while IFS= read -r file; do
    # shellcheck disable=SC2254 # it is a pattern
    case $file in $pattern) grep -qxF -e "$file" "$kept/partly" || whole=$file ;; esac
  done < "$kept/answered"
  [ -n "$whole" ] || continue
  while IFS= read -r line; do
    # shellcheck disable=SC2254
    case ${line##*	} in $pattern) [ "${line%%	*}" != found ] && continue ;; esac
    printf '%s\n' "$line"
  done < "$kept/links" > "$kept/needed"
  mv "$kept/needed" "$kept/links"
done
set +f

# What packages installed; a folder that is a link (/lib -> usr/lib) makes two names of one file.
cat /var/lib/dpkg/info/*.list 2> /dev/null | sed 's,^/usr/,/,' > "$kept/packaged"
if [ ! -s "$kept/packaged" ] && command -v rpm > /dev/null 2>&1; then
  rpm -qal 2> /dev/null | sed 's,^/usr/,/,' > "$kept/packaged"
fi
sed -n 's/^found\t\([^\t]*\)\t.*/\1/p' "$kept/links" > "$kept/libraries"
xargs -r -d '\n' readlink -m < "$kept/libraries" | paste "$kept/libraries" - > "$kept/real"

awk -F '\t' -v below="$below" -v bound="$bound" -v taken="$kept/taken" -v given="$given" -v shadows="$shadows" -v links="$kept/links" -v packaged="$kept/packaged" \
    -v files="$(wc -l < "$kept/files")" '
  function plain(text) { gsub(/["\\]/, "?", text); gsub(/[^ -~]/, "?", text); return text }
  function metric(name, value, detail) {
    printf "{\"sovstack\": \"metric\", \"name\": \"%s\", \"value\": %d, \"detail\": \"%s\"}\n", name, value,
      substr(plain(detail), 1, 900)
  }
  function inside(path, folders,   i) {
    for (i in folders) if (index(path "/", folders[i] "/") == 1) return 1
    return 0
  }
  function own(path) { sub(/^\/usr\//, "/", path); return path in there || inside(path, prefixes) }
  BEGIN {
    split(below, prefixes, " ")
    split(bound, places, " ")
    for (i in prefixes) sub(/^\/usr\//, "/", prefixes[i])
    split(given, list, " ")
    for (i in list) hosts[list[i]] = brought[list[i]] = 1
    split(shadows, list, " ")
    for (i in list) hosts[list[i]] = 1
    while ((getline line < packaged) > 0) known = there[line] = 1
    while ((getline line < links) > 0) {
      split(line, part, "\t")
      if (part[1] == "found") { user[part[2]] = part[3]; continue }
      if (part[1] == "lacks") {
        if (versions++ < 8) without = without (without ? "; " : "") part[3] " needs " part[2] ", which does not define it"
        continue
      }
      if (part[2] in brought) { expected++; awaited = awaited (awaited ? ", " : "") part[2] " (" part[3] ")"; continue }
      if (missing++ < 8) lacking = lacking (lacking ? "; " : "") part[3] " needs " part[2] ", which is nowhere"
    }
  }
  {
    name = $1
    sub(/.*\//, "", name)
    if (inside($1, places) || inside($2, places)) print $1 > taken
    if (own($1) || own($2)) next
    if (name in hosts) { print $1 > taken; expected++; awaited = awaited (awaited ? ", " : "") $1; next }
    if (foreign++ < 8) strange = strange (strange ? "; " : "") user[$1] " gets " $1 ($2 == $1 ? "" : " -> " $2)
  }
  END {
    metric("files", files, "ELF programs and shared libraries")
    metric("missing_libraries", missing, lacking)
    metric("missing_versions", versions, without)
    if (known || below) metric("foreign_libraries", foreign, strange)
    metric("host_libraries", expected, awaited)
  }
' "$kept/real" || exit 1

older() { [ "$1" != "$2" ] && [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

# The newest version of the C library that a file itself asks for; of the libraries that it gets, each is asked itself.
needs() {
  LD_TRACE_LOADED_OBJECTS=1 LD_VERBOSE=1 "$linker" "$1" 2> /dev/null | file=$1 awk '
    /^\t[^\t]/ { own = $0 == "\t" ENVIRON["file"] ":" }
    own && match($0, /\(GLIBC_[0-9.]+\)/) { print substr($0, RSTART + 7, RLENGTH - 8) }' | sort -V | tail -n 1
}

terms() {
  has=$("$linker" --version 2> /dev/null | sed -n '1s/.* \([0-9][0-9.]*[0-9]\)\.$/\1/p')
  if [ -n "$libc" ] && [ -n "$has" ] && older "$has" "$libc"; then
    echo "the C library inside is $has, the contract says $libc"
  fi
  has=$(uname -r)
  if [ -n "$kernel" ] && older "${has%%[!0-9.]*}" "$kernel"; then echo "this kernel is $has, expected $kernel or later"; fi
  has=$(awk '{ for (i = 1; i <= NF; ++i) if ($i ~ /^[0-9]+\.[0-9.]+$/) { print $i; exit } } { exit }' "${module:-/}" 2> /dev/null)
  if [ -n "$driver" ] && [ -n "$has" ] && older "$has" "$driver"; then
    echo "this driver is $has ($module), expected $driver or later"
  fi
  [ -n "$libc" ] || return 0
  # What programs load at run time only is where the others are bound.
  # shellcheck disable=SC2086 # the folders are words
  { cat "$kept/taken" 2> /dev/null; [ -z "$bound" ] || find $bound -maxdepth 1 -name '*.so*' ! -type d 2> /dev/null; } | sort -u |
    while IFS= read -r file; do
      has=$(needs "$file")
      echo "${has:-0}" >> "$kept/needs"
      if [ -n "$has" ] && older "$libc" "$has"; then echo "$file, of the host, needs C library $has, the contract says $libc"; fi
    done
}

if [ -n "$libc$kernel$driver" ]; then
  terms > "$kept/unmet"
  count=$(wc -l < "$kept/unmet")
  [ "$count" -gt 0 ] || [ ! -s "$kept/needs" ] || # what those of the host need is worth a word in any case
    sort -V "$kept/needs" | sed -n '$s/.*/libraries of the host need C library & at most/p' > "$kept/unmet"
  printf '{"sovstack": "metric", "name": "unmet_terms", "value": %d, "detail": "%s"}\n' "$count" \
    "$(paste -s -d ';' "$kept/unmet" | sed 's/;/; /g' | tr -dc ' -~' | tr -d '"\\' | cut -c1-900)"
fi
# A file of another machine is not this linker's; one that is cut short, or that it breaks off at, is wrong.
if grep 'error while loading\|^broke off at ' "$kept/troubles" 2> /dev/null | grep -v 'ELF class\|ELFCLASS\|ELF header' > "$kept/wrong"; then
  said=$(head -n 1 "$kept/wrong" | tr -dc ' -~' | tr -d '"\\' | cut -c1-500)
  printf '{"sovstack": "fault", "text": "the dynamic linker says: %s"}\n' "$said"
fi
printf '{"sovstack": "done"}\n'
