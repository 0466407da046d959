internal import CLinux
internal import Glibc

/// A lock with conditions to wait for (pthread_mutex_lock(3), pthread_cond_wait(3)), where a thread must wait and not
/// only exclude others.
final class Monitor: @unchecked Sendable {
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let conditions: UnsafeMutableBufferPointer<pthread_cond_t>

  /// A lock with so many conditions, numbered from 0.
  init(conditions count: Int = 1) {
    mutex = .allocate(capacity: 1)
    pthread_mutex_init(mutex, nil)
    conditions = .allocate(capacity: count)
    for number in 0..<count { pthread_cond_init(at(number), nil) }
  }

  deinit {
    for number in conditions.indices { pthread_cond_destroy(at(number)) }
    conditions.deallocate()
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  // A buffer of at least one condition has an address.
  // swift-format-ignore: NeverForceUnwrap
  private func at(_ number: Int) -> UnsafeMutablePointer<pthread_cond_t> { conditions.baseAddress! + number }

  func lock() { pthread_mutex_lock(mutex) }
  func unlock() { pthread_mutex_unlock(mutex) }

  /// Gives the lock up until the condition is signalled, or for no reason: look again.
  func wait(_ condition: Int = 0) { pthread_cond_wait(at(condition), mutex) }

  /// As `wait`, for so many nanoseconds (less than a second) at the most; false if they are over.
  func wait(_ condition: Int = 0, atMost nanoseconds: Int) -> Bool {
    var until = timespec()
    clock_gettime(CLOCK_REALTIME, &until)
    until.tv_nsec += nanoseconds
    if until.tv_nsec >= 1_000_000_000 {
      until.tv_nsec -= 1_000_000_000
      until.tv_sec += 1
    }
    return pthread_cond_timedwait(at(condition), mutex, &until) == 0
  }

  /// Wakes one thread that waits.
  func signal(_ condition: Int = 0) { pthread_cond_signal(at(condition)) }
  /// Wakes all threads that wait.
  func broadcast(_ condition: Int = 0) { pthread_cond_broadcast(at(condition)) }
}
