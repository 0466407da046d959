import Core
import Testing

@testable import Engine

@Test func annotationsSayWhatTheyAnnotate() throws {
  func parsed(_ text: String) throws -> [String] {
    try BuildAnnotation.parse(text).map {
      "\($0.place.rawValue) \($0.platform?.description ?? "-") \($0.key) = \($0.value)"
    }
  }
  #expect(try parsed("a=b") == ["manifest - a = b"])
  #expect(try parsed("a=b c=d") == ["manifest - a = b c=d"])
  #expect(try parsed("a=") == ["manifest - a = "])
  #expect(try parsed("index:a=b:c") == ["index - a = b:c"])
  #expect(
    try parsed("index,manifest[linux/arm64]:a=b") == ["index - a = b", "manifest linux/arm64 a = b"])
  let all = try BuildAnnotation.parse("manifest[linux/arm64]:a=b") + BuildAnnotation.parse("a=c")
  #expect(all.values(.manifest, try Platform("linux/arm64")) == ["a": "c"])
  #expect(Array(all.prefix(1)).values(.manifest, try Platform("linux/amd64")) == [:])
}

@Test(arguments: ["", "a", "=b", "index:=b", "nonsense:a=b", "manifest[x:a=b", "manifest[x/y/z/w]:a=b", ":a=b"])
func annotationsThatSayNothingAreRefused(text: String) {
  #expect(throws: Failure.self) { try BuildAnnotation.parse(text) }
}

@Test func platformsAreNamedOnce() throws {
  var request = BuildRequest(context: ".")
  #expect(try request.wantedPlatforms == [.current])
  request.platforms = ["linux/arm64,linux/amd64", "local", "linux/arm64/v8"]
  #expect(Set(try request.wantedPlatforms).count == 2)
  #expect(try request.wantedPlatforms.first?.description == "linux/arm64")
  request.platforms = ["linux/"]
  #expect(throws: Failure.self) { try request.wantedPlatforms }
}

@Test func bytesAreWrittenInBase64() {
  for (text, want) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
    #expect(ManifestView.base64(Array(text.utf8)) == want)
  }
}
