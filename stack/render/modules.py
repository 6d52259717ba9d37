"""Ring 4. Plan -> an Lmod module, and a wrapper for every command of the image.

Below the build folder: `modules/<environment>/<profile>/<target>.lua`, `<cell>/bin/<command>`. Both find the image by
their own place, so that the folder can be moved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from stack.artifact import File, Tree
from stack.lock import Lock
from stack.plan import Plan
from stack.render.text import parts, template, variables


def version(plan: Plan) -> str:
    """What stands after `module load <environment>/`: two profiles may share a target."""
    return f"{plan.profile.name}/{plan.target.name}"


def tree(plan: Plan, lock: Lock | None, image: str, apptainer: str, environment: Mapping[str, str]) -> Tree:
    """The modulefile, which becomes the default one, and the wrappers.

    `image`: file name in the cell's folder; `apptainer`: path of the program; `environment`: what Apptainer needs here.
    """
    name = plan.environment.name
    found = parts(plan, lock)
    modulefile = template(
        "module.lua.j2",
        cell=plan.cell,
        name=name,
        version=version(plan),
        lock=lock.digest if lock else "",
        purpose=plan.environment.purpose,
        contents=[f"{p.name} {p.version}".strip() + f": {p.recipe.summary}" for p in found],
        image=image,
    )
    defaults = {
        f"modules/{name}/.modulerc.lua": template("modulerc.lua.j2", module=f"{name}/{plan.profile.name}"),
        f"modules/{name}/{plan.profile.name}/.modulerc.lua": template(
            "modulerc.lua.j2", module=f"{name}/{version(plan)}"
        ),
    }
    wrappers = {
        f"{plan.cell}/bin/{command}": File(
            _wrapper(plan, command, other, image, apptainer, environment), executable=True
        )
        for command, other in sorted(commands(plan))
    }
    return Tree.of({f"modules/{name}/{version(plan)}.lua": modulefile, **defaults, **wrappers})


def commands(plan: Plan) -> Iterator[tuple[str, str]]:
    """(command, what stands in where the image lacks it) of everything in the image; the site's own stay the site's."""
    for choice in plan.choices:
        recipe = plan.recipes[choice.component]
        if choice.provider != "site":
            yield from ((command, recipe.aliases.get(command, "")) for command in recipe.commands)


def _wrapper(plan: Plan, command: str, other: str, image: str, apptainer: str, environment: Mapping[str, str]) -> str:
    device = plan.vendor.container_option if plan.vendor else None
    return template(
        "wrapper.sh.j2",
        command=command,
        alias=other,
        image=image,
        apptainer=apptainer,
        environment=variables(environment),
        options=[device] if device else [],
    )
