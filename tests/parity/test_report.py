"""The report of a check: verdict, table, JSON and page."""

import json
import re

import numpy as np
import pytest

from kbridge import errors
from kbridge.parity.compare import LayerComparison, compare_groups
from kbridge.parity.comparison import ModelComparison
from kbridge.parity.report import ParityReport
from kbridge.parity.tolerance import Tolerance

TOLERANCE = Tolerance()


def layer(scope, error=0.0, call=0, class_name="Dense"):
    reference = np.linspace(-1, 1, 6, dtype="float32").reshape(2, 3)
    group = compare_groups({"v": reference + np.float32(error)}, {"v": reference}, TOLERANCE)
    made = LayerComparison(scope=scope, call=call, class_name=class_name)
    made.findings, made.arrays = group.findings, group.arrays
    return made


def report_of(*layers, output_error=0.0):
    outputs = layer("predictions", output_error)
    outputs.arrays[0].name = "predictions"
    comparison = ModelComparison(outputs=outputs, layers=list(layers), covered=["mha/query"])
    return ParityReport(
        model_name="a <model>",
        tolerance=TOLERANCE,
        comparison=comparison,
        samples=3,
        environment={"kbridge": "1", "CPU": "some <cpu>"},
        seconds={"native": 0.5, "jvm": 0.25},
    )


@pytest.fixture
def good():
    return report_of(layer("a", 1e-7), layer("b"), layer("b", call=1), output_error=2e-7)


@pytest.fixture
def bad():
    return report_of(layer("a", 1e-7), layer("b/c", 0.1), layer("d", 0.2), output_error=0.3)


def test_equal(good):
    assert good.ok
    assert good.first_divergence is None
    assert 1e-7 < good.max_error < 3e-6
    assert good.max_abs_error == pytest.approx(2e-7, rel=0.5)
    good.raise_if_failed()


def test_different_names_the_first_layer(bad):
    assert not bad.ok
    assert bad.first_divergence.label == "b/c"
    assert bad.max_abs_error == pytest.approx(0.3, rel=1e-5)
    with pytest.raises(errors.ParityError, match="first layer that diverges is 'b/c'") as caught:
        bad.raise_if_failed()
    assert "3 differences" in str(caught.value)
    assert "6 of 6 elements" in str(caught.value)


def test_equal_outputs_do_not_hide_a_layer_that_differs():
    report = report_of(layer("a", 0.1))
    assert not report.ok
    assert report.first_divergence.label == "a"


def test_table(good, bad):
    assert "EQUAL" in str(good)
    assert "b (call 1)" in str(good)
    text = str(bad)
    assert "DIFFERENT" in text
    assert "first layer that diverges: b/c (Dense)" in text
    assert len(re.findall("DIFFERS", text)) == 3
    assert "6/6" in text


def test_long_tables_keep_the_first_divergence_and_the_worst():
    layers = [layer(f"layer{i}", 1e-7 if i != 150 else 1.0) for i in range(300)]
    layers[200] = layer("layer200", 9e-6)
    text = str(report_of(*layers))
    assert "layer150" in text
    assert "layer147" in text
    assert "layer200" in text
    assert "Layers: 300, of which 1 differ" in text
    assert "layers" in text
    assert len(text.splitlines()) < 80


def test_json(bad, tmp_path):
    path = tmp_path / "report.json"
    bad.to_json(path)
    told = json.loads(path.read_text(encoding="utf-8"))
    assert told["ok"] is False
    assert told["first_divergence"] == "b/c"
    assert [entry["scope"] for entry in told["layers"]] == ["a", "b/c", "d"]
    assert told["outputs"][0]["out_of_tolerance"] == 6
    assert len(told["outputs"][0]["worst"]["index"]) == 2
    assert told["outputs"][0]["findings"][0]["kind"] == "value"


def test_json_holds_infinite_errors(tmp_path):
    broken = layer("a", np.nan)
    report = report_of(broken)
    report.to_json(tmp_path / "report.json")
    told = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert told["layers"][0]["values"][0]["max_error_in_tolerances"] == "inf"


@pytest.mark.parametrize("name", ["good", "bad"])
def test_page_needs_no_other_file(name, request, tmp_path):
    report = request.getfixturevalue(name)
    path = tmp_path / "report.html"
    report.to_html(path)
    page = path.read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert page.rstrip().endswith("</html>")
    # Name spaces of SVG are names, not addresses; nothing else may point anywhere.
    addresses = re.findall(r"https?://[^\s\"'<>]+", page)
    assert set(addresses) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not re.search(r"<(script|link|img|iframe)\b", page)
    assert "<svg" in page
    assert "<!DOCTYPE svg" not in page


def test_page_tells_the_first_divergence_and_escapes_names(bad, tmp_path):
    bad.to_html(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "a &lt;model&gt;" in page
    assert "<model>" not in page
    assert "some &lt;cpu&gt;" in page
    assert "first divergence: b/c" in page  # in the plot
    assert page.count('class="bad first"') == 1


def test_page_without_layers(tmp_path):
    report = report_of()
    report.to_html(tmp_path / "report.html")
    assert "<svg" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_page_is_the_same_each_time(bad, tmp_path):
    bad.to_html(tmp_path / "1.html")
    bad.to_html(tmp_path / "2.html")
    assert (tmp_path / "1.html").read_bytes() == (tmp_path / "2.html").read_bytes()
