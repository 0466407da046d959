internal import Core
internal import Linux

/// Every verb of Stave, once. CLI and API call it in their own process; it holds no state but the store's place.
public final class Engine: Sendable {
  /// The store's directory.
  public let root: String

  /// An engine on the store `root`; nil takes `STAVE_ROOT`, else `/var/lib/stave` for root, else
  /// `$XDG_DATA_HOME/stave`. Nothing is opened yet.
  public init(root: String? = nil) {
    self.root = root ?? Machine.environment("STAVE_ROOT") ?? Engine.defaultRoot
  }

  /// The release's number.
  public static let version = "0.1.0"

  private static var defaultRoot: String {
    let user = UserNamespace.entered
    if (user?.uid ?? Machine.effectiveUserID) == 0 { return "/var/lib/stave" }
    if let data = Machine.environment("XDG_DATA_HOME"), data.hasPrefix("/") { return data + "/stave" }
    if let home = Machine.environment("HOME"), home.hasPrefix("/") { return home + "/.local/share/stave" }
    return (user?.home ?? "") + "/.local/share/stave"
  }
}
