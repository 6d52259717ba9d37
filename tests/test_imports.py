"""The rings: a module imports only from layers below its own, and only `host` and the commands touch the machine."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "stack"

# (ring, modules), lowest first. Modules in one line do not import each other.
LAYERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("0", ("__init__", "render.__init__", "host.__init__", "errors", "quantity", "statistics", "visible")),
    ("0", ("artifact", "words")),
    ("0", ("_document", "_fields", "_yaml")),
    ("0", ("_explain",)),
    ("0", ("document",)),
    ("1", ("recipe",)),
    ("1", ("hardware",)),
    ("1", ("expressions", "facts", "scales")),
    ("1", ("licences", "policy")),
    ("1", ("catalogue", "environment", "profile")),
    ("2", ("graph", "target")),
    ("2", ("emulation", "facts_check", "offer")),
    ("2", ("check",)),
    ("2", ("plan",)),
    ("3", ("lock", "sources", "verdict")),
    ("3", ("changes", "check_policy", "origins")),
    ("3", ("independence",)),
    (
        "4",
        (
            *(
                "assertions",
                "buildroot",
                "closure",
                "contract",
                "exit_test",
                "explain",
                "forbidding",
                "history",
                "render.html",
                "render.text",
            ),
            *("repeats", "sif", "solver", "statements"),
        ),
    ),
    (
        "4",
        (
            *("audit.__init__", "audit.completeness", "audit.copyright", "audit.coverage", "audit.forbidden"),
            *("audit.purl", "card", "render.plot"),
        ),
    ),
    (
        "4",
        (
            *(
                "build",
                "audit.supply",
                "buildcache",
                "exit_text",
                "inspection",
                "migration",
                "refusing",
                "card_parts",
                "outcome",
                "verify",
                "render.apptainer",
            ),
            *("render.modules", "render.reframe", "render.spack", "source", "source_output"),
        ),
    ),
    (
        "4",
        (
            "render.jobs",
            "render.pipeline",
            "audit.facts_text",
            "audit.inventory",
            "card_difference",
            "card_failure",
            "regression",
            "schema",
        ),
    ),
    ("4", ("aspects", "audit.document", "audit.questions", "history_page", "history_text", "overhead", "probing")),
    ("4", ("audit.cyclonedx", "audit.policy", "audit.situation", "audit.spdx", "difference_settings")),
    ("4", ("audit.levels", "audit.policy_text", "difference")),
    ("4", ("audit.answer", "audit.page", "difference_text")),
    ("4", ("difference_markdown", "report")),
    ("4", ("card_text",)),
    ("4", ("card_page",)),
    ("5", ("publish", "up")),
    ("edge", ("host.*", "inside_spack.*")),  # its modules may import each other; the second are run by Spack's Python
    ("top", ("options",)),
    ("top", ("answers",)),
    ("top", ("assess", "cards", "compare", "know", "leave", "remember", "trust", "verbs")),
    ("top", ("suites",)),
    ("top", ("cli",)),
    ("top", ("__main__",)),
)
RANK = {name: rank for rank, (_ring, names) in enumerate(LAYERS) for name in names}
EDGE = RANK["host.*"]

# Only `host` and the command line may touch files, processes, the network, the clock or the environment.
MACHINE = frozenset(
    (
        *(
            "asyncio",
            "fcntl",
            "getpass",
            "glob",
            "http",
            "multiprocessing",
            "os",
            "platform",
            "pwd",
            "random",
            "resource",
        ),
        *(
            "secrets",
            "select",
            "shutil",
            "signal",
            "socket",
            "ssl",
            "subprocess",
            "sys",
            "tempfile",
            "threading",
            "time",
        ),
        *("urllib.request", "uuid"),
    )
)
PURE_NAMES = {
    "pathlib": {"PurePosixPath", "PurePath"},
    "datetime": {"datetime", "date", "timedelta", "timezone", "UTC"},
}
NOW = {"now", "utcnow", "today"}
FILE_METHODS = {
    "read_text",
    "read_bytes",
    "write_text",
    "write_bytes",
    "unlink",
    "mkdir",
    "iterdir",
    "exists",
    "is_file",
}

MODULES = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in sorted(PACKAGE.rglob("*.py"))}
PURE = [
    name
    for name in MODULES
    if not name.startswith(("host.", "inside_spack."))
    and name
    not in (
        "answers",
        "assess",
        "cards",
        "cli",
        "compare",
        "know",
        "leave",
        "options",
        "remember",
        "suites",
        "trust",
        "verbs",
        "__main__",
    )
]


def rank(module: str) -> int:
    if module.startswith(("host.", "inside_spack.")) and module != "host.__init__":
        return EDGE
    assert module in RANK, f"{module} has no layer: give it one in {Path(__file__).name} and in docs/architecture.md"
    return RANK[module]


def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def imports(node: ast.AST) -> Iterator[tuple[str, str, int]]:
    """(module, name, line) of every import, wherever it stands; those for annotations alone too."""
    for item in ast.walk(node):
        if isinstance(item, ast.Import):
            yield from ((alias.name, "", item.lineno) for alias in item.names)
        elif isinstance(item, ast.ImportFrom):
            assert item.level == 0, "imports are absolute"
            yield from ((item.module or "", alias.name, item.lineno) for alias in item.names)


def own(module: str, name: str) -> str | None:
    """The module of this package that an import reads, None for another's."""
    if module != "stack" and not module.startswith("stack."):
        return None
    inner = module.removeprefix("stack").removeprefix(".")
    for candidate in (f"{inner}.{name}".strip("."), inner, f"{inner}.__init__".strip(".")):
        if candidate in MODULES:
            return candidate
    raise AssertionError(f"no module {module}.{name}")


@pytest.mark.parametrize("module", MODULES)
def test_an_import_goes_to_a_lower_layer(module: str) -> None:
    for imported, name, line in imports(tree(module)):
        target = own(imported, name)
        if target is None or (rank(module) == EDGE == rank(target)):
            continue
        assert rank(target) < rank(module), f"stack/{module.replace('.', '/')}.py:{line} imports {target}, not below it"


def test_only_the_top_imports_the_edge() -> None:
    importers = {m for m in MODULES for i, n, _ in imports(tree(m)) if (t := own(i, n)) and rank(t) == EDGE}
    assert {m for m in importers if rank(m) != EDGE} <= {
        "__main__",
        "answers",
        "cli",
        "assess",
        "cards",
        "compare",
        "know",
        "leave",
        "suites",
        "options",
        "remember",
        "trust",
        "up",
        "verbs",
    }


def test_every_layer_names_modules_once() -> None:
    names = [name for _ring, layer in LAYERS for name in layer]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_does_not_touch_the_machine(module: str) -> None:
    where = f"stack/{module.replace('.', '/')}.py"
    for imported, name, line in imports(tree(module)):
        assert imported not in MACHINE and imported.split(".")[0] not in MACHINE, f"{where}:{line} imports {imported}"
        if imported in PURE_NAMES:
            assert name in PURE_NAMES[imported], f"{where}:{line} imports {imported}.{name}"
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Call):
            called = node.func.id if isinstance(node.func, ast.Name) else ""
            method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            assert called not in ("open", "exec", "eval", "input", "print"), f"{where}:{node.lineno} calls {called}"
            assert method not in NOW | FILE_METHODS, f"{where}:{node.lineno} calls .{method}()"


def test_a_wrong_import_would_be_seen() -> None:
    wrong = ast.parse("from stack.host import files\nimport subprocess\n")
    assert [own(i, n) for i, n, _ in imports(wrong)] == ["host.files", None]
    assert rank("host.files") > rank("plan")
    assert "subprocess" in MACHINE
