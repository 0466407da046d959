internal import CCurl
internal import Core
internal import Linux

/// The functions of libcurl, bound on first use.
struct CurlLibrary: @unchecked Sendable {
  typealias Handle = UnsafeMutableRawPointer

  let makeHandle: @convention(c) () -> Handle?
  let freeHandle: @convention(c) (Handle?) -> Void
  let reset: @convention(c) (Handle?) -> Void
  let perform: @convention(c) (Handle?) -> CURLcode
  let text: @convention(c) (CURLcode) -> UnsafePointer<CChar>?
  let appendToList:
    @convention(c) (UnsafeMutablePointer<curl_slist>?, UnsafePointer<CChar>?) -> UnsafeMutablePointer<curl_slist>?
  let freeList: @convention(c) (UnsafeMutablePointer<curl_slist>?) -> Void
  private let setOption: stave_curl_setopt
  private let getInfo: stave_curl_getinfo

  private init() throws {
    let library = try DynamicLibrary("libcurl.so.4", package: "libcurl4")
    let initialize: @convention(c) (Int) -> CURLcode = try library.symbol("curl_global_init")
    makeHandle = try library.symbol("curl_easy_init")
    freeHandle = try library.symbol("curl_easy_cleanup")
    reset = try library.symbol("curl_easy_reset")
    perform = try library.symbol("curl_easy_perform")
    text = try library.symbol("curl_easy_strerror")
    appendToList = try library.symbol("curl_slist_append")
    freeList = try library.symbol("curl_slist_free_all")
    setOption = try library.symbol("curl_easy_setopt")
    getInfo = try library.symbol("curl_easy_getinfo")
    // TLS too.
    guard initialize(3) == CURLE_OK else { throw Failure("load libcurl.so.4", "it can't be initialized") }
  }

  private static let shared = Result { try CurlLibrary() }

  /// The library; throws a `Failure` if it is missing.
  static func bound() throws -> CurlLibrary { try shared.get() }

  func set(_ handle: Handle, _ option: CURLoption, _ value: Int) throws {
    try verify(stave_curl_set_long(setOption, handle, option, value))
  }

  func set(_ handle: Handle, _ option: CURLoption, offset: Int64) throws {
    try verify(stave_curl_set_offset(setOption, handle, option, Int(offset)))
  }

  func set(_ handle: Handle, _ option: CURLoption, _ value: UnsafeRawPointer?) throws {
    try verify(stave_curl_set_pointer(setOption, handle, option, value))
  }

  /// The library keeps a copy of `text`.
  func set(_ handle: Handle, _ option: CURLoption, _ text: String) throws {
    try text.withCString { try set(handle, option, UnsafeRawPointer($0)) }
  }

  /// The errno of the last failure, 0 if there was none.
  func systemError(_ handle: Handle) -> Int32 {
    var value = 0
    _ = stave_curl_get_long(getInfo, handle, CURLINFO_OS_ERRNO, &value)
    return Int32(truncatingIfNeeded: value)
  }

  private func verify(_ code: CURLcode) throws {
    guard code == CURLE_OK else {
      let reason = text(code).map { String(cString: $0).lowercased() } ?? "unknown error"
      throw Failure("use libcurl.so.4", reason, hint: "update the package libcurl4")
    }
  }
}
