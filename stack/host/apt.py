"""apt with a state of its own: reads a distribution's signed index and fetches packages, without root.

The host's settings for proxies, certificates and passwords rule; its sources, pins and installed packages do not.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from stack.artifact import Command, digest
from stack.catalogue import Archive, Keyring, Os
from stack.errors import bad_input, host_lacks
from stack.host import files
from stack.host.apt_output import Gone, explain, index_lines, missing, package_lines, stale, unreachable
from stack.host.packages import PackageFile, cached, place, take
from stack.host.run import Result, Sink, run, which

_ENV = {"LC_ALL": "C.UTF-8", "RES_OPTIONS": "timeout:3 attempts:2", "DEBIAN_FRONTEND": "noninteractive"}
_TARGETS = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)"

_CONF = """\
#clear APT::Architectures;
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Default-Release;
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
APT::Cache::AllVersions "true";
Acquire::Languages "none";
Acquire::GzipIndexes "false";
Acquire::http::Timeout "12";
Acquire::https::Timeout "12";
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "{folder}/sources";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "{folder}/preferences";
Dir::State "{folder}/state";
Dir::State::lists "{folder}/state/lists";
Dir::State::status "{folder}/state/status";
Dir::Cache "{folder}/cache";
Dir::Cache::archives "{folder}/cache/archives";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "srcpkgcache.bin";
"""


@dataclass(frozen=True)
class Source:
    """One archive as apt reads it."""

    archive: str
    url: str
    suites: tuple[str, ...]
    components: tuple[str, ...]


def cache_folder() -> Path:
    """Where fetched packages and indexes are kept between runs and shared by all builds of a user."""
    return files.user_folder("XDG_CACHE_HOME", ".cache")


def _program(name: str) -> str:
    found = which(name)
    if found is None:
        remedy = "images are made of distribution packages: use a machine, or a container, that has apt"
        raise host_lacks(f"{name} is not installed: this machine has no apt", remedy)
    return found


def mirrors(system: Os, profile_mirrors: Mapping[str, str], report: Sink | None = None) -> dict[str, str]:
    """Archive -> URL, from the profile, else from the host's own apt settings. No URL is ever made up.

    The system's first archive must be found (exit code 3 otherwise); another that is not is left out and reported.
    """
    wanted = {name: archive for name, archive in system.archives.items() if name not in profile_mirrors}
    host = host_targets() if wanted else ()
    found = {name: choose(archive, host) for name, archive in wanted.items()}
    first = next(iter(system.archives))
    if first in wanted and not found[first]:
        remedy = f"add `mirrors: {{{first}: URL}}` to the profile"
        raise host_lacks(f"apt on this machine names no mirror of {first} (for {system.title})", remedy)
    for name in wanted:
        if not found[name] and report:
            report(f"no mirror of {name} is known here, so it is left out (profile: mirrors)")
    named = {name: profile_mirrors.get(name) or found.get(name) for name in system.archives}
    return {name: url.rstrip("/") for name, url in named.items() if url}


def host_targets() -> tuple[tuple[str, str, str, str], ...]:
    """(URL, suite, component, origin) of every index in the host's apt settings; origin is empty when unknown.

    Origins are known only after an `apt-get update`, the rest always; reading the former takes apt much longer.
    """
    options = ("--no-release-info", "-o", "Dir::State::lists=/nonexistent")
    rows = tuple(parse_targets(_targets(*options)))
    if len({(suite, component) for _url, suite, component, _origin in rows}) == len({row[:3] for row in rows}):
        return rows
    known = {row[:3]: row[3] for row in parse_targets(_targets())}
    return tuple((*row[:3], known.get(row[:3], "")) for row in rows)


def _targets(*options: str) -> str:
    argv = (_program("apt-get"), "indextargets", *options, "--format", _TARGETS)
    return run(Command(argv, "read apt's settings", env=_ENV), check=False).stdout


def parse_targets(text: str) -> Iterator[tuple[str, str, str, str]]:
    """Rows of `apt-get indextargets`; what cannot be fetched from (a CD-ROM) is passed over."""
    for line in text.splitlines():
        parts = line.split("|")
        if len(parts) == 4 and re.match(r"(https?|file|copy|ftp|mirror|tor)[a-z+]*:/", parts[0]):
            origin = "" if parts[3].startswith("$(") else parts[3]
            yield parts[0].rstrip("/"), parts[1], parts[2], origin


def choose(archive: Archive, targets: Iterable[tuple[str, str, str, str]]) -> str | None:
    """The host's URL of an archive: the one with most of its suites; another vendor's archive is not it."""
    score: dict[str, set[tuple[str, str]]] = {}
    for url, suite, component, origin in targets:
        alike = any(fnmatchcase(suite, pattern) for pattern in archive.host_suites)
        if alike and component in archive.components and (not archive.origins or origin in ("", *archive.origins)):
            score.setdefault(url, set()).add((suite, origin))
    best = sorted(score, key=lambda url: (-sum(bool(o) for _, o in score[url]), -len(score[url])))
    return best[0] if best else None


def sources(system: Os, urls: Mapping[str, str], extra: Sequence[str] = ()) -> tuple[Source, ...]:
    """What to read of a system: every archive that has a URL; `extra` are components beyond the usual."""
    return tuple(
        Source(name, urls[name], archive.suites, tuple(dict.fromkeys((*archive.components, *extra))))
        for name, archive in system.archives.items()
        if name in urls
    )


@dataclass(frozen=True)
class PrivateApt:
    """apt for one architecture and a set of sources, in a folder of its own. Make it with `open_apt`.

    `may_lag`: a signed index past its date is taken, and that is said (for tools, never for what goes into an image).
    """

    folder: Path
    keyring: Keyring
    may_lag: bool = False

    def _command(self, program: str, *words: str, purpose: str, cwd: Path | None = None) -> Command:
        argv = (_program(program), "-c", str(self.folder / "apt.conf"), *words)
        return Command(argv, purpose, cwd=str(cwd) if cwd else None, env={**_ENV, **_user_resolver()})

    def _run(self, command: Command, sink: Sink | None = None) -> Result:
        result = run(command, sink, check=False)
        if result.returncode == 0:
            return result
        gone = missing(result.stdout)
        raise Gone(gone) if gone else explain(result.stdout, command.purpose, self.keyring)

    @property
    def update_command(self) -> Command:
        """What `update` runs. Without retries, so that a network that is not there shows at once."""
        return self._updating()

    def _updating(self, *options: str) -> Command:
        return self._command(
            "apt-get", "-o", "Acquire::Retries=0", *options, "update", purpose="read the package index"
        )

    def update(self, sink: Sink) -> bool:
        """Bring the indexes up to date; True when they changed. A mirror that answers badly is asked once more."""
        before = self.index_digest()
        with files.exclusive(self.folder, _waiting(sink)), files.disk_errors(self.folder):
            result = run(self.update_command, index_lines(sink), check=False)
            if self.may_lag and stale(result.stdout):
                sink("the mirror's index is past its date; it is signed, and taken as it is")
                result = run(self._updating("-o", "Acquire::Check-Valid-Until=false"), index_lines(sink), check=False)
            elif result.returncode != 0 and not unreachable(result.stdout):
                result = run(self.update_command, index_lines(sink), check=False)
            if result.returncode != 0:
                raise explain(result.stdout, self.update_command.purpose, self.keyring)
        return self.index_digest() != before

    def index_digest(self) -> str:
        """SHA-256 over the signed release files: two equal ones have equal indexes."""
        lists = sorted((self.folder / "state/lists").glob("*Release"))
        return digest([[p.name, files.sha256(p)] for p in lists])

    def closure(self, packages: Sequence[str]) -> str:
        """The files that installing packages (or patterns, `?essential` for example) into nothing takes: apt's text."""
        return self._run(self.closure_command(packages)).stdout

    def closure_command(self, packages: Sequence[str]) -> Command:
        """What `closure` runs. `--simulate` would take five times as long, to put the steps in order."""
        words = ("-qq", "--print-uris", "--no-install-recommends", "install", *packages)
        return self._command("apt-get", *words, purpose="find what the packages need")

    def show(self, specs: Sequence[str]) -> str:
        """The index's own stanzas of packages (`name` or `name=version`); one that it lacks is simply absent."""
        text = run(self._command("apt-cache", "show", *specs, purpose="read the package index"), check=False).stdout
        return "".join(line for line in text.splitlines(keepends=True) if not re.match(r"[NWE]: ", line))

    def download(self, specs: Sequence[str], into: Path, sink: Sink) -> None:
        """Fetch package files (`name=version`) into a folder. Raises `Gone` with all that the mirror lacks."""
        words = ("-o", "Acquire::Retries=2", "download", *specs)
        with files.disk_errors(into):
            self._run(
                self._command("apt-get", *words, purpose="fetch packages", cwd=into), package_lines(sink, len(specs))
            )

    def download_files(self, wanted: Sequence[PackageFile], cache: Path, sink: Sink) -> dict[str, Path]:
        """SHA-256 -> path of every package file, checked against its hash; only what is not cached is fetched."""
        store = cache / "archives" / "sha256"
        todo = [p for p in wanted if not cached(store, p.sha256)]
        if todo:
            with files.exclusive(cache / "archives", _waiting(sink)):
                self._fetch(todo, store, cache / "archives" / "incoming", sink)
        return {p.sha256: place(store, p.sha256) for p in wanted}

    def _fetch(self, wanted: Sequence[PackageFile], store: Path, incoming: Path, sink: Sink) -> None:
        """What a killed run left in `incoming` is taken over when it is whole."""
        incoming.mkdir(parents=True, exist_ok=True)
        take(incoming, store, wanted)
        todo = [p for p in wanted if not place(store, p.sha256).is_file()]
        try:
            if todo:
                self.download([f"{p.name}={p.version}" for p in todo], incoming, sink)
        except Gone as gone:
            known = {f"{p.name} {p.version}" for p in todo}
            raise Gone([k for k in known if k in gone.packages or k.partition(" ")[0] in gone.packages]) from None
        finally:
            take(incoming, store, wanted)
        other = [f"{p.name} {p.version}" for p in todo if not place(store, p.sha256).is_file()]
        shutil.rmtree(incoming)
        if other:
            raise Gone([f"{name} (the mirror's file has another SHA-256)" for name in other])


def open_apt(
    architecture: str, chosen: Sequence[Source], keyring: Keyring, cache: Path | None = None, *, may_lag: bool = False
) -> PrivateApt:
    """Make (or find again) the private folder for these sources. Raises when the host lacks apt or the keyring."""
    _program("apt-get")
    if not Path(keyring.path).is_file():
        raise host_lacks(
            f"{keyring.path} is missing: the package index cannot be checked", f"apt-get install {keyring.package}"
        )
    text = "\n".join(_stanza(source, keyring) for source in chosen)
    folder = (cache or cache_folder()) / "apt" / digest([architecture, text])[:16]
    if re.search(r'["\\;\n]', str(folder)):
        raise bad_input(f"{folder}: apt cannot use a folder of that name", remedy="set XDG_CACHE_HOME to another")
    with files.disk_errors(folder):
        for name in ("sources", "preferences", "state/lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)  # a mirror's URL may hold a password
    files.write_text(folder / "state/status", "")
    files.write_text(folder / "sources/sovstack.sources", text)
    files.write_text(folder / "apt.conf", _CONF.format(architecture=architecture, folder=folder))
    return PrivateApt(folder, keyring, may_lag)


def _stanza(source: Source, keyring: Keyring) -> str:
    if re.search(r"\s", source.url):
        raise bad_input(f"{source.url!r} is not a mirror's URL")
    fields = {
        "Types": "deb",
        "URIs": source.url,
        "Suites": " ".join(source.suites),
        "Components": " ".join(source.components),
    }
    lines = [f"{k}: {v}\n" for k, v in {**fields, "Signed-By": keyring.path, "Targets": "Packages"}.items()]
    return "".join(lines)


def _user_resolver() -> dict[str, str]:
    return {"RES_OPTIONS": os.environ["RES_OPTIONS"]} if os.environ.get("RES_OPTIONS") else {}


def _waiting(sink: Sink) -> Callable[[str], None]:
    return lambda holder: sink(f"waiting for {holder}")
