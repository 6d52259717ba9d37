"""The module tree with Debian's real Lmod, the wrappers with a real shell, and both on a real image."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings

from stack.host import apptainer as host_apptainer
from stack.host.files import write_tree
from stack.plan import Plan
from stack.render import modules

from .conftest import lock_of
from .strategies import lines

LMOD = Path("/etc/profile.d/lmod.sh")
LUA = shutil.which("lua5.3") or shutil.which("lua")
needs_lmod = pytest.mark.skipif(not LMOD.exists(), reason=f"no Lmod here ({LMOD}): apt-get install lmod")
needs_lua = pytest.mark.skipif(LUA is None, reason="no Lua here: apt-get install lua5.3")
CHECKOUT = Path(__file__).resolve().parent.parent.parent

# Takes Apptainer's place where only the passing on of arguments matters: says what it was given, ends with 7.
RECORDER = """\
#!/bin/sh
printf '%s\\0' "${APPTAINER_USERNS-unset}" "$@"
exit 7
"""


@pytest.fixture
def build(laptop: Plan, tmp_path: Path) -> Path:
    """A build folder with the module tree, a recorder in Apptainer's place and an empty file as the image."""
    recorder = tmp_path / "it's apptainer"
    recorder.write_text(RECORDER)
    recorder.chmod(0o755)
    folder = tmp_path / "a build"
    write_tree(folder, modules.tree(laptop, lock_of(laptop), "ai-hpc.sif", str(recorder), {"APPTAINER_USERNS": "1"}))
    (folder / laptop.cell / "ai-hpc.sif").touch()
    return folder


def call(program: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **env}
    return subprocess.run([program, *args], capture_output=True, text=True, check=False, env=clean)


ODD = ("a b", "", "it's", '"q"', "$(id)", "`id`", "*", "back\\slash", "new\nline", "-n", "--", "é")


def test_arguments_and_status_pass_through(laptop: Plan, build: Path) -> None:
    done = call(build / laptop.cell / "bin/python3", *ODD)
    image = str(build / laptop.cell / "ai-hpc.sif")
    assert done.stdout.split("\0")[:-1] == ["1", "--quiet", "exec", image, "python3", *ODD]
    assert (done.returncode, done.stderr) == (7, "")


def test_the_users_own_setting_wins(laptop: Plan, build: Path) -> None:
    done = call(build / laptop.cell / "bin/gcc", APPTAINER_USERNS="0")
    assert done.stdout.startswith("0\0")


def test_bind(laptop: Plan, build: Path) -> None:
    done = call(build / laptop.cell / "bin/gcc", "x y", SOVSTACK_BIND="/data,/my scratch")
    assert done.stdout.split("\0")[2:5] == ["exec", "--bind", "/data,/my scratch"]


def test_a_moved_folder_works(laptop: Plan, build: Path, tmp_path: Path) -> None:
    moved = build.rename(tmp_path / "moved")
    link = tmp_path / "link"
    link.symlink_to(moved / laptop.cell / "bin/gcc")
    assert call(link).stdout.split("\0")[3] == str(moved / laptop.cell / "ai-hpc.sif")


def test_no_image(laptop: Plan, build: Path) -> None:
    (build / laptop.cell / "ai-hpc.sif").unlink()
    done = call(build / laptop.cell / "bin/gcc")
    assert done.returncode == 3
    assert "sovstack up" in done.stderr


def test_no_apptainer(laptop: Plan, build: Path, tmp_path: Path) -> None:
    (tmp_path / "it's apptainer").unlink()
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "dirname", "readlink"):
        (tools / name).symlink_to(str(shutil.which(name)))
    done = call(build / laptop.cell / "bin/gcc", PATH=str(tools))
    assert done.returncode == 3
    assert "sovstack doctor" in done.stderr


def test_inside_an_image_the_real_command_runs(laptop: Plan, build: Path, tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (real / "gcc").write_text('#!/bin/sh\nprintf "<%s>" real "$@"\nexit 5\n')
    (real / "gcc").chmod(0o755)
    own = build / laptop.cell / "bin"
    done = call(own / "gcc", "a b", "", PATH=f"{own}/:{own}:{real}:/usr/bin:/bin", APPTAINER_CONTAINER="/x.sif")
    assert (done.stdout, done.returncode) == ("<real><a b><>", 5)


def test_an_alias_stands_in_inside_an_image(laptop: Plan, build: Path, tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (real / "python3").write_text('#!/bin/sh\nprintf "<%s>" python3 "$@"\n')
    (real / "python3").chmod(0o755)
    for name in ("dirname", "readlink", "sh"):
        (real / name).symlink_to(str(shutil.which(name)))
    done = call(build / laptop.cell / "bin/python", "a b", PATH=str(real), APPTAINER_CONTAINER="/x.sif")
    assert done.stdout == "<python3><a b>"


def test_every_command_has_a_wrapper(plan: Plan) -> None:
    made = modules.tree(plan, lock_of(plan), "x.sif", "apptainer", {})
    found = {path.rsplit("/", 1)[1] for path, file in made if "/bin/" in path and file.executable}
    inside = [c for c in plan.choices if c.provider != "site"]
    assert found == {command for c in inside for command in plan.recipes[c.component].commands}
    assert ("mpirun" in found) is not any(c.role == "mpi" and c.provider == "site" for c in plan.choices)


def test_accelerator_is_passed_to_the_image(plan: Plan) -> None:
    text = modules.tree(plan, lock_of(plan), "x.sif", "apptainer", {}).files[f"{plan.cell}/bin/python3"].text
    wanted = {"none": '--quiet exec "$@"', "nvidia": "exec '--nv' \"$@\"", "amd": "exec '--rocm' \"$@\""}
    assert text.endswith(wanted[plan.target.vendor] + "\n")


def test_wrappers_are_shell(plan: Plan) -> None:
    for path, file in modules.tree(plan, lock_of(plan), "it's.sif", "/a b/apptainer", {"X": "$(id) `id` '"}):
        if file.executable:
            assert subprocess.run(["/bin/sh", "-n"], input=file.text.encode(), check=False).returncode == 0, path


HARNESS = """
local said = {}
function myFileName() return "/build/modules/ai-hpc/laptop/x.lua" end
function pathJoin(a, b) return a .. "/" .. b end
function whatis(text) said[#said + 1] = text end
function help(...) said[#said + 1] = table.concat({...}) end
function prepend_path(name, value) said[#said + 1] = name .. "=" .. value end
function setenv(name, value) said[#said + 1] = name .. "=" .. value end
function family() end
dofile(arg[1])
io.write(table.concat(said, "\\0"))
"""


@needs_lua
@given(text=lines)
@settings(max_examples=60, deadline=None)
def test_free_text_in_lua(laptop: Plan, tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    environment = laptop.environment.model_copy(update={"purpose": text})
    recipes = {n: r.model_copy(update={"summary": text}) for n, r in laptop.recipes.items()}
    plan = dataclasses.replace(laptop, environment=environment, recipes=recipes)
    made = modules.tree(plan, None, "ai-hpc.sif", "apptainer", {})
    file = tmp_path_factory.mktemp("lua") / "x.lua"
    file.write_text(made.files[f"modules/ai-hpc/{modules.version(plan)}.lua"].text, encoding="utf-8")
    done = subprocess.run([str(LUA), "-", file], input=HARNESS.encode(), capture_output=True, check=True)
    said = done.stdout.decode().split("\0")
    assert f"Description: {text}" in said
    assert f"PATH=/build/{plan.cell}/bin" in said
    assert any(row.startswith(text + "\n") and row.count(f": {text}\n") == len(plan.choices) for row in said)


def lmod(script: str, tree: Path) -> str:
    """What a fresh bash with Lmod prints; `T` is the tree of modules."""
    clean = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tree.parent),
        "BASH_ENV": str(LMOD),
        "T": str(tree),
        "LC_ALL": "C.UTF-8",
    }
    line = f'module use "$T"; {script}'
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=clean, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def tree(build: Path) -> Path:
    """Lmod takes no folder with a blank in its name, which is no fault of ours."""
    plain = build.rename(build.parent / "build")
    return plain / "modules"


@needs_lmod
def test_load_and_unload(laptop: Plan, tree: Path) -> None:
    cell = tree.parent / laptop.cell
    said = lmod('echo "0 $PATH"; module load ai-hpc; echo "1 $PATH"; echo "2 $SOVSTACK_IMAGE"; command -v python; '
                'module unload ai-hpc; echo "3 $PATH"; echo "4 ${SOVSTACK_IMAGE-unset}"', tree)  # fmt: skip
    rows = {row[0]: row[2:] for row in said.splitlines() if row[:1].isdigit()}
    assert rows["1"] == f"{cell}/bin:{rows['0']}"
    assert rows["2"] == f"{cell}/ai-hpc.sif"
    assert f"{cell}/bin/python\n" in said
    assert rows["3"] == rows["0"]
    assert rows["4"] == "unset"


@needs_lmod
def test_every_way_to_name_it(laptop: Plan, tree: Path) -> None:
    full = f"ai-hpc/{modules.version(laptop)}"
    for name in ("ai-hpc", f"ai-hpc/{laptop.profile.name}", full):
        assert full in lmod(f"module load {name}; module -t list", tree).split()


@needs_lmod
def test_the_last_one_rendered_is_the_default(laptop: Plan, tree: Path) -> None:
    for profile in ("zebra", "aardvark"):
        other = dataclasses.replace(laptop, profile=laptop.profile.model_copy(update={"name": profile}))
        write_tree(tree.parent, modules.tree(other, None, "ai-hpc.sif", "apptainer", {}))
    assert f"ai-hpc/{modules.version(other)}" in lmod("module load ai-hpc; module -t list", tree).split()
    write_tree(tree.parent, modules.tree(laptop, None, "ai-hpc.sif", "apptainer", {}))
    assert f"ai-hpc/{modules.version(laptop)}" in lmod("module load ai-hpc; module -t list", tree).split()


@needs_lmod
def test_one_environment_at_a_time(laptop: Plan, tree: Path) -> None:
    other = dataclasses.replace(laptop, environment=laptop.environment.model_copy(update={"name": "other"}))
    write_tree(tree.parent, modules.tree(other, None, "other.sif", "apptainer", {}))
    said = lmod('module load ai-hpc; module load other; module -t list; echo "$PATH"', tree)
    assert f"{tree.parent / other.cell}/bin:/usr/bin:/bin" in said
    assert f"{laptop.cell}/bin:" not in said


@needs_lmod
def test_spider_help_and_whatis(laptop: Plan, tree: Path) -> None:
    full = f"ai-hpc/{modules.version(laptop)}"
    spider = " ".join(lmod("module spider ai-hpc", tree).split())
    assert laptop.environment.purpose in spider
    assert full in spider
    assert f"Description: {laptop.environment.purpose}" in lmod("module whatis ai-hpc", tree)
    said = lmod("module help ai-hpc", tree)
    for choice in laptop.choices:
        assert f"{choice.component} {choice.version}: {laptop.recipes[choice.component].summary}" in said


@pytest.mark.image
@needs_lmod
def test_commands_of_a_real_image(laptop: Plan, image: Path, tmp_path: Path) -> None:
    folder = tmp_path / "build"
    program, needed = str(host_apptainer.find()), host_apptainer.environment()
    write_tree(folder, modules.tree(laptop, lock_of(laptop), "ai-hpc.sif", program, needed))
    (folder / laptop.cell / "ai-hpc.sif").symlink_to(image)
    (tmp_path / "args.py").write_text("import sys\nprint(sys.argv[1:])\nsys.exit(9)\n")
    (tmp_path / "hello.c").write_text("int main(void) { return 3; }\n")
    head = (
        'set +e; module load ai-hpc; export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; cd "$T/../.."; '
    )
    assert "9.0\n" in lmod(head + 'python -c "print(4.5 + 4.5)"', folder / "modules")
    said = lmod(head + "python args.py 'a  b' '' \"it's\" '$(id)'; echo \"status $?\"", folder / "modules")
    assert "['a  b', '', \"it's\", '$(id)']\nstatus 9" in said
    ranks = lmod(head + "mpirun --oversubscribe -n 2 python3 -c "
                 "'from mpi4py import MPI; print(\"rank\", MPI.COMM_WORLD.rank, MPI.COMM_WORLD.size)'",
                 folder / "modules")  # fmt: skip
    assert {"rank 0 2", "rank 1 2"} <= set(ranks.splitlines())
    assert "status 3" in lmod(
        head + 'gcc hello.c -o hello && mpicc hello.c -o hello2; ./hello; echo "status $?"', folder / "modules"
    )
    nested = "import subprocess, sys; print(subprocess.run([sys.argv[1], '-dumpfullversion']).returncode)"
    said = lmod(head + f'python -c "{nested}" "$(command -v gcc)"', folder / "modules")
    assert said.split()[:2] == [laptop.choice("gcc").version, "0"]


def test_the_recorder_is_run_by_the_shell_of_this_machine(build: Path) -> None:
    """Guards the tests above: a recorder that cannot run would end with another status."""
    assert call(build.parent / "it's apptainer", "x").stdout == "unset\0x\0"
