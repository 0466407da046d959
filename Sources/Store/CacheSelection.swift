internal import Core

/// Which step records a collection removes: all that the scope covers, or with a limit those of least value until the
/// rest fits.
///
/// A record is worth what it takes to make again, for each byte that it holds and each hour for which nobody wanted
/// it. A record whose layer lies under another record's result goes only after that: without it nothing would come
/// free.
struct CacheSelection {
  /// Positions in the inventory's records, in the order in which they go.
  private(set) var removed: [Int] = []
  /// Layers that the remaining records need.
  private(set) var keptLayers: Set<Digest> = []
  /// When each record was last used, itself or by a record above it.
  let lastUsed: [Timestamp]
  private(set) var sizeBefore: Int64 = 0
  private(set) var sizeAfter: Int64 = 0

  private let records: [StoreInventory.Record]
  private let sizes: [Digest: Int64]
  private let neededLayers: Set<Digest>
  /// How many records have the layer in their result, and how many of them below their own.
  private var holders: [Digest: Int] = [:]
  private var burdens: [Digest: Int] = [:]
  private var byLayer: [Digest: [Int]] = [:]
  private var isGone: [Bool]

  init(_ inventory: StoreInventory, neededLayers: Set<Digest>, _ scope: PrunePlan.Scope, now: Timestamp) {
    records = inventory.records
    self.neededLayers = neededLayers
    sizes = Dictionary(inventory.layers.map { ($0.digest, $0.size) }, uniquingKeysWith: { first, _ in first })
    lastUsed = Self.lastUsed(inventory)
    isGone = records.map { _ in false }
    count()
    sizeBefore = holders.keys.reduce(records.reduce(0) { $0 + $1.size }) { sum, layer in
      sum + (neededLayers.contains(layer) ? 0 : sizes[layer] ?? 0)
    }
    sizeAfter = sizeBefore
    let covered = records.indices.filter { index in
      guard scope.buildCache || scope.everyStep, !inventory.isLeased(lastUsed[index]) else { return false }
      if let until = scope.until, lastUsed[index] >= until { return false }
      return scope.everyStep || records[index].layer.map { !neededLayers.contains($0) } ?? true
    }
    if let limit = scope.keepStorage {
      remove(covered, downTo: limit, now: now)
    } else {
      for index in covered { remove(index) }
    }
    keptLayers = Set(holders.filter { $0.value > 0 }.keys)
  }

  /// When each record of `inventory` was last used, itself or by a record above it.
  static func lastUsed(_ inventory: StoreInventory) -> [Timestamp] {
    var newest: [Digest: Timestamp] = [:]
    for record in inventory.records {
      for layer in layers(of: record) { newest[layer] = max(newest[layer] ?? record.lastUsed, record.lastUsed) }
    }
    return inventory.records.map { max($0.lastUsed, $0.layer.flatMap { newest[$0] } ?? $0.lastUsed) }
  }

  private static func layers(of record: StoreInventory.Record) -> Set<Digest> {
    Set(record.stack + (record.layer.map { [$0] } ?? []))
  }

  private mutating func count() {
    for (index, record) in records.enumerated() {
      for layer in Self.layers(of: record) {
        holders[layer, default: 0] += 1
        if layer != record.layer { burdens[layer, default: 0] += 1 }
      }
      if let layer = record.layer { byLayer[layer, default: []].append(index) }
    }
  }

  /// Removes the records of least value until the cache has at most `limit` bytes.
  private mutating func remove(_ covered: [Int], downTo limit: Int64, now: Timestamp) {
    let isCovered = Set(covered)
    var queue = PriorityQueue()
    func weight(_ index: Int) -> Double {
      let record = records[index]
      let size = Double(record.size + (record.layer.flatMap { sizes[$0] } ?? 0))
      let idle = max(0, Double(now.seconds - lastUsed[index].seconds))
      return size * (idle + 3600) / (Double(max(0, record.cost)) / 1e9 + 0.1)
    }
    for index in covered where isFree(index) { queue.push(index, weight(index)) }
    while sizeAfter > limit, let index = queue.pop() {
      remove(index)
      for layer in Set(records[index].stack) where layer != records[index].layer && burdens[layer, default: 0] == 0 {
        for below in byLayer[layer] ?? [] where isCovered.contains(below) && !isGone[below] {
          queue.push(below, weight(below))
        }
      }
    }
  }

  private func isFree(_ index: Int) -> Bool { records[index].layer.map { burdens[$0, default: 0] == 0 } ?? true }

  private mutating func remove(_ index: Int) {
    guard !isGone[index] else { return }
    isGone[index] = true
    removed.append(index)
    let record = records[index]
    sizeAfter -= record.size
    for layer in Self.layers(of: record) {
      let left = (holders[layer] ?? 0) - 1
      holders[layer] = left
      if layer != record.layer { burdens[layer, default: 0] -= 1 }
      if left == 0, !neededLayers.contains(layer) { sizeAfter -= sizes[layer] ?? 0 }
    }
  }
}

/// Records by weight, heaviest first; of equals the one that stands first.
private struct PriorityQueue {
  private var heap: [(weight: Double, index: Int)] = []

  private func isBefore(_ a: Int, _ b: Int) -> Bool {
    (heap[b].weight, heap[a].index) < (heap[a].weight, heap[b].index)
  }

  mutating func push(_ index: Int, _ weight: Double) {
    heap.append((weight, index))
    var at = heap.count - 1
    while at > 0, isBefore(at, (at - 1) / 2) {
      heap.swapAt(at, (at - 1) / 2)
      at = (at - 1) / 2
    }
  }

  mutating func pop() -> Int? {
    guard let first = heap.first else { return nil }
    heap.swapAt(0, heap.count - 1)
    heap.removeLast()
    var at = 0
    while true {
      var best = at
      for child in [2 * at + 1, 2 * at + 2] where child < heap.count && isBefore(child, best) { best = child }
      if best == at { return first.index }
      heap.swapAt(at, best)
      at = best
    }
  }
}
