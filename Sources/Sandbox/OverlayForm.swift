internal import CSandbox

/// How lowers reach an overlay: kernels before 6.7 take them in one string only, those before 6.14 no detached mounts.
enum OverlayForm: Sendable {
  /// The first that the kernel takes.
  case any
  /// Mounts are attached first.
  case attached
  /// Attached, and in one string.
  case string

  var rawValue: UInt64 {
    switch self {
    case .any: UInt64(STAVE_OVERLAY_ANY.rawValue)
    case .attached: UInt64(STAVE_OVERLAY_ATTACHED.rawValue)
    case .string: UInt64(STAVE_OVERLAY_STRING.rawValue)
    }
  }
}
