internal import CCurl
internal import Core
internal import Linux

/// One request on an easy handle, and what libcurl calls back for it, all on the caller's thread.
final class CurlTransfer {
  private let handle: CurlHandle
  private let request: HTTPRequest
  private let url: HTTPURL
  private let head: (HTTPHead) throws -> Void
  private let body: (UnsafeRawBufferPointer) throws -> Void
  private var watch: StallWatch
  /// What a call threw: the transfer is ended for it.
  private var failure: (any Error)?
  private var answer = HTTPHead(status: 0)
  private var hasHead = false
  private var content: RequestContent

  init(
    _ handle: CurlHandle, _ request: HTTPRequest, _ url: HTTPURL, _ patience: CurlTransport.Patience,
    head: @escaping (HTTPHead) throws -> Void, body: @escaping (UnsafeRawBufferPointer) throws -> Void
  ) {
    self.handle = handle
    self.request = request
    self.url = url
    self.head = head
    self.body = body
    watch = StallWatch(patience)
    content = RequestContent(request.body)
  }

  /// Sends the request and hands over its answer. `proxy` is named in errors.
  func perform(proxy: String?) throws {
    var list: UnsafeMutablePointer<curl_slist>?
    defer { handle.library.freeList(list) }
    for line in try fieldLines() {
      guard let longer = handle.library.appendToList(list, line) else { throw HTTPError(.malformed, "out of memory") }
      list = longer
    }
    try setOptions()
    try handle.set(CURLOPT_HTTPHEADER, UnsafeRawPointer(list))
    let buffer = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
    buffer.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    defer { buffer.deallocate() }
    try handle.set(CURLOPT_ERRORBUFFER, UnsafeRawPointer(buffer))
    try handle.set(CURLOPT_CONNECTTIMEOUT, request.connectSeconds ?? watch.patience.connect)
    let me = Unmanaged.passUnretained(self).toOpaque()
    try setCalls(UnsafeRawPointer(me))
    let code = withExtendedLifetime(self) { handle.library.perform(handle.pointer) }
    if let failure { throw failure }
    if code == CURLE_OK {
      if !hasHead { throw HTTPError(.malformed, "the answer is none of HTTP") }
      return
    }
    // A server that refuses what is sent may close before it has read all of it.
    if hasHead, answer.status >= 400, content.isStarted, !content.isFinished { return }
    throw error(code, String(cString: buffer), proxy: proxy)
  }

  /// The header fields as libcurl takes them.
  private func fieldLines() throws -> [String] {
    var lines = ["Expect:"]
    for (name, value) in request.fields.all {
      let line = value.isEmpty ? "\(name);" : "\(name): \(value)"
      guard !name.isEmpty, line.utf8.allSatisfy({ $0 >= 32 && $0 != 127 }) else {
        throw HTTPError(.malformed, "the header field \(name) holds a control character")
      }
      lines.append(line)
    }
    return lines
  }

  private func setOptions() throws {
    try handle.set(CURLOPT_URL, url.description)
    try handle.set(CURLOPT_NOSIGNAL, 1)
    try handle.set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
    try handle.set(CURLOPT_FOLLOWLOCATION, 0)
    try handle.set(CURLOPT_PATH_AS_IS, 1)
    try handle.set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
    try handle.set(CURLOPT_TCP_KEEPALIVE, 1)
    try handle.set(CURLOPT_MAXCONNECTS, 2)
    try handle.set(CURLOPT_BUFFERSIZE, 512 * 1024)
    switch request.method {
    case "GET": try handle.set(CURLOPT_HTTPGET, 1)
    case "HEAD": try handle.set(CURLOPT_NOBODY, 1)
    default:
      let hasContent = if case .none = request.body { request.method != "DELETE" } else { true }
      if hasContent {
        try handle.set(CURLOPT_UPLOAD, 1)
        try handle.set(CURLOPT_UPLOAD_BUFFERSIZE, 512 * 1024)
        try handle.library.set(handle.pointer, CURLOPT_INFILESIZE_LARGE, offset: content.length ?? -1)
      }
      try handle.set(CURLOPT_CUSTOMREQUEST, request.method)
    }
  }

  private func setCalls(_ me: UnsafeRawPointer) throws {
    let field: @convention(c) (UnsafeMutablePointer<CChar>?, Int, Int, UnsafeMutableRawPointer?) -> Int = {
      CurlTransfer.at($3).field(UnsafeRawBufferPointer(start: $0, count: $1 * $2)) ? $1 * $2 : 0
    }
    let piece: @convention(c) (UnsafeMutablePointer<CChar>?, Int, Int, UnsafeMutableRawPointer?) -> Int = {
      CurlTransfer.at($3).piece(UnsafeRawBufferPointer(start: $0, count: $1 * $2)) ? $1 * $2 : 0
    }
    let more: @convention(c) (UnsafeMutablePointer<CChar>?, Int, Int, UnsafeMutableRawPointer?) -> Int = {
      CurlTransfer.at($3).more(UnsafeMutableRawBufferPointer(start: $0, count: $1 * $2))
    }
    let seek: @convention(c) (UnsafeMutableRawPointer?, Int, Int32) -> Int32 = {
      CurlTransfer.at($0).seek(to: $1, from: $2) ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL
    }
    let progress: @convention(c) (UnsafeMutableRawPointer?, Int, Int, Int, Int) -> Int32 = {
      CurlTransfer.at($0).mayGoOn(received: Int64($2), sent: Int64($4)) ? 0 : 1
    }
    try handle.set(CURLOPT_HEADERFUNCTION, unsafeBitCast(field, to: UnsafeRawPointer.self))
    try handle.set(CURLOPT_HEADERDATA, me)
    try handle.set(CURLOPT_WRITEFUNCTION, unsafeBitCast(piece, to: UnsafeRawPointer.self))
    try handle.set(CURLOPT_WRITEDATA, me)
    try handle.set(CURLOPT_READFUNCTION, unsafeBitCast(more, to: UnsafeRawPointer.self))
    try handle.set(CURLOPT_READDATA, me)
    try handle.set(CURLOPT_SEEKFUNCTION, unsafeBitCast(seek, to: UnsafeRawPointer.self))
    try handle.set(CURLOPT_SEEKDATA, me)
    try handle.set(CURLOPT_XFERINFOFUNCTION, unsafeBitCast(progress, to: UnsafeRawPointer.self))
    try handle.set(CURLOPT_XFERINFODATA, me)
    try handle.set(CURLOPT_NOPROGRESS, 0)
  }

  private static func at(_ pointer: UnsafeMutableRawPointer?) -> CurlTransfer {
    // The pointer that `perform` gave.
    // swift-format-ignore: NeverForceUnwrap
    Unmanaged<CurlTransfer>.fromOpaque(pointer!).takeUnretainedValue()
  }

  /// Runs `step`, whose time is not the server's; false if it threw.
  private func carry(_ step: () throws -> Void) -> Bool {
    let start = Machine.monotonicNanoseconds()
    defer { watch.excuse(Machine.monotonicNanoseconds() - start) }
    do {
      try step()
      return true
    } catch {
      failure = failure ?? error
      return false
    }
  }

  /// One line of the head, the empty one at its end too. Those behind the content (trailers) mean nothing here.
  private func field(_ line: UnsafeRawBufferPointer) -> Bool {
    if hasHead { return true }
    let text = String(decoding: line, as: UTF8.self).drop { $0 == "\r\n" || $0 == "\n" || $0 == "\r" }
    let trimmed = CurlTransfer.trim(text)
    if trimmed.isEmpty {
      // 100 and the like come before the answer.
      if answer.status < 200 { return true }
      hasHead = true
      return carry { try head(answer) }
    }
    if text.hasPrefix("HTTP/"), !text.prefix(while: { $0 != " " }).contains(":") {
      let words = text.split(separator: " ", maxSplits: 2)
      answer = HTTPHead(status: words.count > 1 ? Int(CurlTransfer.trim(words[1])) ?? 0 : 0)
    } else if let colon = text.firstIndex(of: ":") {
      answer.fields.add(
        String(CurlTransfer.trim(text[..<colon])), String(CurlTransfer.trim(text[text.index(after: colon)...])))
    }
    return true
  }

  private static func trim(_ text: Substring) -> Substring {
    var text = text.drop { $0.isWhitespace }
    while text.last?.isWhitespace == true { text = text.dropLast() }
    return text
  }

  private func piece(_ bytes: UnsafeRawBufferPointer) -> Bool {
    carry {
      try Task.checkCancellation()
      try body(bytes)
    }
  }

  private func more(_ buffer: UnsafeMutableRawBufferPointer) -> Int {
    var count = 0
    let isFine = carry {
      try Task.checkCancellation()
      count = try content.read(into: buffer)
    }
    return isFine ? count : Int(CURL_READFUNC_ABORT)
  }

  /// libcurl goes back to the start where a kept connection turned out to be closed.
  private func seek(to offset: Int, from origin: Int32) -> Bool {
    guard offset == 0, origin == 0 else { return false }
    content = RequestContent(request.body)
    return true
  }

  private func mayGoOn(received: Int64, sent: Int64) -> Bool {
    if failure != nil { return false }
    if Task.isCancelled {
      failure = CancellationError()
      return false
    }
    let isAnswering = !content.isStarted || !content.isFinished || hasHead
    if watch.isStalled(at: received + sent, isTransferring: isAnswering) {
      failure = HTTPError(.timeout, "nothing came for \(watch.limit(isAnswering)) seconds")
      return false
    }
    return true
  }

  private func error(_ code: CURLcode, _ detail: String, proxy: String?) -> HTTPError {
    var text = detail.isEmpty ? handle.library.text(code).map { String(cString: $0) } ?? "" : detail
    let number = handle.library.systemError(handle.pointer)
    if code == CURLE_COULDNT_CONNECT, number != 0 { text = SystemError.Code(rawValue: number).text }
    if code == CURLE_COULDNT_RESOLVE_HOST { text = "no such host" }
    if code == CURLE_GOT_NOTHING { text = "the connection was closed without an answer" }
    // Not a name such as OpenSSL.
    if let first = text.first, !text.prefix(while: { $0 != " " }).dropFirst().contains(where: \.isUppercase) {
      text = first.lowercased() + text.dropFirst()
    }
    if let proxy {
      // Without a user and a password.
      text += " (through the proxy \(proxy.split(separator: "@").last.map(String.init) ?? proxy))"
    }
    var reason = CurlTransfer.reason(code)
    // A server of TLS 1.3 tells what it wants of a client only behind the handshake, when the answer is read.
    if reason == .interrupted, detail.contains("SSL routines"), detail.contains("alert") {
      reason = detail.contains("certificate") ? .certificate : .tls
      if reason == .certificate { text = "the server wants a certificate of the client, or refuses ours: " + text }
    }
    return HTTPError(reason, text)
  }

  private static func reason(_ code: CURLcode) -> HTTPError.Reason {
    switch code {
    case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: .unknownHost
    case CURLE_COULDNT_CONNECT, CURLE_PROXY: .unreachable
    case CURLE_SSL_CONNECT_ERROR, CURLE_SSL_CIPHER: .tls
    case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR,
      CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_CLIENTCERT:
      .certificate
    case CURLE_OPERATION_TIMEDOUT: .timeout
    case CURLE_PARTIAL_FILE, CURLE_GOT_NOTHING, CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_SEND_FAIL_REWIND,
      CURLE_HTTP2, CURLE_HTTP2_STREAM:
      .interrupted
    default: .malformed
    }
  }
}
