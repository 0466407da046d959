// Paths inside the new root. An image is hostile: any component may be a link to anywhere, so every path is resolved
// by the kernel below the root's descriptor, and directories are made one at a time at descriptors.
#include "walk.h"
#include <limits.h>
#include <stdio.h>

int open_in_root(struct walk *w, const char *path, uint64_t flags, uint64_t resolve) {
  struct open_how how = {
      .flags = flags | O_CLOEXEC,
      .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve,
  };
  for (int attempt = 0;; attempt++) {
    int fd = (int)syscall(SYS_openat2, w->root, path, &how, sizeof how);
    // A rename elsewhere can race with the walk.
    if (fd >= 0 || errno != EAGAIN || attempt == 100) return fd;
  }
}

// Reports what was made in `parent`, as a path of the root without links: the parent's name less the root's own.
static void report_created(struct walk *w, int parent, const char *name) {
  char link[64], root[PATH_MAX], path[PATH_MAX + 256];
  snprintf(link, sizeof link, "/proc/self/fd/%d", w->root);
  ssize_t prefix = readlink(link, root, sizeof root);
  snprintf(link, sizeof link, "/proc/self/fd/%d", parent);
  ssize_t length = readlink(link, path, PATH_MAX);
  if (prefix < 0 || length < prefix) return;
  size_t rest = (size_t)(length - prefix), name_length = strlen(name);
  if (name_length > 255) return;
  memmove(path, path + prefix, rest);
  path[rest] = '/';
  memcpy(path + rest + 1, name, name_length + 1);
  report(w, STAVE_REPORT_CREATED, 0, path);
}

static int same_device(struct walk *w, int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 && status.st_dev == w->root_device;
}

// Replaces the component [start, end) of `path`, a link at `parent`, by its target. -1 and errno.
static int follow(int parent, char *path, size_t start, size_t end) {
  char target[PATH_MAX], rest[PATH_MAX];
  ssize_t length = readlinkat(parent, path + start, target, sizeof target);
  if (length < 0) return -1;
  size_t left = strlen(path + end + 1);
  // The caller put a NUL at `end`; the rest follows it, unless the component was the last.
  memcpy(rest, path + end + 1, left + 1);
  size_t head = length > 0 && target[0] == '/' ? 0 : start;
  if (head + (size_t)length + 1 + left + 1 >= PATH_MAX) {
    errno = ENAMETOOLONG;
    return -1;
  }
  memcpy(path + head, target, (size_t)length);
  path[head + (size_t)length] = '/';
  memcpy(path + head + (size_t)length + 1, rest, left + 1);
  return 0;
}

int ensure_in_root(struct walk *w, const char *path, int file, uint64_t resolve) {
  int found = open_in_root(w, path, O_PATH, resolve);
  if (found >= 0 || errno != ENOENT) return found;
  // Two spare bytes: follow() looks one past the end.
  char buffer[PATH_MAX + 2] = {0};
  if (strlen(path) >= PATH_MAX) {
    errno = ENAMETOOLONG;
    return -1;
  }
  memcpy(buffer, path, strlen(path));
  int links = 0;
restart:;
  int parent = fcntl(w->root, F_DUPFD_CLOEXEC, 3);
  if (parent < 0) return -1;
  size_t start = 0;
  for (;;) {
    while (buffer[start] == '/') start++;
    if (buffer[start] == 0) return parent;
    size_t end = start;
    while (buffer[end] != 0 && buffer[end] != '/') end++;
    size_t next = end;
    while (buffer[next] == '/') next++;
    int last = buffer[next] == 0;
    char saved = buffer[end];
    buffer[end] = 0;
    int fd = open_in_root(w, buffer, O_PATH, resolve);
    if (fd < 0 && errno == ENOENT) {
      const char *name = buffer + start;
      int made = last && file ? mknodat(parent, name, S_IFREG | 0644, 0) : mkdirat(parent, name, 0755);
      if (made < 0 && errno == EEXIST && !(resolve & RESOLVE_NO_SYMLINKS)) {
        if (saved == 0) buffer[end + 1] = 0;
        if (++links > 40) errno = ELOOP;
        int failed = links > 40 || follow(parent, buffer, start, end) < 0;
        int error = errno;
        close(parent);
        errno = error;
        if (failed) return -1;
        goto restart;
      }
      if (made == 0 && same_device(w, parent)) report_created(w, parent, name);
      if (made == 0) fd = open_in_root(w, buffer, O_PATH, resolve);
    }
    int error = errno;
    close(parent);
    errno = error;
    if (fd < 0) return -1;
    parent = fd;
    buffer[end] = saved;
    start = end;
  }
}

int ensure_parent(struct walk *w, const char *path, char *buffer, const char **name) {
  size_t length = strlen(path);
  if (length >= PATH_MAX) {
    errno = ENAMETOOLONG;
    return -1;
  }
  memcpy(buffer, path, length + 1);
  char *slash = strrchr(buffer, '/');
  if (!slash) {
    errno = EINVAL;
    return -1;
  }
  *slash = 0;
  *name = slash + 1;
  return ensure_in_root(w, buffer[0] ? buffer : "/", 0, 0);
}
