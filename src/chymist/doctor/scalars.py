"""Readings as scalars for programs that draw them: TensorBoard, MLflow. Both are the user's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from chymist.doctor.chart import Chart
from chymist.doctor.checkup import Checkup
from chymist.errors import UsageError

PREFIX = "chymist"


def scalars(chart: Chart) -> Iterator[tuple[str, int, float]]:
    """Yield (tag, step, value) of every reading: chymist/quantity, or chymist/quantity/layer.

    >>> from chymist.doctor.chart import Reading
    >>> list(scalars(Chart(readings={"activity": [Reading(3, {"0": 0.5})]})))
    [('chymist/activity/0', 3, 0.5)]
    """
    for name, series in chart.readings.items():
        for reading in series:
            for layer, value in reading.values.items():
                yield "/".join(filter(None, (PREFIX, name, layer))), reading.step, value


def write_tensorboard(checkup: Checkup, folder: str | Path) -> None:
    """Write every reading as a scalar, and the findings as text, into a folder for TensorBoard.

    Raises:
        UsageError: TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise _missing("tensorboard") from error
    with SummaryWriter(str(folder)) as writer:
        for tag, step, value in scalars(checkup.chart):
            writer.add_scalar(tag, value, step)
        writer.add_text(f"{PREFIX}/findings", f"<pre>{checkup}</pre>")


def write_mlflow(checkup: Checkup) -> None:
    """Log every reading as a metric of MLflow's active run, and the verdict as a tag.

    Raises:
        UsageError: MLflow is not installed.
    """
    try:
        import mlflow
    except ImportError as error:
        raise _missing("mlflow") from error
    steps: dict[int, dict[str, float]] = {}
    for tag, step, value in scalars(checkup.chart):
        steps.setdefault(step, {})[tag] = value
    for step, values in sorted(steps.items()):
        mlflow.log_metrics(values, step=step)
    mlflow.set_tag(PREFIX, checkup.verdict)


def _missing(package: str) -> UsageError:
    return UsageError(f"{package} is not installed", f"pip install {package}")
