import io.kbridge.ExportReport;
import io.kbridge.KBridgeException;
import io.kbridge.KBridgePython;
import io.kbridge.ParityReport;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.function.Supplier;

/** Asks Python for everything, right and wrong, and says what came; the test looks at it. */
final class Asks {
  private Asks() {}

  public static void main(String[] args) throws IOException {
    Path folder = Path.of(args[0]);
    Path one = folder.resolve("one.keras");
    Path bundle = folder.resolve("one.h5");
    KBridgePython python = KBridgePython.create();
    ExportReport report = python.export(one, bundle);
    say("export", () -> report.model() + ", " + report.operations() + ", " + report.weightBytes() + ", " + report.notes());
    ParityReport same = python.check(one, bundle);
    say("check", () -> same.ok() + " " + (same.layers() >= 2 && same.orThrow().maxAbsoluteError() < 1e-5));
    ParityReport other = python.check(folder.resolve("two.keras"), bundle);
    say("check of another", () -> other.ok() + " " + other.firstDivergence().orElse("none") + " " + failure(other::orThrow).split(" ")[0]);
    say("missing", () -> failure(() -> python.export(folder.resolve("none.keras"), bundle)));
    say("bad", () -> failure(() -> python.export(folder.resolve("bad.keras"), bundle)));
    kill(0);
    say("killed", () -> failure(() -> python.export(one, bundle)));
    say("after the kill", () -> python.export(one, bundle).model());
    python.close();
    say("closed", () -> failure(() -> python.export(one, bundle)));
    try (KBridgePython hasty = KBridgePython.builder().timeout(Duration.ofMillis(50)).build()) {
      say("slow", () -> failure(() -> hasty.export(one, bundle)));
    }
    say("no python", () -> failure(() -> KBridgePython.builder().python("no-such-python").build().export(one, bundle)));
    Path dying = folder.resolve("dying");
    Files.writeString(dying, "#!/bin/sh\nexit 3\n");
    Files.setPosixFilePermissions(dying, PosixFilePermissions.fromString("rwx------"));
    say("dies", () -> failure(() -> KBridgePython.builder().python(dying.toString()).build().export(one, bundle)));
  }

  private static void kill(int which) {
    ProcessHandle.current().children().skip(which).findFirst().orElseThrow().destroyForcibly();
  }

  private static void say(String what, Supplier<String> text) {
    System.out.println(what + " = " + text.get().replace("\n", " | "));
  }

  private static String failure(Supplier<?> call) {
    try {
      return "no error: " + call.get();
    } catch (KBridgeException e) {
      return e.code() + " " + e.getMessage();
    } catch (IllegalStateException e) {
      return e.getMessage();
    }
  }
}
