// What Swift can't import or call from the C library: macros with arguments, variadic calls, and system calls that
// glibc 2.36 has no function for.
#ifndef STAVE_CLINUX_H
#define STAVE_CLINUX_H

#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

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

#endif
