package io.kbridge.plan.machine;

import static io.kbridge.plan.machine.Assembler.R10;
import static io.kbridge.plan.machine.Assembler.R11;
import static io.kbridge.plan.machine.Assembler.R12;
import static io.kbridge.plan.machine.Assembler.R13;
import static io.kbridge.plan.machine.Assembler.R14;
import static io.kbridge.plan.machine.Assembler.R15;
import static io.kbridge.plan.machine.Assembler.R8;
import static io.kbridge.plan.machine.Assembler.R9;
import static io.kbridge.plan.machine.Assembler.RAX;
import static io.kbridge.plan.machine.Assembler.RBP;
import static io.kbridge.plan.machine.Assembler.RBX;
import static io.kbridge.plan.machine.Assembler.RCX;
import static io.kbridge.plan.machine.Assembler.RDI;
import static io.kbridge.plan.machine.Assembler.RDX;
import static io.kbridge.plan.machine.Assembler.RSI;
import static io.kbridge.plan.machine.Assembler.RSP;
import static org.junit.Assert.assertEquals;

import java.util.function.Consumer;
import org.junit.Test;

/** Instructions are those that GNU's assembler writes, with registers and offsets at the ends of what there is. */
public class AssemblerTest {
  @Test
  public void vectorsInMemory() {
    expect("62d17c48105c2401", code -> code.load(3, R12, 64));
    expect("62e17c48104c2402", code -> code.load(17, RSP, 128));
    expect("62517c48114dff", code -> code.store(R13, -64, 9));
    expect("62617c4811bd45230100", code -> code.store(RBP, 0x12345, 31));
    expect("62427d48187501", code -> code.broadcast(30, R13, 4));
    expect("62627d4818b000100000", code -> code.broadcast(30, RAX, 4096));
    expect("62f27550b84b0f", code -> code.addProduct(1, 17, RBX, 60));
    expect("62622d50a84717", code -> code.multiplyAndAdd(24, 26, RDI, 92));
    expect("62c13c5859497f", code -> code.product(17, 8, R9, 508));
    expect("62d16c48585740", code -> code.add(2, R15, 4096));
    expect("626124505d5b04", code -> code.atMost(27, RBX, 16));
  }

  @Test
  public void vectorsInRegisters() {
    expect("62c20d40b8e7", code -> code.addProduct(20, 30, 15));
    expect("62916c4058d7", code -> code.sum(2, 18, 31));
    expect("62317c485ce0", code -> code.difference(12, 0, 16));
    expect("629154485fef", code -> code.max(5, 5, 31));
    expect("620114405dc9", code -> code.min(25, 29, 25));
    expect("6201644859d6", code -> code.product(26, 3, 30));
    expect("621134485ecb", code -> code.quotient(9, 9, 27));
    expect("62820d40a8ce", code -> code.multiplyAndAdd(17, 30, 30));
    expect("62010540efff", code -> code.zero(31));
    expect("62517c4828eb", code -> code.copy(13, 11));
    expect("c5f877", Assembler::leaveVectors);
  }

  @Test
  public void masks() {
    expect("62d17cc9106003", code -> code.loadIf(1, 4, R8, 192));
    expect("62e17c49118e40200000", code -> code.storeIf(1, RSI, 8256, 17));
    expect("c4c178908a46000000", code -> code.readMask(1, R10, 70));
  }

  @Test
  public void halves() {
    expect("62020e4052dd", code -> code.addPairs(27, 30, 29));
    expect("62627d4833700362910d4072f610", code -> code.loadHalf(30, RAX, 96));
    expect("62a27e4872db62e17c28119a20100000", code -> code.storeHalf(RDX, 4128, 19));
  }

  @Test
  public void generalRegisters() {
    expect("4c8ba42408000000", code -> code.read(R12, RSP, 8));
    expect("49898d10000000", code -> code.write(R13, 16, RCX));
    expect("4989fe", code -> code.move(R14, RDI));
    expect("4803842408000000", code -> code.addNumber(RAX, RSP, 8));
    expect("4d01c7", code -> code.addRegister(R15, R8));
    expect("4881c4e8ffffff", code -> code.add(RSP, -24));
    expect("4d69f610000000", code -> code.multiply(R14, 16));
    expect("4983fb01", code -> code.compare(R11, 1));
    expect("483b8310000000", code -> code.compare(RAX, RBX, 16));
    expect("49ffcc", code -> code.decrement(R12));
    expect("4883e4c0", code -> code.alignDown(RSP));
    expect("49c7c405000000", code -> code.set(R12, 5));
    expect("89c0", code -> code.keepInt(RAX));
    expect("4157", code -> code.push(R15));
    expect("5d", code -> code.pop(RBP));
    expect("410f18942440000000", code -> code.prefetch(R12, 64));
    expect("41ff942408000000", code -> code.call(R12, 8));
  }

  @Test
  public void jumpsInBothDirections() {
    expect(
        "0f840b0000000f85f4ffffffe9efffffffc3",
        code -> {
          Assembler.Label end = new Assembler.Label();
          Assembler.Label start = code.here();
          code.jumpIfEqual(end);
          code.jumpUnlessEqual(start);
          code.jump(start);
          code.place(end);
          code.giveBack();
        });
  }

  private static void expect(String bytes, Consumer<Assembler> write) {
    Assembler code = new Assembler();
    write.accept(code);
    StringBuilder written = new StringBuilder();
    for (byte one : code.code()) {
      written.append(String.format("%02x", one));
    }
    assertEquals(bytes, written.toString());
  }
}
