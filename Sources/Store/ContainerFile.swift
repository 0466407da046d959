internal import Core
internal import Linux

/// The file that says what a container is and what has become of it: lines of JSON, each an object with one member.
///
/// The last `container` and the last `state` hold. To add a line makes no file and takes none away; a line whose writer
/// was killed in the middle counts as never written.
struct ContainerFile {
  let path: String

  /// The lines of a new file.
  static func lines(_ container: JSON, _ state: ContainerState) -> [UInt8] {
    line("container", container) + line("state", state.json)
  }

  private static func line(_ kind: String, _ value: JSON) -> [UInt8] {
    // The first end of line closes what a killed writer left.
    [UInt8(ascii: "\n")] + JSON.object([kind: value]).bytes + [UInt8(ascii: "\n")]
  }

  /// What is so from now on. Not synced unless `durable`.
  func append(state: ContainerState) throws { try append(Self.line("state", state.json), durable: false) }

  /// What is so from now on. Not synced unless `durable`.
  func append(container: JSON, durable: Bool) throws {
    try append(Self.line("container", container), durable: durable)
  }

  private func append(_ bytes: [UInt8], durable: Bool) throws {
    let file = try OpenFile(path, .appendExisting)
    try file.write(bytes)
    if durable { try file.sync() }
  }

  /// What the file says now: nil for what no whole line says.
  static func read(_ bytes: [UInt8]) -> (container: JSON?, state: ContainerState?) {
    var found: (container: JSON?, state: ContainerState?)
    guard let end = bytes.lastIndex(of: UInt8(ascii: "\n")) else { return found }
    for line in bytes[..<end].split(separator: UInt8(ascii: "\n")).reversed() {
      guard let json = try? JSON.parse(Array(line)) else { continue }
      if found.container == nil { found.container = json["container"] }
      if found.state == nil { found.state = json["state"].flatMap { try? ContainerState(json: $0) } }
      if found.container != nil, found.state != nil { break }
    }
    return found
  }
}
