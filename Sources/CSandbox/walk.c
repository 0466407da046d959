// The steps in order, and what is said about them.
#include "walk.h"
#include <linux/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#ifndef KEYCTL_JOIN_SESSION_KEYRING
#define KEYCTL_JOIN_SESSION_KEYRING 1
#endif

const char *step_string(const struct stave_step *step, uint32_t k) {
  const char *text = (const char *)(step + 1);
  while (k-- > 0) text += strlen(text) + 1;
  return text;
}

const uint8_t *step_bytes(const struct stave_step *step) { return (const uint8_t *)(step + 1); }

void report(struct walk *w, uint32_t kind, int error, const char *text) {
  char message[sizeof(struct stave_report) + 1024];
  size_t length = strlen(text);
  if (length > 1024) length = 1024;
  struct stave_report head = {.kind = kind, .error = error, .step = w->index, .length = (uint32_t)length};
  memcpy(message, &head, sizeof head);
  memcpy(message + sizeof head, text, length);
  if (w->reports) {
    // There is always room for the last one.
    if (kind != STAVE_REPORT_FAILED && w->reports->capacity - w->reports->length < 2 * sizeof message) {
      report(w, STAVE_REPORT_FAILED, E2BIG, "too many places had to be made");
      _exit(125);
    }
    memcpy(w->reports->bytes + w->reports->length, message, sizeof head + length);
    w->reports->length += sizeof head + length;
    return;
  }
  // Shorter than PIPE_BUF: written whole or not at all.
  while (write(w->status, message, sizeof head + length) < 0 && errno == EINTR) {
  }
}

static int die_with_parent(struct walk *w, int signal) {
  if (prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0) < 0) return -1;
  // It may have died before that. Not told by the status pipe: other children of the launcher may have its read end
  // still.
  struct pollfd launcher = {.fd = w->launcher, .events = POLLIN};
  if (poll(&launcher, 1, 0) > 0) _exit(1);
  return 0;
}

static int wait_for_parent(struct walk *w) {
  char byte;
  ssize_t length;
  while ((length = read(w->release, &byte, 1)) < 0 && errno == EINTR) {
  }
  if (length != 1) _exit(1);
  // Ids have a meaning now: be the namespace's root.
  if (syscall(SYS_setresgid, 0, 0, 0) < 0) return -1;
  return (int)syscall(SYS_setresuid, 0, 0, 0);
}

static int write_all(int fd, const char *text) {
  size_t length = strlen(text);
  ssize_t written = write(fd, text, length);
  int error = errno;
  close(fd);
  errno = written < 0 ? error : EIO;
  return written == (ssize_t)length ? 0 : -1;
}

static int write_file(const struct stave_step *step) {
  int fd = open(step_string(step, 0), O_WRONLY | O_CLOEXEC);
  return fd < 0 ? -1 : write_all(fd, step_string(step, 1));
}

static int write_sysctl(struct walk *w, const struct stave_step *step) {
  int fd = open_in_root(w, step_string(step, 0), O_WRONLY, RESOLVE_NO_SYMLINKS);
  return fd < 0 ? -1 : write_all(fd, step_string(step, 1));
}

static int join(const struct stave_step *step) {
  int fd = open(step_string(step, 0), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  int joined = setns(fd, (int)step->n[0]);
  int error = errno;
  close(fd);
  errno = error;
  return joined;
}

static int raise_loopback(void) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
  int done = ioctl(fd, SIOCSIFFLAGS, &request);
  int error = errno;
  close(fd);
  errno = error;
  return done;
}

static int enter_directory(struct walk *w, const char *path) {
  // The descriptor is of a directory inside the root, whatever links or /proc entries the path goes through.
  int fd = ensure_in_root(w, path, 0, 0);
  if (fd < 0) return -1;
  int done = fchdir(fd);
  int error = errno;
  close(fd);
  errno = error;
  return done;
}

static int perform(struct walk *w, const struct stave_step *step) {
  const char *first = step_string(step, 0);
  switch ((enum stave_op)step->op) {
  case STAVE_OP_DEATH_SIGNAL: return die_with_parent(w, (int)step->n[0]);
  case STAVE_OP_WAIT_PARENT: return wait_for_parent(w);
  case STAVE_OP_WRITE_FILE: return write_file(step);
  case STAVE_OP_UNSHARE: return unshare((int)step->n[0]);
  case STAVE_OP_JOIN: return join(step);
  case STAVE_OP_PRIVATE_MOUNTS: return mount(NULL, "/", NULL, MS_REC | (unsigned long)step->n[0], NULL);
  case STAVE_OP_ROOT_DIRECTORY: return root_directory(w, step);
  case STAVE_OP_LOWER_TREE: return lower_tree(w, step);
  case STAVE_OP_LOWER_EROFS: return lower_erofs(w, step);
  case STAVE_OP_LOWER_MOUNT: return lower_mount(w, step);
  case STAVE_OP_ROOT_OVERLAY: return root_overlay(w, step);
  case STAVE_OP_MOUNT: return mount_fs(w, step);
  case STAVE_OP_BIND: return mount_bind(w, step);
  case STAVE_OP_NODE: return make_node(w, step);
  case STAVE_OP_SYMLINK: return make_symlink(w, step);
  case STAVE_OP_TERMINAL: return make_terminal(w, step);
  case STAVE_OP_MASK: return mount_mask(w, step);
  case STAVE_OP_READONLY: return mount_readonly(w, step);
  case STAVE_OP_SYSCTL: return write_sysctl(w, step);
  case STAVE_OP_LOOPBACK: return raise_loopback();
  case STAVE_OP_HOSTNAME: return sethostname(first, strlen(first));
  case STAVE_OP_DOMAINNAME: return setdomainname(first, strlen(first));
  case STAVE_OP_READONLY_ROOT: return set_attributes(w->root, 0, MOUNT_ATTR_RDONLY, 0, 0);
  case STAVE_OP_PIVOT: return pivot(w);
  case STAVE_OP_KEYRING: return (int)syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 ? -1 : 0;
  case STAVE_OP_RLIMIT: return limit_resource(step);
  case STAVE_OP_WORKING_DIRECTORY: return enter_directory(w, first);
  case STAVE_OP_UMASK: umask((mode_t)step->n[0]); return 0;
  case STAVE_OP_BOUNDING: return drop_bounding(step->n[0]);
  case STAVE_OP_SECCOMP: return load_filter(step);
  case STAVE_OP_WATCH: return watch_calls(w, step);
  case STAVE_OP_USER: return become_user(step);
  case STAVE_OP_CAPABILITIES: return set_capabilities(step);
  case STAVE_OP_NO_NEW_PRIVILEGES: return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  case STAVE_OP_EXECUTE: return execute(w);
  }
  errno = ENOSYS;
  return -1;
}

static void close_on_exec_all(void) {
  if (syscall(SYS_close_range, 3, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */) == 0) return;
  for (int fd = 3; fd < 65536; fd++) {
    int flags = fcntl(fd, F_GETFD);
    if (flags >= 0) fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
  }
}

// A pipe belongs to who made it: the process must be able to open its own /dev/stdout again.
static void own_pipes(const struct stave_launch *launch) {
  uid_t uid = 0;
  const struct stave_step *step = NULL;
  for (size_t offset = 0; offset < launch->size; offset += step->size) {
    step = (const struct stave_step *)(launch->program + offset);
    if (step->op == STAVE_OP_USER) uid = (uid_t)step->n[0];
  }
  if (uid == 0) return;
  for (int fd = 0; fd < 3; fd++) {
    struct stat status;
    // Only a courtesy: without it the process still has the open descriptor.
    if (fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode) && fchown(fd, uid, (gid_t)-1) < 0) continue;
  }
}

void stave_walk(const struct stave_launch *launch, const struct child_descriptors *fds, struct reports *reports,
                char **arguments, char **environment) {
  struct walk w = {
      .status = fds->status, .reports = reports, .release = fds->release, .sender = fds->sender,
      .launcher = fds->launcher, .root = -1,
      .empty = -1,
      .arguments = arguments, .environment = environment,
  };
  // The table of descriptors is the child's own, whosever memory it is in.
  for (int k = 0; k < 3; k++)
    if (fds->others[k] >= 0) close(fds->others[k]);
  // From here on nothing of the launcher's terminal or session reaches the process.
  setsid();
  umask(0);
  for (int fd = 0; fd < 3; fd++) {
    int source = fds->stdio[fd] >= 0 ? fds->stdio[fd] : open("/dev/null", O_RDWR | O_CLOEXEC);
    if (source < 0 || dup2(source, fd) < 0) {
      report(&w, STAVE_REPORT_FAILED, errno, "standard streams");
      _exit(125);
    }
  }
  close_on_exec_all();
  int owned = 0;
  for (size_t offset = 0; offset < launch->size; w.index++) {
    const struct stave_step *step = (const struct stave_step *)(launch->program + offset);
    if (!owned && step->op == STAVE_OP_PIVOT) {
      own_pipes(launch);
      owned = 1;
    }
    w.detail[0] = 0;
    if (perform(&w, step) < 0) {
      int error = errno;
      int missing = error == ENOENT || error == ENOTDIR;
      if (step->flags & STAVE_FLAG_MISSING_OK && missing) {
        // Nothing to do.
      } else if (step->flags & STAVE_FLAG_TOLERATE) {
        report(&w, STAVE_REPORT_WARNING, error, w.detail);
      } else {
        report(&w, STAVE_REPORT_FAILED, error, w.detail);
        _exit(125);
      }
    }
    offset += step->size;
  }
  // A program ends with EXECUTE, which does not return.
  report(&w, STAVE_REPORT_FAILED, ENOEXEC, "no program");
  _exit(125);
}
