import Registry
import Testing

@Suite struct CredentialTests {
  @Test func kindsAreDistinct() {
    #expect(Credential.identityToken("a") != .registryToken("a"))
  }
}
