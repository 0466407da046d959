/// A value while its document is read: a table knows how it was made, since that decides who may add to it.
final class TOMLNode {
  enum Kind {
    /// A string, number or boolean, or an array in brackets.
    case value(TOML)
    /// A table that a header's path goes through and no header has named yet.
    case implied
    /// The root, or a table that a header has named.
    case named
    /// A table made by a dotted key.
    case dotted
    /// `{ }`: whole as it stands.
    case inline
    /// `[[ ]]`: its elements are `named` tables.
    case list
  }

  var kind: Kind
  var members: [String: TOMLNode] = [:]
  /// Of a `list`.
  var elements: [TOMLNode] = []
  /// Tables and arrays around it.
  let depth: Int

  init(_ kind: Kind, depth: Int) {
    self.kind = kind
    self.depth = depth
  }

  /// The value, when the document has ended. Its nesting is bounded by the reader.
  var result: TOML {
    switch kind {
    case .value(let value): value
    case .list: .array(elements.map(\.result))
    default: .table(members.mapValues(\.result))
    }
  }
}
