internal import Core

/// One registries.conf or drop-in: what it sets, nil for what it leaves.
struct RegistriesFile {
  var path: String
  var tables: [RegistryTable] = []
  var searchRegistries: [String]?
  var programs: [String]?
  var shortNameMode: RegistriesConfiguration.ShortNameMode?
  /// An empty value takes an alias back.
  var aliases: [String: String] = [:]
  /// Keys that nobody knows.
  var unknown: [String] = []

  /// Reads a file of version 2, or of version 1 unless it is a drop-in. Throws a `Failure` that names the file.
  init(_ bytes: [UInt8], path: String, isDropIn: Bool = false) throws {
    self.path = path
    guard let root = try TOML.parse(bytes, file: path).table else { return }
    let version1 = try RegistriesFile.version1(root, path)
    for (key, value) in root.sorted(by: { $0.key < $1.key }) {
      switch key {
      case "unqualified-search-registries": searchRegistries = try words(value, key).map { try host($0, key) }
      case "credential-helpers": programs = try words(value, key)
      case "short-name-mode": shortNameMode = try mode(value)
      case "aliases":
        guard let table = value.table else { throw failure("\"aliases\" must be a table") }
        aliases = try table.mapValues { try text($0, "an alias") }
      case "registry":
        guard let list = value.array else { throw failure("\"registry\" must be tables, [[registry]]") }
        tables = try list.enumerated().map { try registry($0.element, "registry \($0.offset + 1)") }
      case "registries": break
      default: unknown.append(key)
      }
    }
    if let version1, !version1.isEmpty {
      guard !isDropIn else { throw failure("[registries] of the old format is not supported in a drop-in") }
      guard tables.isEmpty, searchRegistries ?? [] == [], programs ?? [] == [], shortNameMode == nil, aliases.isEmpty
      else { throw failure("[registries] of the old format can't stand beside the new format") }
      try convert(version1)
    }
    try refuseConflicts()
  }

  func failure(_ reason: String) -> Failure { Failure("read \(path)", reason) }

  private func text(_ value: TOML, _ what: String) throws -> String {
    guard let text = value.string else { throw failure("\(what) must be a string") }
    return text
  }

  private func words(_ value: TOML, _ what: String) throws -> [String] {
    guard let values = value.array else { throw failure("\"\(what)\" must be an array of strings") }
    return try values.map { try text($0, "each of \"\(what)\"") }
  }

  private func flag(_ value: TOML, _ what: String) throws -> Bool {
    guard let flag = value.bool else { throw failure("\(what) must be true or false") }
    return flag
  }

  private func mode(_ value: TOML) throws -> RegistriesConfiguration.ShortNameMode? {
    let word = try text(value, "\"short-name-mode\"")
    if word.isEmpty { return nil }
    guard let mode = RegistriesConfiguration.ShortNameMode(rawValue: word) else {
      throw failure("\"short-name-mode\" must be enforcing, permissive or disabled, not \"\(word)\"")
    }
    return mode
  }

  private mutating func registry(_ value: TOML, _ what: String) throws -> RegistryTable {
    guard let members = value.table else { throw failure("\"registry\" must be tables, [[registry]]") }
    var table = RegistryTable(prefix: "", location: "", file: path)
    var digestOnly = false
    for (key, value) in members.sorted(by: { $0.key < $1.key }) {
      let name = "\"\(key)\" of \(what)"
      switch key {
      case "prefix": table.prefix = try text(value, name)
      case "location": table.location = try text(value, name)
      case "insecure": table.isInsecure = try flag(value, name)
      case "blocked": table.isBlocked = try flag(value, name)
      case "mirror-by-digest-only": digestOnly = try flag(value, name)
      case "pull-from-mirror": throw failure("\(name) belongs to a [[registry.mirror]]")
      case "mirror":
        guard let list = value.array else { throw failure("\(name) must be tables, [[registry.mirror]]") }
        table.mirrors = try list.map { try mirror($0, what) }
      default: unknown.append("registry.\(key)")
      }
    }
    if digestOnly {
      guard table.mirrors.allSatisfy({ $0.use == .all }) else {
        throw failure("\(what) can't have \"mirror-by-digest-only\" and a mirror with \"pull-from-mirror\"")
      }
      for index in table.mirrors.indices { table.mirrors[index].use = .digestOnly }
    }
    let isWildcard = table.prefix.hasPrefix("*.")
    if !(isWildcard && table.location.isEmpty) { table.location = try location(table.location, what) }
    table.prefix = table.prefix.isEmpty ? table.location : try location(table.prefix, what)
    guard !table.location.contains("*"), !table.prefix.dropFirst(isWildcard ? 2 : 0).contains("*"),
      !isWildcard || !table.prefix.contains(where: { "/:@".contains($0) })
    else { throw failure("\(what): \"*\" is only possible in a prefix of the form *.example.com") }
    return table
  }

  private mutating func mirror(_ value: TOML, _ what: String) throws -> RegistryTable.Mirror {
    guard let members = value.table else { throw failure("the mirrors of \(what) must be tables, [[registry.mirror]]") }
    var mirror = RegistryTable.Mirror(location: "")
    for (key, value) in members.sorted(by: { $0.key < $1.key }) {
      let name = "\"\(key)\" of a mirror of \(what)"
      switch key {
      case "location": mirror.location = try text(value, name)
      case "insecure": mirror.isInsecure = try flag(value, name)
      case "pull-from-mirror":
        let word = try text(value, name)
        guard let use = RegistryTable.Mirror.Use(rawValue: word.isEmpty ? "all" : word) else {
          throw failure("\(name) must be all, digest-only or tag-only, not \"\(word)\"")
        }
        mirror.use = use
      default: unknown.append("registry.mirror.\(key)")
      }
    }
    mirror.location = try location(mirror.location, "a mirror of \(what)")
    return mirror
  }

  /// A place without the slashes at its end.
  private func location(_ text: String, _ what: String) throws -> String {
    var text = Substring(text)
    while text.hasSuffix("/") { text = text.dropLast() }
    guard !text.isEmpty else { throw failure("\(what) needs a \"location\"") }
    guard !text.contains("://") else {
      throw failure("\(what): \"\(text)\" must be written without \"http://\" or \"https://\"")
    }
    return String(text)
  }

  private func host(_ text: String, _ what: String) throws -> String {
    let name = try location(text, "\"\(what)\"")
    guard RegistryName(name).isValid else { throw failure("\"\(what)\" must be hosts: \"\(name)\" is none") }
    return name
  }

  /// As the library does: one that is mentioned twice must mean the same.
  private func refuseConflicts() throws {
    var known: [String: RegistryTable] = [:]
    for table in tables where !table.location.isEmpty {
      if let other = known[table.location] {
        for (name, differs) in [
          ("insecure", other.isInsecure != table.isInsecure), ("blocked", other.isBlocked != table.isBlocked),
        ] where differs {
          throw failure("registry \"\(table.location)\" is defined twice with different settings of \"\(name)\"")
        }
      }
      known[table.location] = table
    }
  }
}

/// The old format: lists of registries.
extension RegistriesFile {
  struct Version1 {
    var search: [String] = []
    var insecure: [String] = []
    var block: [String] = []
    var isEmpty: Bool { search.isEmpty && insecure.isEmpty && block.isEmpty }
  }

  private static func version1(_ root: [String: TOML], _ path: String) throws -> Version1? {
    guard let value = root["registries"] else { return nil }
    var out = Version1()
    for (key, place) in [("search", \Version1.search), ("insecure", \.insecure), ("block", \.block)] {
      guard let list = value[key]?["registries"] else { continue }
      guard let values = list.array, values.allSatisfy({ $0.string != nil }) else {
        throw Failure("read \(path)", "\"registries\" of [registries.\(key)] must be an array of strings")
      }
      out[keyPath: place] = values.compactMap(\.string)
    }
    return out
  }

  private mutating func convert(_ old: Version1) throws {
    searchRegistries = try old.search.map { try host($0, "registries.search") }
    for (list, place) in [(old.block, \RegistryTable.isBlocked), (old.insecure, \.isInsecure)] {
      for name in list {
        let name = try location(name, "[registries]")
        if let index = tables.firstIndex(where: { $0.prefix == name }) {
          tables[index][keyPath: place] = true
        } else {
          var table = RegistryTable(prefix: name, location: name, file: path)
          table[keyPath: place] = true
          tables.append(table)
        }
      }
    }
  }
}
