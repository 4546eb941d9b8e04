# SPDX-License-Identifier: Apache-2.0
"""Ablation: one training run for each combination of settings and each seed, and their table.

``python -m training.ablate --ablation training/ablations/depth.yaml --out out/ablation/depth``
draws generated streets into ``OUT/streets``, trains in ``OUT/runs/SETTINGS/SEED`` and writes
``OUT/table.md``: mean and standard deviation over the seeds. What is finished is not done again;
an ``OUT`` whose streets or runs were made with other settings is refused.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from training.ablation import DATASET, Ablation, Streets, load_ablation
from training.ablation_table import table
from training.arguments import output_folder, positive_int
from training.config import ConfigError
from training.config_file import with_overrides
from training.final_report import FIGURES, FOLDER
from training.run_state import changed_entries
from training.streets.appearance import Split
from training.streets.write import CityscapesWriter, IndexDamagedError


def check_earlier_runs(ablation: Ablation, out: Path) -> None:
    """Make sure that the streets and runs in ``out`` are of the ablation as it is now.

    Raises:
        ConfigError: If one of them has other settings, which the message names, or two
            combinations would have the same folder.
    """
    folders: dict[Path, str] = {}
    for combination in ablation.combinations():
        name = " / ".join(combination)
        other = folders.setdefault(run_folder(out, combination, 0), name)
        if other != name:
            raise ConfigError(
                f"axes: got {other} and {name}, expected names that differ in letters or digits"
            )
    remedy = "give another --out, or move it away"
    pairs: list[tuple[Path, dict[str, Any]]] = [
        (_record(out / "streets"), dataclasses.asdict(ablation.streets))
    ]
    for combination, seed in itertools.product(ablation.combinations(), ablation.seeds):
        overrides = _run_overrides(ablation, combination, seed, out)
        config = with_overrides(ablation.config, overrides)
        pairs.append((run_folder(out, combination, seed) / "config.yaml", config.to_dict()))
    for path, settings in pairs:
        if not path.exists():
            continue
        try:
            stored = yaml.safe_load(path.read_text(encoding="utf-8"))
        except yaml.YAMLError:
            stored = None
        if not isinstance(stored, dict):
            raise ConfigError(f"{path}: got no settings in YAML; {remedy}")
        changes = changed_entries(stored, settings)
        # The folder may be named in another way, or have been moved.
        own = ("output:", f"datasets.{DATASET}.root:")
        changes = [change for change in changes if not change.startswith(own)]
        if changes:
            raise ConfigError(
                f"{path.parent} was made with other settings ({'; '.join(changes)}); {remedy}"
            )


def draw_streets(streets: Streets, root: Path, workers: int = 1) -> None:
    """Draw the frames that are not there yet, with so many processes.

    Raises:
        IndexDamagedError: If the index of those that are there cannot be read.
        subprocess.CalledProcessError: If this machine cannot; it has said why.
    """
    root.mkdir(parents=True, exist_ok=True)
    _record(root).write_text(json.dumps(dataclasses.asdict(streets)), encoding="utf-8")
    height, width = streets.size
    parts: tuple[tuple[Split, int], ...] = (("train", streets.train), ("val", streets.val))
    for split, frames in parts:
        # The index lists whole frames alone; an image file may be from an interrupted drawing.
        if not set(range(frames)) <= CityscapesWriter(root, split).listed(streets.seed).keys():
            command = [sys.executable, "-m", "training.streets.render", "--out", str(root)]
            command += ["--split", split, "--frames", str(frames), "--resume"]
            command += ["--size", f"{width}x{height}", "--seed", str(streets.seed)]
            command += ["--workers", str(workers)]
            subprocess.run(command, check=True)


def run(
    ablation: Ablation, combination: Sequence[str], seed: int, out: Path
) -> dict[str, float] | None:
    """Train and evaluate one combination with one seed, unless it is done already.

    What lies in its folder must be of the same settings (``check_earlier_runs``).

    Returns:
        Its figures; None of a run that failed.
    """
    folder = run_folder(out, combination, seed)
    if not _is_done(ablation, folder):
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "run.yaml"
        config.write_text(yaml.safe_dump(ablation.config, sort_keys=False), encoding="utf-8")
        command = [sys.executable, "-m", "training.train", "--config", str(config)]
        for override in _run_overrides(ablation, combination, seed, out):
            command += ["--set", override]
        with (folder / "output.txt").open("w", encoding="utf-8") as output:
            subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False)
    figures = figures_of(folder) if _is_done(ablation, folder) else None
    state = f"failed, see {folder / 'output.txt'}" if figures is None else "done"
    print(f"{' / '.join(combination)}, seed {seed}: {state}", flush=True)
    return figures


def _run_overrides(
    ablation: Ablation, combination: Sequence[str], seed: int, out: Path
) -> list[str]:
    return [
        *ablation.overrides(combination),
        f"datasets.{DATASET}.root={out / 'streets'}",
        f"output={run_folder(out, combination, seed)}",
        f"loop.seed={seed}",
    ]


def _is_done(ablation: Ablation, folder: Path) -> bool:
    # A kill may have come between the reports.
    return all((folder / FOLDER / name / FIGURES).exists() for name in ablation.reported())


def _record(streets: Path) -> Path:
    return streets / "settings.json"


def figures_of(folder: Path) -> dict[str, float] | None:
    """Read the figures of a run, those of other datasets than the streets as ``NAME:FIGURE``.

    Means over nothing are left out.

    Returns:
        None if it has none.
    """
    figures: dict[str, float] = {}
    for path in (folder / FOLDER).glob(f"*/{FIGURES}"):
        prefix = "" if path.parent.name == DATASET else f"{path.parent.name}:"
        values = json.loads(path.read_text(encoding="utf-8"))
        known = {name: value for name, value in values.items() if value is not None}
        figures |= {prefix + name: value for name, value in known.items()}
    return figures or None


def run_folder(out: Path, combination: Sequence[str], seed: int) -> Path:
    """Return where a run lies."""
    name = "-".join(re.sub(r"\W+", "_", setting.lower()) for setting in combination)
    return out / "runs" / name / str(seed)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.ablate", description=__doc__)
    parser.add_argument(
        "--ablation",
        type=Path,
        required=True,
        metavar="FILE",
        help="YAML file, see training/ablations",
    )
    parser.add_argument(
        "--out",
        type=output_folder,
        required=True,
        metavar="FOLDER",
        help="of streets, runs and the table",
    )
    parser.add_argument(
        "--jobs", type=positive_int, default=1, help="runs at a time (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    try:
        ablation = load_ablation(options.ablation)
        check_earlier_runs(ablation, options.out)
        draw_streets(ablation.streets, options.out / "streets", options.jobs)
    except (ConfigError, IndexDamagedError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError:
        return 1
    # Seeds outermost: a table of fewer seeds is there early.
    jobs = [(c, seed) for seed in ablation.seeds for c in ablation.combinations()]
    try:
        with ThreadPoolExecutor(options.jobs) as executor:
            # A terminal's Ctrl-C reaches the runs, too, which save; the others are not begun.
            results = list(
                executor.map(lambda job: run(ablation, job[0], job[1], options.out), jobs)
            )
    except KeyboardInterrupt:
        print("interrupted: the same command goes on", file=sys.stderr)
        return 128 + signal.SIGINT
    figures: dict[tuple[str, ...], list[dict[str, float]]] = {
        combination: [] for combination in ablation.combinations()
    }
    for (combination, _), result in zip(jobs, results, strict=True):
        if result is not None:
            figures[combination].append(result)
    text = table(ablation, figures)
    (options.out / "table.md").write_text(text, encoding="utf-8")
    print(text)
    return 1 if None in results else 0


if __name__ == "__main__":
    sys.exit(main())
