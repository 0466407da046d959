import HTTP
import Testing

@Suite struct HTTPFieldsTests {
  @Test func namesAreComparedWithoutCase() {
    var fields = HTTPFields([("WWW-Authenticate", "Basic"), ("www-authenticate", "Bearer realm=x")])
    #expect(fields.values("Www-Authenticate") == ["Basic", "Bearer realm=x"])
    fields["WWW-AUTHENTICATE"] = "Negotiate"
    #expect(fields.values("www-authenticate") == ["Negotiate"])
    fields["www-authenticate"] = nil
    #expect(fields == HTTPFields())
  }
}
