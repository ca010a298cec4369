"""The commands that reproduce a suite's runs."""

from pathlib import Path

from analysis import formatting
from analysis.frames import select
from analysis.frames.witnesses import Witnesses
from analysis.results import SuiteResults
from resnet_bench.paths import REFERENCE


def commands(runs: SuiteResults) -> list[str]:
    """The commands, a line each; a comment where there is more than one commit to check out."""
    declared = select.declared(runs.finals)
    suite, seeds = declared["suite"].iloc[0], int(declared["seed"].max()) + 1
    folder = Path(declared["directory"].iloc[0]).parents[2]
    # The committed results were trained in make's default folder, and copied from there.
    results = "" if folder.resolve() == REFERENCE.resolve() else formatting.results_setting(folder)
    return [
        *_checkout(runs),
        f"make sweep SUITE={suite} SEEDS={seeds}{results}",
        *(f"{command}{results}" for command in _witnesses(suite, runs.witnesses)),
        f"make verdict SUITE={suite}{results}",
        f"make verify SUITE={suite}{results}",
        f"make report SUITE={suite}{results}",
    ]


def _checkout(runs: SuiteResults) -> list[str]:
    """The commit of everything that is shown: runs, those of changed settings too, witnesses."""
    begun = runs.finals[(runs.finals["problem"] == "") & (runs.finals["status"] != "missing")]
    everything = [*begun["commit"], *runs.witnesses.points["commit"]]
    # A run that was resumed at another commit has both: "a then b".
    commits = dict.fromkeys(one for words in everything for one in words.split(" then "))
    commits.pop("unknown", None)
    if len(commits) > 1:
        return [f"# made at the commits {', '.join(commits)}"]
    return [f"git checkout {commit}" for commit in commits]


def _witnesses(suite: str, data: Witnesses) -> list[str]:
    """A command for each witness; CONTINUE=1 for those that were trained further."""
    continued = set(data.curves[["source", "deep", "seed"]].itertuples(index=False, name=None))
    return [
        f"make witness EXP={suite}/{point['source']} DEPTH={point['depth']} SEED={point['seed']}"
        + (" CONTINUE=1" if (point["source"], point["deep"], point["seed"]) in continued else "")
        for point in data.points.to_dict("records")
    ]
