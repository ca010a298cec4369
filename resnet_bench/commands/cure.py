"""The command that begins a new cure: its file from a template, and a suite beside it."""

import re
from pathlib import Path
from typing import Annotated

import typer

from resnet_bench import cures, paths
from resnet_bench.errors import UserError
from resnet_bench.suites.cure_file import cure_files
from resnet_bench.suites.suite import suite_names

NAME = r"(?=.{1,60}$)[a-z][a-z0-9]*(-[a-z0-9]+)*"  # it becomes part of names of folders


def cure(name: Annotated[str, typer.Argument(metavar="NAME", help="such as my-idea")]) -> None:
    """Write a new cure's file, and a suite that tests it, from templates."""
    folder = paths.suites_folder()
    if not re.fullmatch(NAME, name):
        raise UserError(
            f"{name!r} is no name of a cure: up to 60 small letters, digits and hyphens, such as"
            " my-idea"
        )
    if name in cure_files(folder) or name in suite_names(folder):
        raise UserError(f"there is a cure or a suite called {name!r} already")
    files = {
        "template.py": folder / "cures" / f"{name.replace('-', '_')}.py",
        "template.toml": folder / f"{name}.toml",
    }
    for template, path in files.items():
        text = Path(cures.__file__).with_name(template).read_text(encoding="utf-8")
        try:
            path.write_text(text.replace("NAME", name), encoding="utf-8")
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}") from error
        typer.echo(path.relative_to(paths.ROOT) if path.is_relative_to(paths.ROOT) else path)
    typer.echo(f"Write your idea into the first, then: make sweep SUITE={name} SEEDS=3")
