"""Readings for TensorBoard and MLflow: read back with the packages themselves, where they are."""

import math
import sys

import pytest

from chymist.doctor import scalars
from chymist.doctor.chart import Chart, Reading
from chymist.doctor.checkup import Checkup
from chymist.errors import UsageError


def checkup():
    chart = Chart()
    chart.add("sharpness", Reading(0, {"": 15.0}))
    chart.add("sharpness", Reading(10, {"": 25.5}))
    chart.add("activity", Reading(10, {"body.0": 0.5, "body.2": math.inf}))
    return Checkup.of(chart)


def test_every_reading_is_a_scalar():
    assert list(scalars.scalars(checkup().chart)) == [
        ("chymist/sharpness", 0, 15.0),
        ("chymist/sharpness", 10, 25.5),
        ("chymist/activity/body.0", 10, 0.5),
        ("chymist/activity/body.2", 10, math.inf),
    ]


@pytest.mark.parametrize("package", ["tensorboard", "mlflow"])
def test_a_missing_package_is_named_with_what_to_install(tmp_path, monkeypatch, package):
    for name in (package, "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=rf"{package} is not installed \(pip install {package}\)"):
        if package == "mlflow":
            scalars.write_mlflow(checkup())
        else:
            scalars.write_tensorboard(checkup(), tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_tensorboard_reads_what_was_written(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    scalars.write_tensorboard(checkup(), tmp_path)
    read = EventAccumulator(str(tmp_path)).Reload()
    tags = read.Tags()["scalars"]
    assert set(tags) == {tag for tag, _, _ in scalars.scalars(checkup().chart)}
    found = [(e.step, e.value) for e in read.Scalars("chymist/sharpness")]
    assert found == [(0, 15.0), (10, 25.5)]
    text = read.Tensors("chymist/findings/text_summary")[0].tensor_proto.string_val[0]
    assert b"healthy" in text


@pytest.mark.filterwarnings("ignore")
def test_mlflow_reads_what_was_logged(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow = pytest.importorskip("mlflow")
    mlflow.set_tracking_uri(tmp_path.as_uri())
    mlflow.set_experiment("checkups")
    with mlflow.start_run() as run:
        scalars.write_mlflow(checkup())
    client = mlflow.MlflowClient()
    history = client.get_metric_history(run.info.run_id, "chymist/sharpness")
    assert [(m.step, m.value) for m in history] == [(0, 15.0), (10, 25.5)]
    assert client.get_run(run.info.run_id).data.tags["chymist"] == "healthy"
