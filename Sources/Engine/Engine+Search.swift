internal import Core
internal import Linux
internal import Registry

/// A row of `search`.
public struct FoundRepository: Sendable {
  public var name: String
  public var description: String
  public var stars: Int64
  public var isOfficial: Bool
  public var isAutomated: Bool
}

extension Engine {
  /// The repositories that match `term`: on Docker Hub, or of the registry that stands in front, `localhost:5000/app`,
  /// those whose name has it. At most `limit`.
  public func search(_ term: String, limit: Int, _ options: RegistryOptions) async throws -> [FoundRepository] {
    let parts = term.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    let isHost = parts.count == 2 && (parts[0].contains(".") || parts[0].contains(":") || parts[0] == "localhost")
    return try await BlockingPool.shared.run {
      let client = try RegistryAccess(options, for: isHost ? parts[0] : "docker.io").client
      if isHost, parts[0] != "docker.io", parts[0] != "index.docker.io" {
        let names = try client.catalog(of: ImageReference("\(parts[0])/x"))
        return names.filter { parts[1].isEmpty || $0.contains(parts[1]) }.prefix(limit).map {
          FoundRepository(
            name: "\(parts[0])/\($0)", description: "", stars: 0, isOfficial: false, isAutomated: false)
        }
      }
      do {
        return try client.searchHub(isHost ? parts[1] : term, limit: limit).map {
          FoundRepository(
            name: $0.name, description: $0.description, stars: $0.stars, isOfficial: $0.isOfficial,
            isAutomated: $0.isAutomated)
        }
      } catch var failure as Failure {
        failure.hint =
          failure.hint
          ?? "search asks Docker Hub's API at https://index.docker.io; \"stave search HOST/TERM\" asks another registry"
        throw failure
      }
    }
  }
}
