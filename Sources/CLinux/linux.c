#define _GNU_SOURCE
#include "CLinux.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

int stave_openat2(int dirfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
    struct open_how how;
    memset(&how, 0, sizeof how);
    how.flags = flags;
    how.mode = mode;
    how.resolve = resolve;
    return (int)syscall(SYS_openat2, dirfd, path, &how, sizeof how);
}

int stave_openat(int dirfd, const char *path, int flags, mode_t mode) { return openat(dirfd, path, flags, mode); }
int stave_fcntl(int fd, int command, long argument) { return fcntl(fd, command, argument); }
int stave_ioctl(int fd, unsigned long request, void *argument) { return ioctl(fd, request, argument); }
unsigned stave_major(uint64_t device) { return major(device); }
unsigned stave_minor(uint64_t device) { return minor(device); }
uint64_t stave_makedev(unsigned maj, unsigned min) { return makedev(maj, min); }
int stave_wexitstatus(int status) { return WEXITSTATUS(status); }
int stave_wifexited(int status) { return WIFEXITED(status); }
int stave_wtermsig(int status) { return WTERMSIG(status); }

ssize_t stave_getxattr(const char *path, const char *name, void *value, size_t size, int follow) {
    return follow ? getxattr(path, name, value, size) : lgetxattr(path, name, value, size);
}
ssize_t stave_listxattr(const char *path, char *list, size_t size, int follow) {
    return follow ? listxattr(path, list, size) : llistxattr(path, list, size);
}
int stave_setxattr(const char *path, const char *name, const void *value, size_t size, int follow) {
    return follow ? setxattr(path, name, value, size, 0) : lsetxattr(path, name, value, size, 0);
}
ssize_t stave_fgetxattr(int fd, const char *name, void *value, size_t size) { return fgetxattr(fd, name, value, size); }
ssize_t stave_flistxattr(int fd, char *list, size_t size) { return flistxattr(fd, list, size); }
int stave_fsetxattr(int fd, const char *name, const void *value, size_t size) {
    return fsetxattr(fd, name, value, size, 0);
}
int stave_pipe2(int fds[2], int flags) { return pipe2(fds, flags); }
ssize_t stave_getdents(int fd, void *buffer, size_t size) { return syscall(SYS_getdents64, fd, buffer, size); }
ssize_t stave_getrandom(void *buffer, size_t size) { return getrandom(buffer, size, 0); }
int64_t stave_file_system(const char *path) {
    struct statfs s;
    return statfs(path, &s) == 0 ? (int64_t)(uint32_t)s.f_type : -1;
}
const void *stave_find(const void *bytes, size_t size, const void *needle, size_t length) {
    return memmem(bytes, size, needle, length);
}
char **stave_environment(void) { return environ; }
int stave_memory_file(const char *name) { return memfd_create(name, MFD_CLOEXEC); }
int stave_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

int stave_fsopen(const char *type, unsigned flags) { return (int)syscall(SYS_fsopen, type, flags); }
int stave_fsconfig(int fd, unsigned command, const char *key, const char *value) {
    return (int)syscall(SYS_fsconfig, fd, command, key, value, 0);
}
int stave_fsmount(int fd, unsigned flags, unsigned attributes) {
    return (int)syscall(SYS_fsmount, fd, flags, attributes);
}

static __thread void *thread_pool;
static __thread int thread_blocks;

void *stave_thread_pool(void) { return thread_pool; }
void stave_thread_set_pool(void *pool) { thread_pool = pool; }
int stave_thread_enter_blocking(void) {
    if (thread_blocks) return 0;
    thread_blocks = 1;
    return 1;
}
void stave_thread_leave_blocking(void) { thread_blocks = 0; }
