import Core
import Foundation

/// Files that the tests read, found from this file's real place in the checkout.
enum Surroundings {
  /// The top folder of the checkout.
  static let checkout = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  static let goldens = checkout.appendingPathComponent("testdata/dockerfile")

  /// The cases of a conformance suite, or nil where the suites are not beside the checkout.
  static func cases(_ suite: String) throws -> [JSON]? {
    let file = checkout.deletingLastPathComponent().appendingPathComponent("shared/conformance/\(suite).json")
    guard let data = try? Data(contentsOf: file) else {
      print("skipped: \(suite).json is not in ../shared/conformance")
      return nil
    }
    return try JSON.parse([UInt8](data))["cases"]?.array ?? []
  }
}
