internal import CCurl
public import Linux
internal import Synchronization

/// HTTP over libcurl, HTTP/1.1: one connection a transfer, kept for the next one to the same server.
public final class CurlTransport: HTTPTransport {
  /// When a server is given up.
  public struct Patience: Sendable {
    /// Seconds until a connection stands, its TLS included.
    public var connect: Int
    /// Seconds in which less than `slowest` bytes a second come or go.
    public var stall: Int
    /// Seconds until an answer begins after all of the request's content was sent: it may have to be copied.
    public var answer: Int
    public var slowest: Int64

    public init(connect: Int = 30, stall: Int = 60, answer: Int = 300, slowest: Int64 = 64) {
      self.connect = connect
      self.stall = stall
      self.answer = answer
      self.slowest = slowest
    }
  }

  /// Connections that are alike.
  private struct Key: Hashable {
    var origin: String
    var tls: TLSSettings
    var proxy: String?
  }

  let patience: Patience
  private let proxies: ProxySettings
  private let authorities: SystemAuthorities
  private let idle = Mutex<[Key: [CurlHandle]]>([:])
  /// How many idle connections to one server are kept.
  private static let kept = 8

  /// `environment` gives the variables of proxies and of the system's authorities.
  public init(
    patience: Patience = Patience(), environment: (String) -> String? = { Machine.environment($0) }
  ) {
    self.patience = patience
    proxies = ProxySettings(environment: environment)
    authorities = SystemAuthorities(environment: environment)
  }

  public func send(
    _ request: HTTPRequest, head: (HTTPHead) throws -> Void, body: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    guard let url = HTTPURL(request.url) else { throw HTTPError(.malformed, "malformed URL \"\(request.url)\"") }
    try Task.checkCancellation()
    let key = Key(origin: url.origin, tls: request.tls, proxy: proxies.proxy(for: url))
    let handle = try idle.withLock { $0[key]?.popLast() } ?? CurlHandle()
    defer {
      handle.reset()
      idle.withLock { idle in
        if idle[key, default: []].count < CurlTransport.kept { idle[key, default: []].append(handle) }
      }
    }
    try set(handle, tls: request.tls)
    // An empty one keeps the library from looking into the environment itself.
    try handle.set(CURLOPT_PROXY, key.proxy ?? "")
    try handle.set(CURLOPT_NOPROXY, "")
    try Signal.withoutPipe {
      try withoutActuallyEscaping(head) { head in
        try withoutActuallyEscaping(body) { body in
          let transfer = CurlTransfer(handle, request, url, patience, head: head, body: body)
          try transfer.perform(proxy: key.proxy)
        }
      }
    }
  }

  private func set(_ handle: CurlHandle, tls: TLSSettings) throws {
    if !tls.verifies {
      try handle.set(CURLOPT_SSL_VERIFYPEER, 0)
      try handle.set(CURLOPT_SSL_VERIFYHOST, 0)
    } else if tls.authorityFiles.isEmpty {
      if let file = authorities.file { try handle.set(CURLOPT_CAINFO, file) }
      if let directory = authorities.directory { try handle.set(CURLOPT_CAPATH, directory) }
    } else {
      try authorities.bundle(with: tls.authorityFiles).withUnsafeBytes { bytes in
        var blob = curl_blob(
          data: UnsafeMutableRawPointer(mutating: bytes.baseAddress), len: bytes.count, flags: UInt32(CURL_BLOB_COPY))
        try handle.set(CURLOPT_CAINFO_BLOB, &blob)
      }
      if let directory = authorities.directory { try handle.set(CURLOPT_CAPATH, directory) }
    }
    if let client = tls.client {
      try handle.set(CURLOPT_SSLCERT, client.certificateFile)
      try handle.set(CURLOPT_SSLKEY, client.keyFile)
    }
  }
}

/// An easy handle of libcurl with the connections that it keeps. For one thread at a time.
final class CurlHandle: @unchecked Sendable {
  let library: CurlLibrary
  let pointer: CurlLibrary.Handle

  init() throws {
    library = try CurlLibrary.bound()
    guard let pointer = library.makeHandle() else { throw HTTPError(.malformed, "out of memory") }
    self.pointer = pointer
  }

  deinit { library.freeHandle(pointer) }

  /// Forgets the options, not the connections.
  func reset() { library.reset(pointer) }

  func set(_ option: CURLoption, _ value: Int) throws { try library.set(pointer, option, value) }
  func set(_ option: CURLoption, _ text: String) throws { try library.set(pointer, option, text) }
  func set(_ option: CURLoption, _ value: UnsafeRawPointer?) throws { try library.set(pointer, option, value) }
}
