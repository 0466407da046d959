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

enum { max_lowers = 500 };

static void close_keeping_errno(int fd) {
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

static int configure(int fs, unsigned command, const char *key, const void *value, int aux) {
  return (int)syscall(SYS_fsconfig, fs, command, key, value, aux);
}

// Sets `k=v` or `k`. `option` is NUL-terminated; its key may have at most 63 bytes.
static int set_option(int fs, const char *option) {
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

// Keeps what the file system logged about a failure, without its `e ` prefix and newline.
static void keep_log(struct walk *w, int fs) {
  int error = errno;
  ssize_t length = read(fs, w->detail, sizeof w->detail - 1);
  if (length > 0) {
    if (w->detail[length - 1] == '\n') length--;
    w->detail[length] = 0;
    if (length > 2 && w->detail[1] == ' ') memmove(w->detail, w->detail + 2, (size_t)length - 1);
  }
  errno = error;
}

static int create_mount(struct walk *w, int fs, uint64_t attributes) {
  int mount = -1;
  if (configure(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
    mount = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attributes);
  if (mount < 0) keep_log(w, fs);
  return mount;
}

// Takes `mount` as the root, attached at `place`. The descriptor stays open.
static int adopt_root(struct walk *w, int mount, const char *place) {
  int target = open(place, O_PATH | O_CLOEXEC);
  if (target < 0) return -1;
  int attached = attach(mount, target);
  close_keeping_errno(target);
  if (attached < 0) return -1;
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

static char *append(char *end, char *limit, const char *text) {
  while (*text && end < limit - 1) *end++ = *text++;
  *end = 0;
  return end;
}

static char *append_descriptor(char *end, char *limit, int fd) {
  char digits[16];
  int count = 0;
  do digits[count++] = (char)('0' + fd % 10);
  while ((fd /= 10) > 0);
  end = append(end, limit, "/proc/self/fd/");
  while (count > 0 && end < limit - 1) *end++ = digits[--count];
  *end = 0;
  return end;
}

// Kernels before 6.7 have no `lowerdir+`: one string, in which descriptors keep the paths short.
static int overlay_by_string(const struct stave_step *step, const int *lowers, int upper, int work) {
  char data[4096], *end = data, *limit = data + sizeof data;
  *end = 0;
  for (uint64_t k = 0; k < step->n[0]; k++) {
    end = append(end, limit, k ? ":" : "lowerdir=");
    end = append_descriptor(end, limit, lowers[k]);
  }
  end = append_descriptor(append(end, limit, ",upperdir="), limit, upper);
  end = append_descriptor(append(end, limit, ",workdir="), limit, work);
  for (uint32_t k = 2 + (uint32_t)step->n[0]; k < step->strings; k++) {
    // Newer than these kernels.
    if (strcmp(step_string(step, k), "uuid=null") == 0) continue;
    end = append(append(end, limit, ","), limit, step_string(step, k));
  }
  if (end >= limit - 1) {
    errno = ENAMETOOLONG;
    return -1;
  }
  const char *place = step_string(step, 0);
  if (mount("overlay", place, "overlay", 0, data) < 0) return -1;
  int root = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
  return root >= 0 && set_attributes(root, 0, step->n[1], 0, 0) < 0 ? -1 : root;
}

// One directory option, by descriptor where the kernel (6.13) takes one, else by its /proc name.
static int set_directory(int fs, const char *key, int fd) {
  if (configure(fs, FSCONFIG_SET_FD, key, NULL, fd) == 0) return 0;
  char name[32];
  append_descriptor(name, name + sizeof name, fd);
  return configure(fs, FSCONFIG_SET_STRING, key, name, 0);
}

// The directory in string `k`; its path is kept for the report if it can't be opened.
static int open_layer(struct walk *w, const struct stave_step *step, uint32_t k) {
  int fd = open(step_string(step, k), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) append(w->detail, w->detail + sizeof w->detail, step_string(step, k));
  return fd;
}

int root_overlay(struct walk *w, const struct stave_step *step) {
  int lowers[max_lowers];
  if (step->n[0] > max_lowers || step->n[0] + 2 > step->strings) {
    errno = E2BIG;
    return -1;
  }
  int upper = open_layer(w, step, 0);
  int work = upper < 0 ? -1 : open_layer(w, step, 1);
  if (work < 0) return -1;
  uint32_t count = (uint32_t)step->n[0];
  for (uint32_t k = 0; k < count; k++)
    if ((lowers[k] = open_layer(w, step, k + 2)) < 0) return -1;
  int fs = (int)syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC);
  if (fs < 0) return -1;
  int failed = 0, by_string = 0;
  for (uint32_t k = 0; k < count && !failed; k++) failed = set_directory(fs, "lowerdir+", lowers[k]) < 0;
  by_string = failed && errno == EINVAL;
  failed = failed || set_directory(fs, "upperdir", upper) < 0 || set_directory(fs, "workdir", work) < 0;
  for (uint32_t k = 2 + count; k < step->strings && !failed; k++) {
    failed = set_option(fs, step_string(step, k)) < 0;
    if (failed && strcmp(step_string(step, k), "uuid=null") == 0) failed = 0;
  }
  if (by_string) {
    close(fs);
    int root = overlay_by_string(step, lowers, upper, work);
    struct stat status;
    if (root < 0 || fstat(root, &status) < 0) return -1;
    w->root = root;
    w->root_device = status.st_dev;
  } else {
    if (failed) keep_log(w, fs);
    int mount = failed ? -1 : create_mount(w, fs, step->n[1]);
    close_keeping_errno(fs);
    // Any directory of ours would do as the place; the overlay does not see what is mounted over its upper.
    if (mount < 0 || adopt_root(w, mount, step_string(step, 0)) < 0) return -1;
  }
  for (uint32_t k = 0; k < count; k++) close(lowers[k]);
  close(upper);
  close(work);
  return 0;
}

int mount_fs(struct walk *w, const struct stave_step *step) {
  const char *path = step_string(step, 0), *type = step_string(step, 1);
  uint64_t resolve = step->flags & STAVE_FLAG_NO_LINKS ? RESOLVE_NO_SYMLINKS : 0;
  int target = ensure_in_root(w, path, 0, resolve);
  if (target < 0) return -1;
  int fs = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
  if (fs < 0) {
    close_keeping_errno(target);
    return -1;
  }
  int mount = -1, failed = 0;
  for (uint32_t k = 2; k < step->strings && !failed; k++) failed = set_option(fs, step_string(step, k)) < 0;
  if (failed) keep_log(w, fs);
  else mount = create_mount(w, fs, step->n[0]);
  close_keeping_errno(fs);
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
