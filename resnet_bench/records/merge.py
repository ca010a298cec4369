"""Take ended runs and witnesses from one folder into another, without replacing anything."""

from dataclasses import dataclass, field
from pathlib import Path

from resnet_bench.errors import UserError
from resnet_bench.paths import make_folder
from resnet_bench.records import seals
from resnet_bench.records.files import find_paths, read, write_atomically, writing
from resnet_bench.records.lock import locked
from resnet_bench.records.run_directory import RunDirectory

FOLDERS = ("*/seed-*", "witness/*/seed-*", "witness/*/seed-*/learning_rate=*")
ENDED = ("summary.json", "witness.json")


@dataclass
class Merged:
    """What `merge` did with the runs and witnesses of a suite's folder."""

    taken: int = 0
    there: int = 0  # before
    not_ended: int = 0
    refused: list[str] = field(default_factory=list)  # and why

    def in_words(self) -> str:
        return f"{self.taken} taken, {self.there} there before, {self.not_ended} not ended"


def merge(source: Path, target: Path) -> Merged:
    """Take what has ended in the suite's folder `source` into `target`, checkpoints too.

    A run that is damaged, or in `target` with other contents, is refused; the others go on.
    """
    ended = ended_folders(source)
    begun = [path for each in FOLDERS for path in find_paths(source, f"{each}/run.json")]
    merged = Merged(not_ended=len({path.parent for path in begun} - set(ended)))
    for folder in ended:
        directory = RunDirectory(target / folder.relative_to(source))
        try:
            directory.create()
            with locked(directory):
                new = take(folder, directory.path, checkpoint=True)
        except UserError as error:
            merged.refused.append(str(error))
        else:
            merged.taken += new
            merged.there += not new
    return merged


def ended_folders(suite: Path) -> list[Path]:
    """The runs that have ended, and the witnesses, in a suite's folder. Follows links."""
    folders = [folder for pattern in FOLDERS for folder in find_paths(suite, pattern)]
    return [folder for folder in folders if any((folder / name).exists() for name in ENDED)]


def take(source: Path, target: Path, *, checkpoint: bool) -> bool:
    """Copy the files of an ended run or of a witness; False if all of them are there already.

    The one that says that it has ended is the last: what was interrupted is not taken for a run,
    and goes on. Raises UserError, before anything is written, if the run is damaged, or if `target`
    has a file with other contents.
    """
    if (source / "summary.json").exists():
        RunDirectory(source).summary(checkpoint=checkpoint)
        RunDirectory(source).read_state({})
    if (source / "witness.json").exists():
        seals.read_sealed(source / "witness.json")
    names = (*seals.SEALED, *([seals.CHECKPOINT] if checkpoint else []), *ENDED)
    contents = {name: data for name in names if (data := read(source / name)) is not None}
    there = {name: read(target / name) for name in contents}
    if differing := [name for name in contents if there[name] not in (None, contents[name])]:
        raise UserError(
            f"{target} has another {' and '.join(differing)} than {source}: left as it is"
        )
    missing = [name for name in contents if there[name] is None]
    with writing(target):
        make_folder(target)
    for name in missing:
        write_atomically(target / name, contents[name])
    return bool(missing)
