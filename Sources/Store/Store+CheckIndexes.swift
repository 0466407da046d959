internal import Core
internal import FileTree
internal import Linux

extension Store {
  /// Reads every index and compares it with its checksum and its tars. With `repair` what is damaged is removed: it is
  /// made again on use.
  func checkIndexes(_ repair: Bool) throws -> [StoreProblem] {
    let problems = try layerIDs().compactMap { diffID in
      let path = paths.layerIndex(diffID)
      return try examine("index of layer \(diffID)", repair) {
        try indexFault(path, tars: [paths.tar(diffID)])
      } mend: {
        try HostPath.removeFile(path)
        openLayers.drop(diffID)
      }
    }
    return try problems + checkStacks(repair)
  }

  private func checkStacks(_ repair: Bool) throws -> [StoreProblem] {
    guard try HostPath.status(paths.stacks) != nil else { return [] }
    return try Directory(paths.stacks).entries().map({ String(decoding: $0, as: UTF8.self) }).compactMap { name in
      let folder = "\(paths.stacks)/\(name)"
      return try examine("merged index \(name.prefix(12))", repair) {
        let lines = try readIfThere("\(folder)/layers")?.split(separator: UInt8(ascii: "\n"))
        let diffIDs = (lines ?? []).compactMap { try? Digest("sha256:" + String(decoding: $0, as: UTF8.self)) }
        return try indexFault("\(folder)/index", tars: diffIDs.reversed().map { paths.tar($0) })
      } mend: {
        try HostPath.removeTree(folder)
      }
    }
  }

  /// What is wrong with the index at `path`, nil if nothing. One that is not there, or was never finished, is made on
  /// use.
  private func indexFault(_ path: String, tars: [String]) throws -> String? {
    if try HostPath.status(path) == nil { return nil }
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
