/// What a key was made from, as canonical JSON that is made when it is wanted: it may be long, and most keys are only
/// looked up.
public struct Preimage: Sendable, Equatable {
  private let make: @Sendable () -> [UInt8]

  /// The value `json`.
  public init(_ json: JSON) { make = { json.bytes } }

  /// The canonical JSON text that `make` gives.
  public init(text make: @escaping @Sendable () -> [UInt8]) { self.make = make }

  /// `null`.
  public static let null = Preimage(.null)

  /// An object of these members.
  public static func object(_ members: [String: Preimage]) -> Preimage {
    Preimage {
      var out: [UInt8] = [UInt8(ascii: "{")]
      let sorted = members.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
      for (number, member): (Int, (key: String, value: Preimage)) in sorted.enumerated() {
        if number > 0 { out.append(UInt8(ascii: ",")) }
        out.append(contentsOf: JSON.string(member.key).bytes)
        out.append(UInt8(ascii: ":"))
        out.append(contentsOf: member.value.bytes)
      }
      out.append(UInt8(ascii: "}"))
      return out
    }
  }

  /// The JSON text.
  public var bytes: [UInt8] { make() }

  public static func == (a: Preimage, b: Preimage) -> Bool { a.bytes == b.bytes }
}
