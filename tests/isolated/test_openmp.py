"""How long OpenMP's threads spin is settled before libgomp is loaded, in Java processes too."""

import os
import subprocess

import pytest

from kbridge.jvm import jars, java

PROGRAM = """
import io.kbridge.KBridge;
import java.nio.file.Path;
import org.nd4j.linalg.factory.Nd4j;

public class Program {
  public static void main(String[] args) {
    try (var model = KBridge.load(Path.of(args[0]))) {
      System.out.println(model.predict(Nd4j.ones(2, 3)));
    }
  }
}
"""


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "2000"), ({"GOMP_SPINCOUNT": "77"}, "77"), ({"OMP_WAIT_POLICY": "passive"}, "0")],
)
def test_java_process(identity_bundle, tmp_path, given, expected):
    source = tmp_path / "Program.java"
    source.write_text(PROGRAM, encoding="utf-8")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("GOMP_", "OMP_"))}
    done = subprocess.run(
        [
            str(java.find_java().home / "bin" / "java"),
            "-cp",
            os.pathsep.join(map(str, jars.resolve_classpath(device="cpu"))),
            str(source),
            str(identity_bundle([("x", (None, 3), "float32")])),
        ],
        env={**clean, "OMP_DISPLAY_ENV": "VERBOSE", **given},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "1.0000" in done.stdout
    assert f"GOMP_SPINCOUNT = '{expected}'" in done.stderr
