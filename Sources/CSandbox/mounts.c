// The mounts of a new root. All of them are detached until move_mount(2) puts them at a descriptor.
#include "walk.h"
#include <stdio.h>
#include <sys/mount.h>

#ifndef MOVE_MOUNT_F_EMPTY_PATH
#define MOVE_MOUNT_F_EMPTY_PATH 0x00000004
#endif
#ifndef MOVE_MOUNT_T_EMPTY_PATH
#define MOVE_MOUNT_T_EMPTY_PATH 0x00000040
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

void close_keeping_errno(int fd) {
  int error = errno;
  close(fd);
  errno = error;
}

int open_tree_clone(int dirfd, const char *path, int recursive) {
  unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0);
  if (path[0] == 0) flags |= AT_EMPTY_PATH;
  return (int)syscall(SYS_open_tree, dirfd, path, flags);
}

int attach(int mount, int target) {
  return (int)syscall(SYS_move_mount, mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

int set_attributes(int fd, int recursive, uint64_t set, uint64_t clear, uint64_t propagation) {
  struct mount_attr attributes = {.attr_set = set, .attr_clr = clear, .propagation = propagation};
  // The access-time bits are one value, not flags.
  if (set & MOUNT_ATTR__ATIME) attributes.attr_clr |= MOUNT_ATTR__ATIME;
  if (!attributes.attr_set && !attributes.attr_clr && !propagation) return 0;
  unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
  return (int)syscall(SYS_mount_setattr, fd, "", flags, &attributes, sizeof attributes);
}

int configure(int fs, unsigned command, const char *key, const void *value, int aux) {
  return (int)syscall(SYS_fsconfig, fs, command, key, value, aux);
}

int set_option(int fs, const char *option) {
  const char *equals = strchr(option, '=');
  if (!equals) return configure(fs, FSCONFIG_SET_FLAG, option, NULL, 0);
  char key[64];
  size_t length = (size_t)(equals - option);
  if (length >= sizeof key) {
    errno = EINVAL;
    return -1;
  }
  memcpy(key, option, length);
  key[length] = 0;
  return configure(fs, FSCONFIG_SET_STRING, key, equals + 1, 0);
}

// The log has lines `e text` of errors among others; the last error says most.
void keep_log(struct walk *w, int fs) {
  int error = errno;
  char line[sizeof w->detail];
  ssize_t length;
  while ((length = read(fs, line, sizeof line - 1)) > 0) {
    if (line[length - 1] == '\n') length--;
    line[length] = 0;
    int is_error = length > 2 && line[0] == 'e' && line[1] == ' ';
    if (is_error || w->detail[0] == 0) {
      char *text = length > 2 && line[1] == ' ' ? line + 2 : line;
      memcpy(w->detail, text, strlen(text) + 1);
    }
  }
  errno = error;
}

int create_mount(struct walk *w, int fs, uint64_t attributes) {
  int mount = -1;
  if (configure(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
    mount = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attributes);
  if (mount < 0) keep_log(w, fs);
  return mount;
}

int adopt_root(struct walk *w, int mount, const char *place) {
  int target = open(place, O_PATH | O_CLOEXEC);
  if (target < 0) return -1;
  int attached = attach(mount, target);
  close_keeping_errno(target);
  return attached < 0 ? -1 : take_root(w, mount);
}

int take_root(struct walk *w, int mount) {
  struct stat status;
  if (fstat(mount, &status) < 0) return -1;
  w->root = mount;
  w->root_device = status.st_dev;
  return 0;
}

int root_directory(struct walk *w, const struct stave_step *step) {
  const char *path = step_string(step, 0);
  int mount = open_tree_clone(AT_FDCWD, path, 1);
  if (mount < 0) return -1;
  if (set_attributes(mount, 1, step->n[0], 0, MS_PRIVATE) < 0) return -1;
  return adopt_root(w, mount, path);
}

int mount_fs(struct walk *w, const struct stave_step *step) {
  const char *path = step_string(step, 0), *type = step_string(step, 1);
  uint64_t resolve = step->flags & STAVE_FLAG_NO_LINKS ? RESOLVE_NO_SYMLINKS : 0;
  int target = ensure_in_root(w, path, 0, resolve);
  if (target < 0) return -1;
  int fs = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
  int mount = -1, failed = fs < 0;
  for (uint32_t k = 2; k < step->strings && !failed; k++)
    if ((failed = set_option(fs, step_string(step, k)) < 0)) keep_log(w, fs);
  if (!failed) mount = create_mount(w, fs, step->n[0]);
  if (fs >= 0) close_keeping_errno(fs);
  if (mount < 0 && step->n[1] && errno == EPERM) {
    // A user namespace may not make what it does not own the network namespace of: show the host's, read-only.
    mount = open_tree_clone(AT_FDCWD, "/sys", 1);
    if (mount >= 0 && set_attributes(mount, 1, step->n[0], 0, MS_PRIVATE) < 0) {
      close_keeping_errno(mount);
      mount = -1;
    }
  }
  int attached = mount < 0 ? -1 : attach(mount, target);
  if (mount >= 0) close_keeping_errno(mount);
  close_keeping_errno(target);
  return attached;
}

int mount_bind(struct walk *w, const struct stave_step *step) {
  const char *source = step_string(step, 0), *path = step_string(step, 1);
  int recursive = step->n[2] != 0;
  int mount = open_tree_clone(AT_FDCWD, source, recursive);
  if (mount < 0) return -1;
  struct stat status;
  int target = -1, done = -1;
  if (fstat(mount, &status) == 0 && set_attributes(mount, recursive, step->n[0], step->n[1], step->n[3]) == 0)
    target = ensure_in_root(w, path, !S_ISDIR(status.st_mode), 0);
  if (target >= 0) {
    done = attach(mount, target);
    close_keeping_errno(target);
  }
  close_keeping_errno(mount);
  return done;
}

static int attach_empty(struct walk *w, int target) {
  if (w->empty >= 0) {
    int copy = open_tree_clone(w->empty, "", 0);
    if (copy < 0) return -1;
    int attached = attach(copy, target);
    close_keeping_errno(copy);
    return attached;
  }
  int fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
  if (fs < 0) return -1;
  int mount = -1;
  if (set_option(fs, "size=0") == 0 && set_option(fs, "mode=755") == 0)
    mount = create_mount(w, fs, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
  close_keeping_errno(fs);
  if (mount < 0) return -1;
  int attached = attach(mount, target);
  if (attached == 0) w->empty = mount;
  else close_keeping_errno(mount);
  return attached;
}

int mount_mask(struct walk *w, const struct stave_step *step) {
  int target = open_in_root(w, step_string(step, 0), O_PATH, 0);
  if (target < 0) return -1;
  struct stat status;
  int done = fstat(target, &status);
  if (done == 0 && S_ISDIR(status.st_mode)) {
    done = attach_empty(w, target);
  } else if (done == 0) {
    int null = open_tree_clone(AT_FDCWD, "/dev/null", 0);
    done = null < 0 ? -1 : attach(null, target);
    if (null >= 0) close_keeping_errno(null);
  }
  close_keeping_errno(target);
  return done;
}

int mount_readonly(struct walk *w, const struct stave_step *step) {
  int target = open_in_root(w, step_string(step, 0), O_PATH, 0);
  if (target < 0) return -1;
  int mount = open_tree_clone(target, "", 1), done = -1;
  if (mount >= 0 && set_attributes(mount, 1, MOUNT_ATTR_RDONLY, 0, 0) == 0) done = attach(mount, target);
  if (mount >= 0) close_keeping_errno(mount);
  close_keeping_errno(target);
  return done;
}

int pivot(struct walk *w) {
  if (w->empty >= 0) close(w->empty);
  if (fchdir(w->root) < 0) return -1;
  if (syscall(SYS_pivot_root, ".", ".") < 0) return -1;
  // The old root now lies over the new one.
  if (umount2(".", MNT_DETACH) < 0) return -1;
  return chdir("/");
}
