internal import Core
internal import FileTree
internal import Linux
internal import Store

/// The files of an archive or directory, by name and in any order.
protocol ArchiveContents {
  /// For messages.
  var name: String { get }
  /// The file `path` and its size, nil if there is none.
  func open(_ path: TreePath) throws -> (source: ByteSource, size: Int64)?
}

extension ArchiveContents {
  /// The bytes of the document `path`, nil if there is none.
  func document(_ path: TreePath) throws -> [UInt8]? {
    guard let (source, size) = try open(path) else { return nil }
    guard size <= ImageArchive.maximumDocument,
      let bytes = try source.bytes(limit: ImageArchive.maximumDocument)
    else { throw Failure("read \(path.text)", "it is larger than \(ImageArchive.maximumDocument) bytes") }
    return bytes
  }

  /// As `document`, parsed.
  func json(_ path: TreePath) throws -> JSON? {
    guard let bytes = try document(path) else { return nil }
    do {
      return try JSON.parse(bytes)
    } catch let failure as Failure {
      throw failure.during("read \(path.text)")
    }
  }
}

/// The files of a directory; nothing outside it is reached.
struct DirectoryContents: ArchiveContents {
  let name: String
  private let directory: Directory

  init(_ path: String) throws {
    name = path
    directory = try Directory(path)
  }

  func open(_ path: TreePath) throws -> (source: ByteSource, size: Int64)? {
    guard let status = try directory.status(path, followLast: true), status.kind == .regular else { return nil }
    let file = try directory.open(path, followLast: true)
    return (FileSource(file), status.size)
  }
}

/// The members of a plain tar in a file, found by one pass over its headers.
struct TarContents: ArchiveContents {
  private enum Member {
    case file(offset: Int64, size: Int64)
    case link(TreePath)
  }

  let name: String
  private let file: OpenFile
  private var members: [TreePath: Member] = [:]

  /// More members than any image has.
  private static let maximumMembers = 1_000_000

  init(_ file: OpenFile, name: String) throws {
    self.name = name
    self.file = file
    let reader = TarReader(FileSource(file))
    do {
      while let member = try reader.next() {
        let entry = member.entry
        guard members.count < TarContents.maximumMembers else {
          throw Failure("read archive", "it has more than \(TarContents.maximumMembers) members")
        }
        switch entry.kind {
        case .regular:
          guard member.extents == nil else { throw Failure("read archive", "\(entry.path.text) is a sparse file") }
          members[entry.path] = .file(offset: member.dataOffset, size: member.storedSize)
        case .hardLink: members[entry.path] = .link(TreePath(clamping: entry.linkTarget))
        case .symlink:
          let parent = entry.linkTarget.first == UInt8(ascii: "/") ? [] : entry.path.parent.bytes
          members[entry.path] = .link(TreePath(clamping: parent + [UInt8(ascii: "/")] + entry.linkTarget))
        case .directory, .characterDevice, .blockDevice, .fifo: break
        }
      }
    } catch let failure as Failure {
      if members.isEmpty { throw Failure("load \(name)", "it is no archive (\(failure.reason))") }
      throw failure.during("load \(name)")
    }
  }

  func open(_ path: TreePath) throws -> (source: ByteSource, size: Int64)? {
    var path = path
    // `docker save` once made links from one layer to another: never more than one step.
    for _ in 0..<8 {
      switch members[path] {
      case nil: return nil
      case .link(let target): path = target
      case .file(let offset, let size): return (FileSource(file, offset: offset, length: size), size)
      }
    }
    throw Failure("read \(path.text)", "too many links")
  }
}

/// From whatever a user gives to a plain file that can be read anywhere.
enum ArchiveSpool {
  /// `file` itself if it is a plain regular file, else its decompressed content in a temporary file.
  static func plain(_ file: OpenFile, _ store: Store) throws -> OpenFile {
    let seekable = try seekable(file, store)
    let head = try head(seekable)
    guard Compression(firstBytes: head) != .none || isForeign(head) else { return seekable }
    do {
      return try spool(ForeignArchive.source(FilePart(seekable)), store, file.path)
    } catch let failure as Failure {
      throw failure.during("load \(file.path)")
    }
  }

  /// A source of `file` that is plain or compressed with what layers are compressed with.
  static func ingestible(_ file: OpenFile, _ store: Store) throws -> ByteSource {
    let seekable = try seekable(file, store)
    return isForeign(try head(seekable)) ? try ForeignArchive.source(FilePart(seekable)) : FileSource(seekable)
  }

  private static func head(_ file: OpenFile) throws -> [UInt8] {
    try FileSource(file, length: 16).bytes(limit: 16) ?? []
  }

  /// Whether the magic is that of bzip2 or xz.
  private static func isForeign(_ head: [UInt8]) -> Bool {
    head.starts(with: Array("BZh".utf8)) || head.starts(with: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00])
  }

  private static func seekable(_ file: OpenFile, _ store: Store) throws -> OpenFile {
    switch try file.status().kind {
    case .regular: return file
    case .directory: throw Failure("read \(file.path)", "it is a directory")
    default: return try spool(DescriptorSource(file), store, file.path)
    }
  }

  /// The bytes of `source` in a file without a name, which goes with its last reference.
  private static func spool(_ source: ByteSource, _ store: Store, _ name: String) throws -> OpenFile {
    let path = try store.temporaryPath("archive")
    let file = try OpenFile(path, .createNew)
    try HostPath.removeFile(path)
    try source.copy(to: file)
    return try OpenFile.duplicate(file.descriptor, path: name)
  }
}
