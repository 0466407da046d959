internal import Core

/// Instructions of a classic BPF program in the making (linux/filter.h), for filters of system calls.
struct FilterCode {
  private struct Instruction {
    var code: UInt16
    var yes: UInt8 = 0
    var no: UInt8 = 0
    var value: UInt32
  }

  private var instructions: [Instruction] = []
  /// Where the block's end is to be put in: the instructions that leave it.
  private var leaving: [Int] = []

  /// The program, an array of `struct sock_filter`.
  var bytes: [UInt8] {
    var out: [UInt8] = []
    for instruction in instructions {
      withUnsafeBytes(of: instruction.code) { out += $0 }
      out += [instruction.yes, instruction.no]
      withUnsafeBytes(of: instruction.value) { out += $0 }
    }
    return out
  }

  /// Loads the 32 bits at `offset` of `struct seccomp_data`: 0 is the number of the call, 4 the architecture.
  mutating func load(_ offset: UInt32) { instructions.append(Instruction(code: 0x20, value: offset)) }

  mutating func and(_ mask: UInt32) { instructions.append(Instruction(code: 0x54, value: mask)) }

  /// Ends the program with `action`.
  mutating func end(_ action: UInt32) { instructions.append(Instruction(code: 0x06, value: action)) }

  /// Jumps behind the block unless the loaded value is `value`.
  mutating func leaveUnlessEqual(_ value: UInt32) {
    instructions.append(Instruction(code: 0x15, yes: 1, value: value))
    leaving.append(instructions.count)
    instructions.append(Instruction(code: 0x05, value: 0))
  }

  /// Instructions that `leaveUnlessEqual` jumps behind.
  mutating func block(_ body: (inout FilterCode) -> Void) {
    var inner = FilterCode()
    body(&inner)
    for place in inner.leaving {
      inner.instructions[place].value = UInt32(inner.instructions.count - place - 1)
    }
    instructions += inner.instructions
  }

  /// Ends with `notify` unless argument `number` of the call is in `map`, or is "no change".
  mutating func notifyUnlessMapped(_ number: UInt32, _ map: [IDMapping], _ notify: UInt32) {
    load(16 + 8 * number)
    var checks: [Instruction] = [Instruction(code: 0x15, value: .max)]
    for range in map.prefix(40) {
      // Below the range: to the next one. Below its end: mapped.
      checks.append(Instruction(code: 0x35, no: 1, value: range.inside))
      let (end, overflow) = range.inside.addingReportingOverflow(range.count)
      checks.append(overflow ? Instruction(code: 0x05, value: 0) : Instruction(code: 0x35, value: end))
    }
    // All that is mapped goes on behind the instruction that notifies.
    for index in checks.indices {
      let behind = checks.count - index
      switch checks[index].code {
      case 0x15: checks[index].yes = UInt8(clamping: behind)
      case 0x05: checks[index].value = UInt32(behind)
      default: if checks[index].no == 0 { checks[index].no = UInt8(clamping: behind) }
      }
    }
    instructions += checks
    end(notify)
  }
}
