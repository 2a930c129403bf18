"""The benchmarks run: one small model, every engine that can, and a report."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from benchmarks import devices, report, results, run
from benchmarks.harness import Cell, EngineSpec, failure_reason


@pytest.mark.slow
def test_quick_run_times_every_engine_and_writes_the_report(tmp_path: Path) -> None:
    run.main(["--quick", "--output", str(tmp_path)])
    cells = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["cells"]
    timed = {
        (cell["section"], cell["engine"]["runner"], cell["engine"]["variant"])
        for cell in cells
        if cell["median"] is not None
    }
    assert timed >= {
        ("inference", "kbridge", "nd4j"),
        ("inference", "java:KBridgeEngine", "nd4j"),
        ("inference", "java:StockEngine", ""),
        ("inference", "java:OnnxRuntimeEngine", ""),
        ("inference", "tensorflow", "function"),
        ("inference", "tensorflow", "predict_on_batch"),
        ("inference", "onnxruntime", "-"),
        ("training", "kbridge-training", "auto"),
        ("training", "java:KBridgeTrainer", "auto"),
        ("training", "keras-training", "-"),
        ("training", "java:StockTrainer", ""),
        ("bridge", "kbridge", "auto"),
        ("bridge", "java:HostEngine", "auto"),
        ("bridge", "numpy", "new"),
    }
    for cell in cells:
        assert (cell["median"] is None) == (cell["failure"] is not None)
        if cell["median"] is not None:
            assert 0 < cell["min"] <= cell["median"] <= cell["p90"] <= cell["p99"]
            assert cell["peak_mb"] > 10
    text = (tmp_path / "REPORT.md").read_text(encoding="utf-8")
    assert "| Emotion model | 1 | stock DL4J (Java) |" in text
    assert "<svg" in (tmp_path / "latency.svg").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_device_is_timed_beside_tensorflow(capsys: pytest.CaptureFixture) -> None:
    devices.main(["--device", "cpu", "--models", "dense", "--batches", "2", "--seconds", "0.05"])
    row = capsys.readouterr().out.splitlines()[-1]
    times = [float(cell) for cell in row.split("|")[2:-1]]
    assert row.startswith("| dense 2 |")
    assert len(times) == 4 and min(times) > 0


def cell(title: str, milliseconds: float, ours: bool = False, language: str = "Python") -> Cell:
    found = Cell("inference", "m", 1, EngineSpec(title, "", "", "", ours, language))
    found.take([[int(milliseconds * 1e6)]])
    return found


def test_ratio_is_that_of_the_fastest_peer_called_from_the_same_language() -> None:
    ours = cell("ours", 2, ours=True)
    cells = [ours, cell("slow", 8), cell("fast", 3), cell("java", 1, language="Java")]
    assert math.isclose(report.ratio(ours, cells), 1.5)
    assert report.ratio(cells[1], cells) is None
    assert report.ratio(ours, [ours]) is None


def test_geometric_mean_is_of_ratios_that_there_are() -> None:
    cells = [cell("ours", 2, ours=True), cell("peer", 8)]
    other = [cell("ours", 5, ours=True), cell("peer", 5)]
    for one in other:
        one.workload = "another"
    alone = cell("ours", 1, ours=True)
    alone.workload = "alone"
    mean = report.geometric_mean([*cells, *other, alone], "ours (Python)")
    assert mean is not None
    assert math.isclose(mean, 2.0)
    assert report.geometric_mean(cells, "nobody") is None


def test_each_round_counts_once_in_a_median() -> None:
    found = cell("x", 1)
    found.take([[1_000_000, 2_000_000, 3_000_000], [9_000_000, 10_000_000]])
    assert (found.calls, found.min, found.median) == (5, 1.0, 5.75)
    assert found.round_medians == [2.0, 9.5]


@pytest.mark.parametrize(
    ("errors", "status", "reason"),
    [
        ("noise\n", -9, "ended by signal 9"),
        (
            "java.lang.IllegalStateException: outer\n\tat a.b(C.java:1)\n"
            "Caused by: java.io.IOException: inner\n\t... 3 more\n",
            1,
            "java.io.IOException: inner",
        ),
        ("Traceback (most recent call last):\nkbridge.errors.X: no\nValueError: bad\n", 1, None),
        ("", 3, "exit status 3"),
    ],
)
def test_failure_reason_is_the_line_that_says_why(
    errors: str, status: int, reason: str | None
) -> None:
    assert failure_reason(errors, status) == (reason or "ValueError: bad")


MACHINE = {"CPU": "one", "memory": "24 GB", "date": "today"}


def test_rows_of_an_earlier_run_are_kept_unless_they_are_timed_again(tmp_path: Path) -> None:
    before = [cell("a", 1.0), cell("b", 2.0)]
    path = tmp_path / "results.json"
    results.save(path, MACHINE, before)
    again = cell("b", 3.0)
    training = cell("a", 4.0)
    training.section = "training"
    kept = results.kept(path, {**MACHINE, "date": "tomorrow"})
    found = results.merged(kept, [training, again], ["inference", "training"])
    assert found == [before[0], again, training]
    assert results.kept(tmp_path / "no.json", MACHINE) == []


def test_rows_of_another_machine_are_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    results.save(path, MACHINE, [cell("a", 1.0)])
    with pytest.raises(results.OtherMachineError, match="Run without --keep"):
        results.kept(path, {**MACHINE, "CPU": "another"})


def test_a_run_that_keeps_rows_writes_beside_them(tmp_path: Path) -> None:
    assert run._options(["--only", "gru"]).output != run.HERE
    assert run._options(["--only", "gru", "--keep"]).output == run.HERE
