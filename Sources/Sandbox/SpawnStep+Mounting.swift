internal import CSandbox
internal import Core
internal import Linux

extension SpawnStep.LowerStep {
  /// The layer as a mount that is attached nowhere. Its descriptor has the same number in a child.
  ///
  /// Loop devices last as long as the mount. Throws a `Failure`.
  func mounted() throws -> OpenFile {
    switch layer {
    case .tree(let path):
      let descriptor = stave_clone_tree(path)
      guard descriptor >= 0 else { throw failure(SystemError.Code.last, "") }
      return OpenFile(owning: descriptor, path: path)
    case .erofs(let index, let devices, let loop):
      let loops = loop ? try ([index] + devices).map(attach) : []
      defer { withExtendedLifetime(loops) {} }
      var detail = [CChar](repeating: 0, count: 512)
      let descriptor = try encodedMount(loops.map(\.path)).withUnsafeBufferPointer {
        stave_mount_layer($0.baseAddress, &detail)
      }
      let error = SystemError.Code.last
      let text = String(decoding: detail.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
      guard descriptor >= 0 else { throw failure(error, text) }
      return OpenFile(owning: descriptor, path: index)
    }
  }

  private func attach(_ file: String) throws -> LoopDevice {
    do {
      return try LoopDevice(attaching: file)
    } catch let error as SystemError {
      throw failure(error.code, "device \(file)")
    }
  }

  private func failure(_ error: SystemError.Code, _ text: String) -> Failure {
    SpawnOutcome.Remark(step: 0, error: error, text: text).failure(of: .lower(self))
  }
}
