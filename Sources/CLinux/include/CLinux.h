// What Swift can't import or call from the C library: macros with arguments, variadic calls, and system calls that
// glibc 2.36 has no function for.
#ifndef STAVE_CLINUX_H
#define STAVE_CLINUX_H

#include <stdint.h>
#include <sys/types.h>

#include "Listing.h"
#include "Spawn.h"
#include "UserNamespace.h"

// Flags that the C library shows only with _GNU_SOURCE, which would change types that Swift's Glibc module also has.
enum { STAVE_O_PATH = 010000000, STAVE_SEEK_DATA = 3, STAVE_SEEK_HOLE = 4 };
// UTIME_OMIT of utimensat(2), a cast that Swift does not import.
enum { STAVE_UTIME_OMIT = 0x3ffffffe };

// openat2(2) with resolve flags. -1 and errno on failure.
int stave_openat2(int dirfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);
// open(2), openat(2), fcntl(2), ioctl(2) are variadic.
int stave_openat(int dirfd, const char *path, int flags, mode_t mode);
int stave_fcntl(int fd, int command, long argument);
int stave_ioctl(int fd, unsigned long request, void *argument);
unsigned stave_major(uint64_t device);
unsigned stave_minor(uint64_t device);
uint64_t stave_makedev(unsigned major, unsigned minor);
int stave_wexitstatus(int status);
int stave_wifexited(int status);
int stave_wtermsig(int status);

// xattr(7); `follow` says whether a last symbolic link is followed.
ssize_t stave_getxattr(const char *path, const char *name, void *value, size_t size, int follow);
ssize_t stave_listxattr(const char *path, char *list, size_t size, int follow);
int stave_setxattr(const char *path, const char *name, const void *value, size_t size, int follow);
ssize_t stave_fgetxattr(int fd, const char *name, void *value, size_t size);
ssize_t stave_flistxattr(int fd, char *list, size_t size);
int stave_fsetxattr(int fd, const char *name, const void *value, size_t size);
int stave_pipe2(int fds[2], int flags);
// getdents64(2): one record after another, each of 8 bytes inode, 8 offset, 2 length of the record, 1 kind (DT_*), and
// the name with its NUL.
ssize_t stave_getdents(int fd, void *buffer, size_t size);
ssize_t stave_getrandom(void *buffer, size_t size);
char **stave_environment(void);
// A file in memory alone (memfd_create(2)), close-on-exec; and a child as a descriptor (pidfd_open(2)).
int stave_memory_file(const char *name);
int stave_pidfd_open(pid_t pid);
// The type of the file system that holds `path` (statfs(2)); -1 and errno on failure.
int64_t stave_file_system(const char *path);
// memmem(3): where `needle` first stands in `bytes`, or NULL.
const void *stave_find(const void *bytes, size_t size, const void *needle, size_t length);

// Attaches `file` to a free loop device, read-only, until nobody has the device open: its descriptor, and in `*number`
// the N of /dev/loopN. -1 and errno on failure. `name` is what lists of devices show.
int stave_attach_loop(int file, const char *name, int *number);

// The register of CRC-32C after `bytes`: start with all ones, no final inversion. The second never uses the
// processor's instruction.
uint32_t stave_crc32c(uint32_t crc, const void *bytes, size_t size);
uint32_t stave_crc32c_portable(uint32_t crc, const void *bytes, size_t size);

// fsopen(2), fsconfig(2), fsmount(2): -1 and errno on failure. `value` is NULL for the command.
int stave_fsopen(const char *type, unsigned flags);
int stave_fsconfig(int fd, unsigned command, const char *key, const char *value);
int stave_fsmount(int fd, unsigned flags, unsigned attributes);

// From now on all jobs of tasks that name no executor of their own come to `to`, to be run by `stave_run_job` on any
// thread, and not to threads that the runtime makes. Before the first task.
void stave_take_jobs(void (*to)(void *job));
void stave_run_job(void *job);

// What this thread is: the pool that it works for, NULL for other threads, and whether it is within a call that may
// block. `stave_thread_enter_blocking` is 0 where the thread was within one already.
void *stave_thread_pool(void);
void stave_thread_set_pool(void *pool);
int stave_thread_enter_blocking(void);
void stave_thread_leave_blocking(void);

#endif
