/// Columns of text as Docker's clients lay them out: at least ten wide, three blanks between.
enum TextTable {
  /// `rows` of cells, every row but its last cell padded; each row ends in a newline.
  static func render(_ rows: [[String]]) -> String {
    var widths: [Int] = []
    for row in rows {
      for (i, cell) in row.enumerated() where i + 1 < row.count {
        if i == widths.count { widths.append(10) }
        widths[i] = max(widths[i], DisplayWidth.of(cell) + 3)
      }
    }
    var out = ""
    for row in rows {
      for (i, cell) in row.enumerated() {
        out += cell
        if i + 1 < row.count { out += String(repeating: " ", count: max(0, widths[i] - DisplayWidth.of(cell))) }
      }
      out += "\n"
    }
    return out
  }
}
