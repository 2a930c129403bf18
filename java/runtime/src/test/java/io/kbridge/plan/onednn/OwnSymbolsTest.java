package io.kbridge.plan.onednn;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;

import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import org.bytedeco.dnnl.presets.dnnl;
import org.bytedeco.javacpp.Loader;
import org.junit.Assume;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

public class OwnSymbolsTest {
  @Rule public final TemporaryFolder folder = new TemporaryFolder();

  @Test
  public void aLibraryIsChangedOnceAndKeepsSizeAndDate() throws Exception {
    Path library = folder.newFile().toPath();
    try (InputStream packed = dnnl.class.getResourceAsStream("/org/bytedeco/dnnl/" + Loader.getPlatform() + "/libdnnl.so.2")) {
      Assume.assumeNotNull(packed);
      Files.delete(library);
      Files.copy(packed, library);
    }
    FileTime date = FileTime.fromMillis(1_000_000_000_000L);
    Files.setLastModifiedTime(library, date);
    long size = Files.size(library);
    assertTrue(OwnSymbols.change(library));
    assertEquals(size, Files.size(library));
    assertEquals(date, Files.getLastModifiedTime(library));
    assertFalse(OwnSymbols.change(library));
  }

  @Test
  public void otherFilesAreLeftAlone() throws Exception {
    Path file = folder.newFile().toPath();
    Files.writeString(file, "no library, but longer than the header of one, which has sixty-four bytes");
    assertFalse(OwnSymbols.change(file));
  }
}
