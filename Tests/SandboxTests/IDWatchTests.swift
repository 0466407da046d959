import Core
import Testing

@testable import Sandbox

/// The filter of `IDWatch`, run by a small interpreter of the instructions that it uses.
@Suite struct IDWatchTests {
  private static let single = [IDMapping(inside: 0, outside: 1000, count: 1)]
  private static let amd64: UInt32 = 0xc000_003e
  private static let i386: UInt32 = 0x4000_0003

  /// Whether the filter for these maps lets the watcher know of the call.
  private func notifies(
    _ number: UInt32, _ arguments: [UInt32], architecture: UInt32 = amd64, users: [IDMapping] = single,
    groups: [IDMapping] = single
  ) throws -> Bool {
    let program = IDWatch.program(users: users, groups: groups)
    var data = [number, architecture, 0, 0]
    for argument in arguments { data += [argument, 0xdead_beef] }
    data += Array(repeating: 0, count: 16 - data.count)
    var accumulator: UInt32 = 0
    var at = 0
    while at < program.count / 8 {
      let code = UInt16(program[at * 8]) | UInt16(program[at * 8 + 1]) << 8
      let (yes, no) = (Int(program[at * 8 + 2]), Int(program[at * 8 + 3]))
      let value = (0..<4).reduce(UInt32(0)) { $0 | UInt32(program[at * 8 + 4 + $1]) << (8 * UInt32($1)) }
      at += 1
      switch code {
      case 0x20: accumulator = data[Int(value) / 4]
      case 0x54: accumulator &= value
      case 0x05: at += Int(value)
      case 0x15: at += accumulator == value ? yes : no
      case 0x35: at += accumulator >= value ? yes : no
      case 0x06: return value == 0x7fc0_0000
      default: Issue.record("instruction \(code)")
      }
    }
    Issue.record("the program has no end")
    return false
  }

  @Test func knowsWhichArgumentsAreIDs() throws {
    let (chown, fchownat, setresuid, setgid, setgroups): (UInt32, UInt32, UInt32, UInt32, UInt32) =
      (92, 260, 117, 106, 116)
    #expect(try !notifies(chown, [5, 0, 0]))
    #expect(try notifies(chown, [5, 33, 0]))
    #expect(try notifies(chown, [5, 0, 33]))
    #expect(try !notifies(chown, [5, .max, .max]))
    #expect(try notifies(fchownat, [9, 9, .max, 1]))
    #expect(try !notifies(fchownat, [9, 9, 0, 0]))
    #expect(try notifies(setresuid, [0, 0, 7]))
    #expect(try !notifies(setresuid, [0, .max, 0]))
    #expect(try notifies(setgid, [1]))
    #expect(try notifies(setgroups, [0]))
    #expect(try !notifies(1, [33, 33, 33]))
  }

  @Test func knowsEachArchitecture() throws {
    #expect(try notifies(92 | 0x4000_0000, [5, 33, 0]))
    #expect(try notifies(212, [5, 33, 0], architecture: Self.i386))
    #expect(try !notifies(212, [5, 0, 0], architecture: Self.i386))
    #expect(try notifies(206, [1], architecture: Self.i386))
    #expect(try !notifies(92, [5, 33, 0], architecture: 0xc000_00b7))
  }

  @Test func knowsRanges() throws {
    let users = [IDMapping(inside: 0, outside: 1000, count: 1), IDMapping(inside: 1, outside: 100_000, count: 10)]
    let groups = [IDMapping(inside: 5, outside: 5, count: .max - 5)]
    for (id, mapped) in [(0, true), (10, true), (11, false), (.max - 1, false)] as [(UInt32, Bool)] {
      #expect(try notifies(105, [id], users: users, groups: groups) != mapped, "\(id)")
    }
    for (id, mapped) in [(4, false), (5, true), (.max - 1, true)] as [(UInt32, Bool)] {
      #expect(try notifies(106, [id], users: users, groups: groups) != mapped, "\(id)")
    }
  }

  @Test func spellsCalls() {
    #expect(IDWatch.text(name: "fchownat", path: "/srv", ids: [33, 33]) == "chown /srv to 33:33")
    #expect(IDWatch.text(name: "lchown", path: "", ids: [.max, 33]) == "chown to :33")
    #expect(IDWatch.text(name: "chown", path: "a", ids: [33, .max]) == "chown a to 33")
    #expect(IDWatch.text(name: "setresuid", path: "", ids: [33, 33, .max]) == "setresuid to 33")
    #expect(IDWatch.text(name: "setgroups", path: "", ids: [65534]) == "setgroups to 65534")
    #expect(IDWatch.text(name: "setgroups", path: "", ids: []) == "setgroups")
    #expect(IDWatch.need(age: 3) == " needs a second id")
    #expect(IDWatch.need(age: 5000) == " may need a second id")
  }
}
