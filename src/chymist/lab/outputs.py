"""The files for other programs that a study makes of what a run found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from chymist.lab import planning
from chymist.lab.measured import kept_input
from chymist.lab.plan import read_plan
from chymist.lab.run import Run, branch
from chymist.study import Experiment, Output


def outputs(run: Run) -> dict[str, Callable[[Path], None]]:
    """Return the files that can be made of a sealed run, and what writes each to a path.

    Of a run that was swept, the data of all its points go into one file's making.

    Raises:
        UnfinishedRun: the run is not sealed.
        CannotResume: its study is not here, or the run is of format 1, which has no plan.
    """
    run.require_sealed()
    if not run.chunks:
        return {}
    plan = read_plan(run.folder)
    study = planning.study_of(plan, run.folder)
    measured = {chunk.experiment for chunk in run.chunks}

    def writer(experiment: Experiment, output: Output) -> Callable[[Path], None]:
        def write(path: Path) -> None:
            data = run.data[branch(experiment.name, "treatment")].to_dataset()
            cell = study.params.parse(plan["parameters"]).cells()[0]
            given = kept_input(run.folder, plan)
            with path.open("w", encoding="utf-8") as stream:
                stream.writelines(output.write(cell, data, given))

        return write

    return {
        output.name: writer(experiment, output)
        for experiment in study.experiments
        if experiment.name in measured
        for output in experiment.outputs
    }
