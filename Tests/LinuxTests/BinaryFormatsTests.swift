import Core
import Testing

@testable import Linux

private let arm64 = """
  enabled
  interpreter /usr/bin/qemu-aarch64-static
  flags: OCF
  offset 0
  magic 7f454c460201010000000000000000000200b700
  mask ffffffffffffff00fffffffffffffffffeffffff
  """

@Test func interpretersAreFoundByAProgramsFirstBytes() throws {
  let format = try #require(BinaryFormats.Format(arm64))
  #expect(format.interpreter == "/usr/bin/qemu-aarch64-static")
  let header = try #require(try Platform("linux/arm64").programHeader)
  #expect(format.matches(header))
  #expect(!format.matches(try #require(try Platform("linux/s390x").programHeader)))
  #expect(!format.matches(Array(header.dropLast())))
  // As big-endian and position-independent programs have it.
  var moved = header
  moved[16] = 3
  #expect(format.matches(moved))
}

@Test func whatNoInterpreterCanDoIsAdvised() throws {
  let platform = try Platform("linux/arm64")
  let none = BinaryFormats.advice(for: platform, BinaryFormats([]))
  #expect(none.contains("qemu-user-static") && none.contains("no interpreter for linux/arm64"))
  #expect(BinaryFormats.advice(for: platform, nil).contains("qemu-user-static"))
  let text = arm64.replacing("OCF", with: "OC")
  let local = BinaryFormats.advice(for: platform, BinaryFormats([try #require(BinaryFormats.Format(text))]))
  #expect(local.contains("without the flag F"))
}

@Test(arguments: [
  "", "disabled\ninterpreter /x\nmagic 7f", "enabled\ninterpreter /x\nextension .exe", "enabled\nmagic 7f",
  "enabled\ninterpreter /x\nmagic 7", "enabled\ninterpreter /x\nmagic zz", "enabled\ninterpreter /x\nmagic 7f\nmask ",
  "enabled\ninterpreter /x\nmagic 7f45\nmask ff",
])
func formatsThatAreNoneAreRefused(text: String) {
  #expect(BinaryFormats.Format(text) == nil || text.hasSuffix("mask "))
}

@Test func formatsAreReadFromTheKernelsDirectory() throws {
  let directory = try HostPath.makeTemporaryDirectory("/tmp/stave-binfmt-test-")
  defer { try? HostPath.removeTree(directory) }
  #expect(BinaryFormats.read(directory) == nil)
  try HostPath.write(Array("enabled\n".utf8), to: directory + "/status")
  try HostPath.write(Array(arm64.utf8), to: directory + "/qemu-aarch64")
  #expect(BinaryFormats.read(directory)?.formats.count == 1)
  try HostPath.write(Array("disabled\n".utf8), to: directory + "/status")
  #expect(BinaryFormats.read(directory)?.formats.isEmpty == true)
}
