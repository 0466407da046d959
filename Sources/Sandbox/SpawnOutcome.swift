internal import CSandbox
internal import Core
internal import Linux

/// What the child said before it became the program.
struct SpawnOutcome {
  /// One remark about a step.
  struct Remark {
    var step: Int
    var error: SystemError.Code
    /// What the kernel said beyond the error, or a path.
    var text: String
  }

  var failed: Remark?
  var warnings: [Remark] = []
  var created: [TreePath] = []

  /// Reads the status pipe until the child closes it, by executing the program or by ending.
  init(reading status: OpenFile) throws { self.init(reports: try status.readAll(limit: 1 << 20)) }

  /// Takes apart all that the child reported.
  init(reports bytes: [UInt8]) {
    var offset = 0
    let head = MemoryLayout<stave_report>.size
    while bytes.count - offset >= head {
      let report = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: stave_report.self) }
      offset += head
      let end = min(bytes.count, offset + Int(report.length))
      let text = bytes[offset..<end]
      offset = end
      let remark = Remark(
        step: Int(report.step), error: SystemError.Code(rawValue: report.error),
        text: String(decoding: text, as: UTF8.self))
      switch report.kind {
      case STAVE_REPORT_CREATED.rawValue: created.append(TreePath(clamping: text))
      case STAVE_REPORT_WARNING.rawValue: warnings.append(remark)
      default: failed = failed ?? remark
      }
    }
  }
}

extension SpawnOutcome.Remark {
  /// For people: the step's verb and object, and why.
  func failure(_ plan: SpawnPlan) -> Failure {
    guard plan.steps.indices.contains(step) else { return Failure("start the process", reason, exitCode: 125) }
    return failure(of: plan.steps[step])
  }

  func failure(of failed: SpawnStep) -> Failure {
    guard case .execute(let arguments, _) = failed else {
      var reason = reason
      if case .overlayRoot(let overlay) = failed { reason = SpawnOutcome.named(reason, overlay.upper) }
      return Failure(failed.action, reason, hint: hint(failed), exitCode: 125)
    }
    let name = arguments.first ?? ""
    switch error {
    case .noEntry where !name.contains("/") && text.isEmpty:
      return Failure(failed.action, "executable file not found in $PATH", exitCode: 127)
    case .noEntry where name.contains("/"):
      return Failure(failed.action, "stat \(name): no such file or directory", exitCode: 127)
    case .noEntry:
      return Failure(
        failed.action, "\(text): no such file or directory",
        hint: "the interpreter or dynamic loader that it names may be missing", exitCode: 127)
    case .notDirectory: return Failure(failed.action, "stat \(name): not a directory", exitCode: 127)
    case .noExec: return Failure(failed.action, "exec format error", exitCode: 126)
    default: return Failure(failed.action, error.text, exitCode: 126)
    }
  }

  /// A tolerated failure; nil for what nobody asked for.
  func warning(_ plan: SpawnPlan) -> String? {
    guard plan.steps.indices.contains(step) else { return nil }
    switch plan.steps[step] {
    case .sessionKeyring: return nil
    case let tolerated: return "\(tolerated.action): \(reason)"
    }
  }

  private func hint(_ step: SpawnStep) -> String? {
    if case .erofs(_, _, loop: false)? = step.lower?.layer, error == .notBlockDevice {
      return "the kernel mounts no index from a file there: STAVE_LAYERS=loop or STAVE_LAYERS=tree works around it"
    }
    switch step {
    case .overlayRoot where text.contains("not supported as upperdir"):
      return "the store lies on a file system that can't hold changes, as a container's own root: keep it on a volume"
    case .mount(let mount) where mount.type == "proc" && error == .notPermitted && !UserNamespace.isInitial:
      return "parts of /proc are hidden here, as in a container: start the outer one with --privileged, or with "
        + "--security-opt systempaths=unconfined"
    default: return nil
    }
  }

  /// Without an error number, the text alone says what is wrong.
  private var reason: String {
    if error.rawValue == 0 { return text }
    if text.hasPrefix("device ") { return "\(text): \(error.text)" }
    return text.isEmpty ? error.text : "\(error.text) (\(text))"
  }
}

extension SpawnOutcome {
  /// `text` with `path` where the kernel saw a descriptor: `/proc/self/fd/25`.
  static func named(_ text: String, _ path: String) -> String {
    text.split(separator: " ", omittingEmptySubsequences: false)
      .map { $0.hasPrefix("/proc/self/fd/") ? path : String($0) }.joined(separator: " ")
  }
}
