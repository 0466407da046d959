internal import Core
internal import Linux

/// Which files say something of registries, as containers-registries.conf(5) and its .d have it.
struct ConfigurationFiles {
  struct Source {
    var path: String
    var isDropIn = false
    /// The user named it: it must be there.
    var isGiven = false
  }

  let environment: UserEnvironment
  /// The file that the command line or the environment named.
  let given: String?

  init(_ environment: UserEnvironment, given: String?) {
    self.environment = environment
    self.given =
      given ?? environment.value("CONTAINERS_REGISTRIES_CONF") ?? environment.value("REGISTRIES_CONFIG_PATH")
  }

  /// The files in the order in which each adds to those before. A user's own file stands in place of all of the
  /// system's, its drop-ins too; one that was named stands in place of the main files alone.
  func sources() throws -> [Source] {
    let system = "\(environment.root)/etc/containers/registries.conf"
    let own = environment.configHome.map { "\($0)/containers/registries.conf" }
    let ownDropIns = try own.map { try dropIns($0 + ".d") } ?? []
    if given == nil, let own, try exists(own) { return [Source(path: own)] + ownDropIns }
    let main = given.map { Source(path: $0, isGiven: true) } ?? Source(path: system)
    return [main] + (try dropIns(system + ".d")) + ownDropIns
  }

  /// docker's own settings, the first that is there.
  static func daemon(_ environment: UserEnvironment) -> [String] {
    let own = environment.userID == 0 ? nil : environment.configHome.map { "\($0)/docker/daemon.json" }
    return [own, "\(environment.root)/etc/docker/daemon.json"].compactMap { $0 }
  }

  /// The file's bytes; nil if there is none, or if it may not be read and nobody named it.
  static func read(_ source: Source, _ notice: (String) -> Void) throws -> [UInt8]? {
    do {
      return try HostPath.read(source.path, limit: TOML.maximumSize)
    } catch let error as SystemError {
      if source.isGiven { throw Failure("read \(source.path)", error.code.text) }
      if error.code != .noEntry, error.code != .notDirectory {
        notice("\(source.path) is not used: \(error.code.text)")
      }
      return nil
    }
  }

  private func exists(_ path: String) throws -> Bool {
    do { return try HostPath.status(path) != nil } catch is SystemError { return false }
  }

  private func dropIns(_ directory: String) throws -> [Source] {
    guard let names = try? Directory(directory).entries() else { return [] }
    return names.map { String(decoding: $0, as: UTF8.self) }.filter { $0.hasSuffix(".conf") }
      .map { Source(path: "\(directory)/\($0)", isDropIn: true) }
  }
}
