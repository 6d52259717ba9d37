"""Top. The verbs about keys and signatures: `key`, `sign`, `inspect`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from shlex import quote
from typing import Annotated, NoReturn

import typer

from stack.answers import cell_of, say, workshop_of
from stack.errors import Position, bad_input
from stack.options import (
    BUILD,
    ArchOption,
    BuildOption,
    DryOption,
    EnvironmentArg,
    JsonOption,
    NoWaitOption,
    PartitionOption,
    ProfileArg,
    QuietOption,
    RootOption,
)

KeyOption = Annotated[
    Path | None,
    typer.Option(
        "--key", metavar="FILE", envvar="SOVSTACK_KEY", help="Private key, PEM; the site's own by default, if any."
    ),
]

key = typer.Typer(
    name="key",
    help="Make and show the site's own key, which signs images and their evidence.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@key.command()
def new(
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where; ~/.config/sovstack/keys/site.pem by default.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make an Ed25519 pair: FILE, for its owner's eyes alone, and the public FILE with the ending .pub."""
    from stack.host import keys

    made = keys.new(out or keys.site())
    public = made.public
    data = {"id": made.id, "kind": public.kind, "private": str(made.path), "public": str(public.path)}
    text = (
        f"{made.path}: the private key, {public.kind}: keep it, and a copy in a safe place\n"
        f"{public.path}: publish this; whoever has it can check your images:\n"
        f"    sovstack inspect IMAGE --key {quote(str(public.path))}\n"
        f"id {made.id}"
    )
    say(data, as_json, text)


@key.command()
def vouch(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of a build cache.")],
    key_file: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign everything that is in a build cache, whoever put it there: from then on you answer for it."""
    from stack.buildcache import STATEMENT
    from stack.host import cache_signing, keys
    from stack.host.progress import Progress

    signer = keys.needed(key_file)
    filled = cache_signing.vouch(folder, signer, (*keys.trusted(), signer.public), Progress().note)
    data = {"cache": str(folder), "statement": str(folder / STATEMENT), "key": signer.id,
            "files": len(filled.files)}  # fmt: skip
    say(data, as_json, f"{data['statement']}\n{len(filled.files)} files signed by {signer.id}")


@key.command()
def show(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A private or a public key; the site's own by default.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print a key's id, its kind and fingerprint, and its public half."""
    from stack.host import keys

    found = keys.either(file or keys.site())
    data = {"id": found.id, "kind": found.kind, "fingerprint": found.fingerprint, "pem": found.pem}
    say(data, as_json, f"{found.id}\n{found.kind}, {found.fingerprint}\n{found.pem}".rstrip())


def sign(
    profile: ProfileArg,
    environment: EnvironmentArg = None,
    partition: PartitionOption = None,
    arch: ArchOption = None,
    root: RootOption = None,
    build_dir: BuildOption = BUILD,
    key_file: KeyOption = None,
    as_json: JsonOption = False,
    dry_run: DryOption = False,
    quiet: QuietOption = False,
    no_wait: NoWaitOption = False,
) -> None:
    """Seal the image that is there: its evidence inside, one signature over all, and a signed statement beside it."""
    from stack.host import keys
    from stack.host.sealing import statement_path

    signer = keys.needed(key_file)
    cell = cell_of(root, profile, environment, partition, build_dir, arch)
    with workshop_of(cell, quiet=quiet, dry=dry_run, wait=not no_wait) as shop:
        made = shop.sealed(shop.standing(), signer)
    if made is None or made.sealed is None or dry_run:
        return
    beside, sealed = statement_path(made.path), made.sealed
    data = {"image": str(made.path), "sha256": sealed.sha256, "sha512": sealed.sha512, "key": sealed.key,
            "statement": str(beside), "built": made.sha256}  # fmt: skip
    say(data, as_json, f"{made.path}\nsha256:{sealed.sha256}\n{beside}\nsigned by {sealed.key}")


def inspect(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="A .sif file, or the folder of a build cache.")],
    trusted: Annotated[
        list[Path] | None,
        typer.Option("--key", metavar="PUB", help="A public key to trust, instead of the usual ones; may be repeated."),
    ] = None,
    statement: Annotated[
        Path | None, typer.Option("--statement", metavar="FILE", help="The signed statement; IMAGE.dsse.json usually.")
    ] = None,
    extract: Annotated[
        Path | None, typer.Option("--extract", metavar="FOLDER", help="Write everything that is in it into a folder.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check an image's signatures and evidence, and show them; offline. Exit 1 when something does not check."""
    from stack import inspection
    from stack.host import inspecting, keys

    if image.is_dir():
        _inspect_cache(image, trusted or (), statement, extract, as_json)
    found = inspecting.inspect(image, keys.trusted(trusted or ()), statement)
    written = inspecting.extract(image, extract) if extract else ()
    text = "\n".join([inspection.as_text(found), *(f"written: {path}" for path in written)])
    say({**inspection.as_data(found), "extracted": [str(path) for path in written]}, as_json, text)
    raise typer.Exit(found.exit_code)


def _inspect_cache(
    folder: Path, trusted: Iterable[Path], statement: Path | None, extract: Path | None, as_json: bool
) -> NoReturn:
    from stack import inspection
    from stack.host import inspecting_cache, keys

    if extract:
        raise bad_input("--extract is for an image: what is in a build cache is in files", Position(str(folder)))
    found = inspecting_cache.inspect(folder, keys.trusted(trusted), statement)
    say(inspection.as_data(found), as_json, inspection.as_text(found))
    raise typer.Exit(found.exit_code)
