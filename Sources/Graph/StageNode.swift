internal import Core
internal import Dockerfile

/// A stage before its instructions are lowered: names resolved, edges known.
struct StageNode {
  let index: Int
  /// Lower case; nil without AS.
  var name: String?
  /// The name as written or `stage-N`; empty when the file has one stage.
  var displayName: String
  /// What FROM names by --platform, else the image's.
  var platform: Platform
  var base: ImageSource
  /// The FROM instruction.
  var instruction: Instruction
  var commands: [Command]
  /// Whether ONBUILD triggers were put in front of `commands`.
  var hasTriggers = false

  /// Stages that this one reads from, its base first.
  var dependencies: [Int] {
    ([base] + commands.compactMap(\.from)).compactMap {
      if case .stage(let index) = $0 { index } else { nil }
    }
  }

  /// Images that this stage needs, with the place that names them.
  var images: [(key: ImageKey, range: SourceRange)] {
    ([(base, instruction.range)] + commands.compactMap { command in command.from.map { ($0, command.range) } })
      .compactMap { source, range in
        if case .image(let key) = source { (key, range) } else { nil }
      }
  }

  /// Where a FROM or a COPY --from gets its files.
  enum ImageSource: Equatable {
    case scratch
    case stage(Int)
    case image(ImageKey)
  }

  /// An instruction of a stage.
  struct Command {
    var instruction: Instruction
    /// Where it is shown: the FROM for a trigger.
    var range: SourceRange
    var isTrigger = false
    /// The source of a COPY --from.
    var from: ImageSource?
  }
}
