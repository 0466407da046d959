internal import Core
internal import Dockerfile
internal import Graph

/// The instructions of `import --change`, applied to an empty config.
enum ArchiveChanges {
  /// The config after `changes`, each one Dockerfile instruction that changes nothing but the config.
  static func config(_ changes: [String], platform: Platform) throws -> ContainerConfig {
    for change in changes {
      let instruction: Instruction
      do {
        instruction = try Instruction.parse(change, file: "change")
      } catch let failure as Failure {
        throw failure.during("apply change \"\(change)\"")
      }
      guard isAllowed(instruction.kind) else {
        throw Failure(
          "apply change \"\(change)\"", "this instruction can't be applied to an import",
          hint: "CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME and WORKDIR can")
      }
    }
    var config = try lowered(changes, platform)
    // A build gives every image a PATH, an import does not.
    let given = Set(try lowered([], platform).env)
    let kept = changes.joined(separator: "\n")
    config.env.removeAll { entry in given.contains(entry) && !kept.contains("PATH") }
    return config
  }

  private static func lowered(_ changes: [String], _ platform: Platform) throws -> ContainerConfig {
    let text = (["FROM scratch"] + changes).joined(separator: "\n") + "\n"
    let document = try DockerfileDocument.parse(Array(text.utf8), file: "change")
    guard case .plan(let plan) = try lower(document, LoweringOptions(platform: platform)) else {
      throw Failure("apply changes", "they name an image")
    }
    return plan.config.config
  }

  private static func isAllowed(_ kind: Instruction.Kind) -> Bool {
    switch kind {
    case .cmd, .entrypoint, .env, .expose, .healthcheck, .label, .onbuild, .stopsignal, .user, .volume, .workdir: true
    default: false
    }
  }
}
