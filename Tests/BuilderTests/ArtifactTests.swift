import Builder
import Core
import Registry
import Testing

private let subject = Descriptor(mediaType: MediaType.ociManifest, digest: .sha256("subject"), size: 7)
private let statement = Artifact.Content(
  mediaType: "application/vnd.in-toto+json", bytes: Array("{\"a\":1}".utf8), annotations: ["predicate": "x"])

@Test func anArtifactWithoutContentIsTheSpecificationsExample() throws {
  let artifact = Artifact(artifactType: "application/vnd.example+type", subject: subject)
  let empty =
    #"{"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","#
    + #""mediaType":"application/vnd.oci.empty.v1+json","size":2}"#
  #expect(
    String(decoding: artifact.manifest, as: UTF8.self)
      == #"{"artifactType":"application/vnd.example+type","config":\#(empty),"layers":[\#(empty)],"#
      + #""mediaType":"\#(MediaType.ociManifest)","schemaVersion":2,"subject":\#(subject.json.text)}"#)
}

@Test(arguments: [true, false])
func artifactsAreFoundByTheirSubject(hasReferrers: Bool) throws {
  let registry = MemoryRegistry(hasReferrers: hasReferrers)
  let client = registry.client
  let reference = try ImageReference("r.example/app:1")
  let first = Artifact(
    artifactType: "application/vnd.in-toto+json", layers: [statement], annotations: ["k": "v"], subject: subject)
  let second = Artifact(
    artifactType: "text/plain", config: .init(mediaType: "text/x-config", bytes: [1, 2]), subject: subject)
  let other = Artifact(artifactType: "text/plain", subject: first.descriptor)
  for artifact in [first, second, other] { try artifact.push(to: reference, client) }
  let found = try Artifact.referrers(of: subject.digest, in: reference, client)
  #expect(Set(found) == [first.descriptor, second.descriptor])
  #expect(try Artifact.referrers(of: subject.digest, in: reference, type: "text/plain", client) == [second.descriptor])
  for artifact in [first, second, other] {
    #expect(try Artifact(artifact.descriptor, of: reference, client) == artifact)
  }
  #expect(registry.manifest("app 1") == nil)
  try first.push(to: reference, tag: "sig", client)
  #expect(registry.manifest("app sig")?.bytes == first.manifest)
}
