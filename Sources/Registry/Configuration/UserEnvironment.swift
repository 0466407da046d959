internal import Linux

/// Who asks, and where their settings are.
public struct UserEnvironment: Sendable {
  /// The environment variables.
  public var variables: [String: String]
  /// The user, as the machine knows him, whatever user namespace the process is in.
  public var userID: UInt32
  /// What stands before `/etc` and `/run`: nothing, outside of tests.
  public var root: String

  public init(variables: [String: String], userID: UInt32, root: String = "") {
    self.variables = variables
    self.userID = userID
    self.root = root
  }

  /// Those of this process.
  public static var current: UserEnvironment {
    var variables: [String: String] = [:]
    for entry in Machine.environment {
      guard let equals = entry.firstIndex(of: "=") else { continue }
      variables[String(entry[..<equals])] = String(entry[entry.index(after: equals)...])
    }
    // Services and cron jobs may have none.
    if variables["HOME"] ?? "" == "" { variables["HOME"] = UserNamespace.facts.home }
    return UserEnvironment(
      variables: variables, userID: UserNamespace.entered?.uid ?? Machine.effectiveUserID)
  }

  /// `variables` as a program is given them, sorted.
  var list: [String] { variables.map { "\($0.key)=\($0.value)" }.sorted() }

  /// `$HOME`; nil unless it is absolute.
  var home: String? { absolute("HOME") }

  /// `$XDG_CONFIG_HOME`, else `~/.config`.
  var configHome: String? { absolute("XDG_CONFIG_HOME") ?? home.map { $0 + "/.config" } }

  /// `$DOCKER_CONFIG`, else `~/.docker`.
  var dockerConfig: String? { value("DOCKER_CONFIG") ?? home.map { $0 + "/.docker" } }

  /// The variable's value; nil if it is missing or empty.
  func value(_ name: String) -> String? { variables[name].flatMap { $0.isEmpty ? nil : $0 } }

  private func absolute(_ name: String) -> String? { value(name).flatMap { $0.hasPrefix("/") ? $0 : nil } }
}
