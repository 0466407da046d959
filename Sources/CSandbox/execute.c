// The last step: finding the program and becoming it.
#include "walk.h"
#include <limits.h>
#include <signal.h>

// Refuses to become, through a link of /proc or a script whose interpreter is one, the file that runs now: it is a
// file of the host, and the process could keep it open for writing.
static int refuse_own_image(const char *path) {
  char current[PATH_MAX];
  if (strlen(path) >= sizeof current) {
    errno = ENAMETOOLONG;
    return -1;
  }
  memcpy(current, path, strlen(path) + 1);
  for (int depth = 0; depth < 6; depth++) {
    struct open_how how = {.flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS};
    int fd = (int)syscall(SYS_openat2, AT_FDCWD, current, &how, sizeof how);
    // Not readable, but perhaps executable: for others than root no danger to a file that root owns.
    if (fd < 0) return errno == EACCES && syscall(SYS_geteuid) != 0 ? 0 : -1;
    struct stat status;
    char head[257];
    ssize_t length = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) ? read(fd, head, sizeof head - 1) : 0;
    close(fd);
    if (length < 3 || head[0] != '#' || head[1] != '!') return 0;
    head[length] = 0;
    char *start = head + 2;
    while (*start == ' ' || *start == '\t') start++;
    size_t end = strcspn(start, " \t\n");
    if (end == 0) return 0;
    memcpy(current, start, end);
    current[end] = 0;
  }
  return 0;
}

static int try(struct walk *w, const char *path) {
  struct stat status;
  if (stat(path, &status) < 0) return -1;
  // As Docker says it: a directory is not executable.
  if (S_ISDIR(status.st_mode)) {
    errno = EACCES;
    return -1;
  }
  if (refuse_own_image(path) < 0) {
    // An interpreter that is missing is for execve to report.
    if (errno == ELOOP) errno = EACCES;
    if (errno != ENOENT && errno != ENOTDIR) return -1;
  }
  execve(path, w->arguments, w->environment);
  return -1;
}

// Only the standard streams and the status pipe stay open: with a low limit of open files the launcher's others, which
// end with execve, would leave no room for looking at the program.
static void close_others(struct walk *w) {
  if (w->status != 3) {
    if (syscall(SYS_dup3, w->status, 3, O_CLOEXEC) < 0) return;
    w->status = 3;
  }
  syscall(SYS_close_range, 4, ~0u, 0);
}

int execute(struct walk *w) {
  close_others(w);
  for (int signal = 1; signal <= 64; signal++) {
    // struct kernel_sigaction: handler, flags, restorer, mask.
    uint64_t standard[4] = {0};
    syscall(SYS_rt_sigaction, signal, standard, NULL, 8);
  }
  uint64_t none = 0;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, 8);
  const char *name = w->arguments[0];
  if (strchr(name, '/')) return try(w, name);
  if (name[0] == 0) {
    errno = ENOENT;
    return -1;
  }
  const char *path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  for (char **entry = w->environment; *entry; entry++)
    if (strncmp(*entry, "PATH=", 5) == 0) path = *entry + 5;
  while (1) {
    size_t length = strcspn(path, ":"), name_length = strlen(name);
    char candidate[PATH_MAX];
    // An empty entry would be the working directory, which the image's user may not expect: skipped, as Docker does.
    if (length > 0 && length + name_length + 2 <= sizeof candidate) {
      memcpy(candidate, path, length);
      candidate[length] = '/';
      memcpy(candidate + length + 1, name, name_length + 1);
      struct stat status;
      if (stat(candidate, &status) == 0 && S_ISREG(status.st_mode) && status.st_mode & 0111) {
        size_t kept = strlen(candidate) < sizeof w->detail ? strlen(candidate) : sizeof w->detail - 1;
        memcpy(w->detail, candidate, kept);
        w->detail[kept] = 0;
        return try(w, candidate);
      }
    }
    if (path[length] == 0) break;
    path += length + 1;
  }
  errno = ENOENT;
  return -1;
}
