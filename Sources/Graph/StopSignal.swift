internal import Core

/// Whether Linux has the signal `text`: a number from 1 to 64, or a name with or without `SIG`, in any case.
func isSignal(_ text: String) -> Bool {
  if let number = Int(text) { return (1...64).contains(number) }
  return signalNames.contains(withoutPrefix(text.uppercased()))
}

/// ` (did you mean SIGTERM?)` for a misspelt signal, or the empty string.
func nearestSignal(_ text: String) -> String {
  nearest(withoutPrefix(text.uppercased()), in: signalNames).map { " (did you mean SIG\($0)?)" } ?? ""
}

private func withoutPrefix(_ name: String) -> String { name.hasPrefix("SIG") ? String(name.dropFirst(3)) : name }

private let signalNames: [String] =
  [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE", "POLL",
    "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1",
    "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX",
  ] + (1...15).map { "RTMIN+\($0)" } + (1...14).map { "RTMAX-\($0)" }
