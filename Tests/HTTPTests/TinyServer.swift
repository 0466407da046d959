import Foundation
import Glibc
import Synchronization

/// A server on 127.0.0.1 that gives each request to a closure, which writes the answer's bytes itself.
final class TinyServer: Sendable {
  struct Request: Sendable {
    var line: String
    var fields: [String]
    var body: [UInt8]
    /// Which connection of the server it came by, from 0.
    var connection: Int
  }

  final class Connection: Sendable {
    let descriptor: Int32
    init(_ descriptor: Int32) { self.descriptor = descriptor }

    func write(_ text: String) { write(Array(text.utf8)) }
    func write(_ bytes: [UInt8]) {
      var done = 0
      while done < bytes.count {
        let n = bytes[done...].withUnsafeBytes {
          send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        if n <= 0 { return }
        done += n
      }
    }
  }

  let port: UInt16
  private let listener: Int32
  let requests = Mutex<[Request]>([])

  /// `answer` returns whether the connection stays open.
  init(_ answer: @escaping @Sendable (Request, Connection) -> Bool) throws {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
        bind(listener, pointer, length) == 0 && listen(listener, 64) == 0
          && getsockname(listener, pointer, &length) == 0
      }
    }
    precondition(result)
    self.listener = listener
    port = UInt16(bigEndian: address.sin_port)
    Thread.detachNewThread { [weak self] in
      var count = 0
      while true {
        let descriptor = accept(listener, nil, nil)
        if descriptor < 0 { return }
        let number = count
        count += 1
        Thread.detachNewThread { [weak self] in
          defer { close(descriptor) }
          while let request = TinyServer.read(descriptor, number) {
            self?.requests.withLock { $0.append(request) }
            if !answer(request, Connection(descriptor)) { return }
          }
        }
      }
    }
  }

  deinit { shutdown(listener, Int32(SHUT_RDWR)); close(listener) }

  var url: String { "http://127.0.0.1:\(port)" }

  private static func read(_ descriptor: Int32, _ number: Int) -> Request? {
    var bytes: [UInt8] = []
    func more() -> Bool {
      var buffer = [UInt8](repeating: 0, count: 65536)
      let n = recv(descriptor, &buffer, buffer.count, 0)
      if n > 0 { bytes += buffer.prefix(n) }
      return n > 0
    }
    func end() -> Int? {
      guard bytes.count >= 4 else { return nil }
      return (0...(bytes.count - 4)).first { Array(bytes[$0..<($0 + 4)]) == [13, 10, 13, 10] }
    }
    while end() == nil {
      // Not a greeting in TLS.
      if !more() || bytes[0] == 0x16 { return nil }
    }
    guard let head = end() else { return nil }
    let lines = String(decoding: bytes[..<head], as: UTF8.self).components(separatedBy: "\r\n")
    bytes.removeFirst(head + 4)
    var request = Request(line: lines[0], fields: Array(lines.dropFirst()), body: [], connection: number)
    let lower = request.fields.map { $0.lowercased() }
    if let length = lower.first(where: { $0.hasPrefix("content-length: ") }).flatMap({ Int($0.dropFirst(16)) }) {
      while bytes.count < length { if !more() { return nil } }
      request.body = Array(bytes.prefix(length))
    } else if lower.contains("transfer-encoding: chunked") {
      while !(bytes.count >= 5 && bytes.suffix(5) == [48, 13, 10, 13, 10]) { if !more() { return nil } }
      request.body = bytes
    }
    return request
  }
}
