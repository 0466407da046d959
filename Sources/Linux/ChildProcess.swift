internal import CLinux
internal import Core
internal import Glibc

/// An ordinary program of the host that is run to its end, as who we are: a credential helper.
public enum ChildProcess {
  /// How it ended, and what it wrote.
  public struct Outcome: Sendable {
    public var status: ExitStatus
    public var output: [UInt8]
    public var errors: [UInt8]
  }

  /// The first program `name` in the directories of `path`, a `PATH`; nil if there is none.
  public static func find(_ name: String, in path: String) -> String? {
    for directory in path.split(separator: ":") where directory.hasPrefix("/") {
      let candidate = "\(directory)/\(name)"
      guard access(candidate, X_OK) == 0, (try? HostPath.status(candidate))?.kind == .regular else { continue }
      return candidate
    }
    return nil
  }

  /// Runs `program`, an absolute path, with `arguments` behind its name and `environment` (`NAME=value`); it reads
  /// `input`, and then the end. Blocks until the program has ended; children that it leaves behind are not waited for.
  ///
  /// Throws a `SystemError` if it can't be started. Kills it and throws a `Failure` if it writes more than `limit`
  /// bytes to its output or its errors, or runs longer than `seconds`.
  public static func run(
    _ program: String, _ arguments: [String], environment: [String], input: [UInt8] = [], limit: Int = 1 << 20,
    seconds: Int64
  ) throws -> Outcome {
    let deadline = Machine.monotonicNanoseconds() + seconds * 1_000_000_000
    let (handle, output, errors) = try start(program, arguments, environment, input)
    do {
      var written: [[UInt8]] = [[], []]
      while true {
        let left = (deadline - Machine.monotonicNanoseconds()) / 1_000_000
        guard left > 0 else { throw Failure("run \(program)", "it has not ended after \(seconds) seconds") }
        let wanted = [output, errors].map { $0.isAtEnd ? -1 : $0.file.descriptor }
        let ready = try Poll.readable(
          wanted + [handle.file.descriptor], milliseconds: Int32(clamping: left + 1))
        for index in ready where index < 2 {
          try (index == 0 ? output : errors).read(into: &written[index])
          guard written[index].count <= limit else {
            throw Failure("run \(program)", "it wrote more than \(limit) bytes")
          }
        }
        // All that it wrote has been read once its end is all there is to see.
        if ready == [2] { return Outcome(status: try handle.wait(), output: written[0], errors: written[1]) }
      }
    } catch {
      try? handle.send(.kill)
      _ = try? handle.wait()
      throw error
    }
  }

  /// The end of a pipe that the program writes to.
  private final class Stream {
    let file: OpenFile
    var isAtEnd = false
    init(_ file: OpenFile) { self.file = file }

    func read(into bytes: inout [UInt8]) throws {
      let more = try [UInt8](unsafeUninitializedCapacity: 16384) { buffer, count in
        count = try file.read(into: UnsafeMutableRawBufferPointer(buffer))
      }
      isAtEnd = more.isEmpty
      bytes += more
    }
  }

  private static func start(
    _ program: String, _ arguments: [String], _ environment: [String], _ input: [UInt8]
  ) throws -> (ProcessHandle, output: Stream, errors: Stream) {
    // In memory, not a pipe: nothing has to be written while the program runs, and it may end without reading.
    let text = OpenFile(
      owning: try check("make a file in memory") { stave_memory_file("input") }, path: "input of \(program)")
    try text.write(input)
    try text.seek(to: 0)
    let (output, outputEnd) = try OpenFile.pipe()
    let (errors, errorsEnd) = try OpenFile.pipe()
    // Above 2, so that none is overwritten while they are put in place.
    let ends = try [text, outputEnd, errorsEnd].map { try OpenFile.duplicate($0.descriptor, path: $0.path) }
    let pid = try withExtendedLifetime(ends) {
      try spawn(program, arguments, environment, ends.map(\.descriptor))
    }
    do {
      let pidfd = try check("watch process \(pid)") { stave_pidfd_open(pid) }
      let handle = ProcessHandle(pid: pid, pidfd: OpenFile(owning: pidfd, path: program))
      return (handle, Stream(output), Stream(errors))
    } catch {
      kill(pid, SIGKILL)
      waitpid(pid, nil, 0)
      throw error
    }
  }

  private static func spawn(
    _ program: String, _ arguments: [String], _ environment: [String], _ descriptors: [Int32]
  ) throws -> pid_t {
    var words = ([program] + arguments).map { strdup($0) } + [nil]
    var variables = environment.map { strdup($0) } + [nil]
    defer { (words + variables).forEach { free($0) } }
    // What this process raised is for itself.
    let files = FileLimit.inherited ?? (0, 0)
    let pid = words.withUnsafeMutableBufferPointer { words in
      variables.withUnsafeMutableBufferPointer { variables in
        var start = stave_program()
        start.path = UnsafePointer(words[0])
        start.arguments = UnsafePointer(words.baseAddress)
        start.environment = UnsafePointer(variables.baseAddress)
        start.streams = (descriptors[0], descriptors[1], descriptors[2])
        (start.soft_files, start.hard_files) = files
        return stave_start_program(&start)
      }
    }
    guard pid > 0 else { throw SystemError.last("run \(program)") }
    return pid
  }
}
