/// The member of `candidates` that a person who wrote `word` most likely meant, or nil if none is near.
///
/// Near is a Levenshtein distance of at most 2, below the length of the word itself, case ignored; ties go to the
/// earlier candidate.
public func nearest(_ word: String, in candidates: some Sequence<String>) -> String? {
  let wanted: [Character] = Array(word.lowercased())
  var best: (distance: Int, word: String)?
  for candidate: String in candidates {
    let other: [Character] = Array(candidate.lowercased())
    guard abs(other.count - wanted.count) <= 2 else { continue }
    let distance = levenshtein(wanted, other)
    guard distance <= 2, distance < max(wanted.count, 2) else { continue }
    // Compared with nil before.
    // swift-format-ignore: NeverForceUnwrap
    if best == nil || distance < best!.distance { best = (distance, candidate) }
  }
  return best?.word
}

/// ` (did you mean x?)` for the nearest of `candidates`, or the empty string.
public func didYouMean(_ word: String, in candidates: some Sequence<String>) -> String {
  nearest(word, in: candidates).map { " (did you mean \($0)?)" } ?? ""
}

private func levenshtein(_ a: [Character], _ b: [Character]) -> Int {
  if a.isEmpty { return b.count }
  var row: [Int] = Array(0...b.count)
  for i in 0..<a.count {
    var diagonal = row[0]
    row[0] = i + 1
    for j in 0..<b.count {
      let above = row[j + 1]
      row[j + 1] = a[i] == b[j] ? diagonal : 1 + min(diagonal, above, row[j])
      diagonal = above
    }
  }
  return row[b.count]
}
