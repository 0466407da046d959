internal import Core
internal import FileTree
internal import Linux

extension Store {
  /// Reads every index and compares it with its checksum and its tars. With `repair` what is damaged is removed: it is made
  /// again on use.
  func checkIndexes(_ repair: Bool) throws -> [StoreProblem] {
    var problems: [StoreProblem] = []
    for diffID in try layerIDs() {
      let path = paths.layerIndex(diffID)
      guard try HostPath.status(path) != nil, let reason = indexFault(path, tars: [paths.tar(diffID)]) else { continue }
      // A collection may have taken it meanwhile.
      if !repair, try HostPath.status(path) == nil { continue }
      if repair {
        try HostPath.removeFile(path)
        openLayers.drop(diffID)
      }
      problems.append(StoreProblem("index of layer \(diffID)", reason, isRepaired: repair))
    }
    return try problems + checkStacks(repair)
  }

  private func checkStacks(_ repair: Bool) throws -> [StoreProblem] {
    var problems: [StoreProblem] = []
    guard try HostPath.status(paths.stacks) != nil else { return [] }
    for name in try Directory(paths.stacks).entries().map({ String(decoding: $0, as: UTF8.self) }) {
      let folder = "\(paths.stacks)/\(name)"
      // One that was never finished names nothing, and is finished on use.
      guard try HostPath.status("\(folder)/index") != nil else { continue }
      let lines = try? HostPath.read("\(folder)/layers", limit: 1 << 20).split(separator: UInt8(ascii: "\n"))
      let diffIDs = (lines ?? []).compactMap { try? Digest("sha256:" + String(decoding: $0, as: UTF8.self)) }
      guard let reason = indexFault("\(folder)/index", tars: diffIDs.reversed().map { paths.tar($0) }) else { continue }
      if !repair, try HostPath.status("\(folder)/index") == nil { continue }
      if repair { try HostPath.removeTree(folder) }
      problems.append(StoreProblem("merged index \(name.prefix(12))", reason, isRepaired: repair))
    }
    return problems
  }

  /// What is wrong with the index at `path`, nil if nothing.
  private func indexFault(_ path: String, tars: [String]) -> String? {
    do {
      let index = try LayerIndex(path: path)
      try index.verify()
      _ = try IndexLayer(index, tars: tars)
      return nil
    } catch let failure as Failure {
      return failure.reason
    } catch {
      return "\(error)"
    }
  }
}
