public import Core

/// The interpreters by which the kernel runs programs of other processors (binfmt_misc).
public struct BinaryFormats: Sendable, Equatable {
  /// One that is switched on.
  struct Format: Sendable, Equatable {
    var interpreter: String
    /// `OCF`; with F the interpreter was opened when it was registered, so that it is found in every root directory.
    var flags: String
    var offset: Int
    var magic: [UInt8]
    /// As long as `magic`.
    var mask: [UInt8]

    func matches(_ header: [UInt8]) -> Bool {
      guard offset >= 0, offset + magic.count <= header.count else { return false }
      return magic.indices.allSatisfy { header[offset + $0] & mask[$0] == magic[$0] & mask[$0] }
    }
  }

  let formats: [Format]

  init(_ formats: [Format]) { self.formats = formats }

  /// What is registered; nil where that can't be seen, as in most containers.
  public static func read(_ directory: String = "/proc/sys/fs/binfmt_misc") -> BinaryFormats? {
    guard let status = try? HostPath.read("\(directory)/status", limit: 64),
      let names = try? Directory(directory).entries()
    else { return nil }
    if status.starts(with: "disabled".utf8) { return BinaryFormats([]) }
    let texts = names.map { String(decoding: $0, as: UTF8.self) }.sorted()
      .filter { $0 != "status" && $0 != "register" }
      .compactMap { try? HostPath.read("\(directory)/\($0)", limit: 65536) }
    return BinaryFormats(texts.compactMap { Format(String(decoding: $0, as: UTF8.self)) })
  }

  /// Why programs of `platform` do not run, as far as it is known, and what to do; a hint.
  public static func advice(for platform: Platform, _ formats: BinaryFormats? = .read()) -> String {
    let install =
      "install the package qemu-user-static on this machine, which registers an interpreter for \(platform)"
    guard let formats, let header = platform.programHeader else { return install }
    guard let format = formats.formats.first(where: { $0.matches(header) }) else {
      return "the kernel has no interpreter for \(platform): " + install
    }
    if format.flags.contains("F") { return "the kernel runs programs for \(platform) by \(format.interpreter)" }
    return "\(format.interpreter) is registered without the flag F, so that it is not found in an image: " + install
  }
}

extension BinaryFormats.Format {
  /// Reads what the kernel says of one; nil if it is switched off or goes by a file's name.
  init?(_ text: String) {
    var lines = text.split(separator: "\n").map { $0.split(separator: " ", maxSplits: 1).map(String.init) }
    guard !lines.isEmpty, lines.removeFirst() == ["enabled"] else { return nil }
    func value(_ key: String) -> String? {
      lines.first { $0[0] == key || $0[0] == key + ":" }.map { $0.count > 1 ? $0[1] : "" }
    }
    guard let interpreter = value("interpreter"), let magic = value("magic").flatMap(Self.bytes) else { return nil }
    let mask = value("mask").flatMap(Self.bytes) ?? [UInt8](repeating: 255, count: magic.count)
    guard mask.count == magic.count else { return nil }
    self.init(
      interpreter: interpreter, flags: value("flags") ?? "", offset: value("offset").flatMap { Int($0) } ?? 0,
      magic: magic, mask: mask)
  }

  private static func bytes(_ hex: String) -> [UInt8]? {
    let digits = hex.utf8.map { Character(UnicodeScalar($0)).hexDigitValue }
    guard digits.count.isMultiple(of: 2), !digits.isEmpty else { return nil }
    return stride(from: 0, to: digits.count, by: 2).reduce(into: [UInt8]?([])) { bytes, at in
      guard let high = digits[at], let low = digits[at + 1] else { return bytes = nil }
      bytes?.append(UInt8(high * 16 + low))
    }
  }
}

extension Platform {
  /// The first bytes of a program for it (ELF), nil where they are not known.
  var programHeader: [UInt8]? {
    let kind: (machine: UInt8, high: UInt8, is64: Bool, isBigEndian: Bool)? =
      switch architecture {
      case "386": (3, 0, false, false)
      case "amd64": (62, 0, true, false)
      case "arm": (40, 0, false, false)
      case "arm64": (183, 0, true, false)
      case "loong64": (2, 1, true, false)
      case "mips64le": (8, 0, true, false)
      case "ppc64le": (21, 0, true, false)
      case "riscv64": (243, 0, true, false)
      case "s390x": (22, 0, true, true)
      default: nil
      }
    guard os == "linux", let kind else { return nil }
    var header: [UInt8] = [127, 69, 76, 70, kind.is64 ? 2 : 1, kind.isBigEndian ? 2 : 1, 1]
    header += [UInt8](repeating: 0, count: 9)
    header += kind.isBigEndian ? [0, 2, kind.high, kind.machine] : [2, 0, kind.machine, kind.high]
    return header
  }
}
