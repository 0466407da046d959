internal import Core
internal import Engine
internal import Linux

extension Command {
  /// `stave load`.
  static func load(_ path: [String]) -> Command {
    Command(
      path: path, usage: "[OPTIONS]", summary: "Load images from an archive",
      details: "Reads docker-archive, oci-archive and OCI image layout directories; archives and layers may be\n"
        + "compressed with gzip or zstd.",
      flags: [
        Flag("input", "i", .string, "Read from this file or directory instead of standard input", placeholder: "path"),
        Flag("quiet", "q", .bool, "Accepted; nothing but results is printed anyway"),
        .later("platform", .string),
      ], arity: .none, argumentKind: .files
    ) { call in
      let source = location(call.string("input"))
      if source == .standardStream, StandardStream.input.isTerminal {
        throw Failure("load", "standard input is a terminal", hint: "give a file with -i, or redirect")
      }
      for image in try await interruptible({ try await call.engine.load(source) }) {
        switch image {
        case .named(let name): call.console.line("Loaded image: \(name)")
        case .unnamed(let id): call.console.line("Loaded image ID: \(id.text)")
        }
      }
      return 0
    }
  }

  /// `stave save`.
  static func save(_ path: [String]) -> Command {
    Command(
      path: path, usage: "[OPTIONS] IMAGE [IMAGE...]", summary: "Save images to an archive",
      flags: [
        Flag(
          "compression", .string, "Compress layers (default: none)", choices: ["none", "gzip", "zstd"],
          placeholder: "method"),
        Flag("compression-level", .int, "How hard to compress: gzip 0-9, zstd 1-19", placeholder: "level"),
        Flag(
          "format", .string, "The form of the archive (default: docker-archive)",
          choices: ArchiveFormat.allCases.map(\.rawValue), placeholder: "form"),
        Flag(
          "output", "o", .string, "Write to this file or directory instead of standard output",
          placeholder: "path"),
        .later("platform", .string),
      ], arity: .atLeast(1), argumentKind: .images
    ) { call in
      let format = call.string("format").flatMap(ArchiveFormat.init(rawValue:)) ?? .dockerArchive
      let target = location(call.string("output"))
      if target == .standardStream {
        if format == .ociDirectory { throw call.usage("--format oci-dir needs --output") }
        if StandardStream.output.isTerminal {
          throw Failure("", "cowardly refusing to save to a terminal", hint: "use -o, or redirect")
        }
      }
      try await interruptible {
        try await call.engine.save(
          call.arguments, to: target, format: format, compression: call.string("compression"),
          level: call.int("compression-level"))
      }
      return 0
    }
  }

  /// `stave import`.
  static func importImage(_ path: [String]) -> Command {
    Command(
      path: path, usage: "[OPTIONS] file|- [REPOSITORY[:TAG]]",
      summary: "Make an image of an archive of a root file system",
      flags: [
        Flag("change", "c", .list, "Apply a Dockerfile instruction to the image", placeholder: "instruction"),
        Flag("message", "m", .string, "The comment in the image's history", placeholder: "text"),
        .later("platform", .string),
      ], arity: .atLeast(1), argumentKind: .files
    ) { call in
      if call.arguments.count > 2 {
        throw call.usage("\"stave \(call.command.name)\" requires at most 2 arguments")
      }
      let source = call.arguments[0]
      if source.hasPrefix("http://") || source.hasPrefix("https://") {
        throw Failure.notSupportedYet("import \(source)")
      }
      let digest = try await interruptible {
        try await call.engine.importImage(
          location(source), reference: call.arguments.count > 1 ? call.arguments[1] : nil,
          message: call.string("message"), changes: call.list("change"))
      }
      call.console.line(digest.text)
      return 0
    }
  }
}

private func location(_ path: String?) -> ArchiveLocation {
  guard let path, path != "-", !path.isEmpty else { return .standardStream }
  return .path(path)
}
