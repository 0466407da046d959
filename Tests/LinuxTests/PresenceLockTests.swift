import Core
import Linux
import Testing

@Test func oldestPresenceIsFound() throws {
  let folder = try HostPath.makeTemporaryDirectory("/tmp/stave-presence-")
  defer { try? HostPath.removeTree(folder) }
  let path = folder + "/lease"
  #expect(try PresenceLock.oldest(path) == nil)
  let late = try PresenceLock.join(path, since: Timestamp(seconds: 2000, nanoseconds: 5_999_999))
  #expect(late.since == Timestamp(seconds: 2000, nanoseconds: 5_000_000))
  let twin = try PresenceLock.join(path, since: late.since)
  let early = try PresenceLock.join(path, since: Timestamp(seconds: 1000))
  var oldest: PresenceLock? = try PresenceLock.join(path, since: Timestamp(seconds: -7))
  #expect(oldest?.since == Timestamp(seconds: 0))
  #expect(try PresenceLock.oldest(path) == Timestamp(seconds: 0))
  oldest = nil
  #expect(try PresenceLock.oldest(path) == early.since)
  early.release()
  #expect(try PresenceLock.oldest(path) == late.since)
  late.release()
  late.release()
  #expect(try PresenceLock.oldest(path) == twin.since)
  twin.release()
  #expect(try PresenceLock.oldest(path) == nil)
}

@Test func modifiedTimeIsSetWithoutContent() throws {
  let folder = try HostPath.makeTemporaryDirectory("/tmp/stave-presence-")
  defer { try? HostPath.removeTree(folder) }
  let time = Timestamp(seconds: 12, nanoseconds: 34)
  #expect(try !HostPath.setModified(folder + "/a", time))
  try HostPath.write([1], to: folder + "/a")
  #expect(try HostPath.setModified(folder + "/a", time))
  #expect(try HostPath.status(folder + "/a")?.mtime == time)
  #expect(try HostPath.read(folder + "/a") == [1])
}
