internal import Core

/// One manifest as docker's `manifest inspect --verbose` shows it.
struct ManifestView {
  private let name: String
  private let descriptor: Descriptor
  private let bytes: [UInt8]

  init(_ name: String, _ descriptor: Descriptor, _ bytes: [UInt8]) {
    self.name = name
    self.descriptor = descriptor
    self.bytes = bytes
  }

  var json: JSON {
    let key = descriptor.mediaType == MediaType.dockerManifest ? "SchemaV2Manifest" : "OCIManifest"
    return JSON.members([
      "Ref": .string(name), "Descriptor": descriptor.json, "Raw": .string(ManifestView.base64(bytes)),
      key: (try? JSON.parse(bytes)) ?? .null,
    ])
  }

  /// RFC 4648, with padding.
  static func base64(_ bytes: [UInt8]) -> String {
    let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var out: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let group = bytes[start..<min(start + 3, bytes.count)]
      let value = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
      for place in 0..<4 {
        out.append(place <= group.count ? digits[value >> (18 - 6 * place) & 63] : UInt8(ascii: "="))
      }
    }
    return String(decoding: out, as: UTF8.self)
  }
}
