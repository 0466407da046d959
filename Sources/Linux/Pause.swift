internal import Glibc

/// Sleeps this thread; for waits that the kernel gives no event for.
public func pause(microseconds: UInt32) { usleep(microseconds) }

/// Sleeps this thread; for waits that the kernel gives no event for.
public func pause(milliseconds: UInt32) { usleep(milliseconds * 1000) }
