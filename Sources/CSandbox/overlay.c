// The overlay root and its lowers.
#include "walk.h"
#include <sys/mount.h>

char *append(char *end, char *limit, const char *text) {
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

static int add_lower(struct walk *w, int fd, int mounted) {
  if (w->lower_count >= STAVE_MAX_LOWERS) {
    close(fd);
    errno = E2BIG;
    return -1;
  }
  w->mounted[w->lower_count] = (uint8_t)mounted;
  w->lowers[w->lower_count++] = fd;
  return 0;
}

int lower_mount(struct walk *w, const struct stave_step *step) { return add_lower(w, (int)step->n[0], 1); }

int lower_tree(struct walk *w, const struct stave_step *step) {
  int fd = open(step_string(step, 0), O_PATH | O_DIRECTORY | O_CLOEXEC);
  return fd < 0 ? -1 : add_lower(w, fd, 0);
}

// MARK: EROFS

// What of the superblock and of a device slot is read here (Linux, fs/erofs/erofs_fs.h), little-endian as this machine.
enum { super_offset = 1024, slot_size = 128, super_magic = (int)0xE0F5E1E2 };
struct super {
  uint32_t magic, checksum, feature_compat;
  uint8_t block_bits, slots;
  uint8_t ignored[72];
  uint16_t extra_devices, slot_offset;
  uint8_t rest[38];
};
_Static_assert(sizeof(struct super) == 128 && offsetof(struct super, extra_devices) == 86, "erofs_fs.h");

// Says `subject` and `problem` instead of an errno.
static int refuse(struct walk *w, const char *subject, const char *problem) {
  char *limit = w->detail + sizeof w->detail;
  append(append(w->detail, limit, subject), limit, problem);
  errno = 0;
  return -1;
}

// The kernel takes an image without its devices, and devices that are too short: reads would fail much later.
static int check_devices(struct walk *w, int index, const char *device, uint64_t count) {
  struct super super;
  if (pread(index, &super, sizeof super, super_offset) != sizeof super || (int)super.magic != super_magic ||
      super.block_bits > 16)
    return refuse(w, "", "it is no EROFS image");
  if (super.extra_devices != count) return refuse(w, "", "it was made for another number of devices");
  for (uint64_t k = 0; k < count; k++, device += strlen(device) + 1) {
    struct stat status;
    if (stat(device, &status) < 0) {
      char *limit = w->detail + sizeof w->detail;
      append(append(w->detail, limit, "device "), limit, device);
      return -1;
    }
    uint32_t blocks;
    off_t slot = (off_t)slot_size * ((off_t)super.slot_offset + (off_t)k);
    if (pread(index, &blocks, sizeof blocks, slot + 64) != sizeof blocks)
      return refuse(w, "", "its device table is damaged");
    // What is no regular file has no size to compare.
    uint64_t have = ((uint64_t)status.st_size + (1u << super.block_bits) - 1) >> super.block_bits;
    if (S_ISREG(status.st_mode) && have < blocks)
      return refuse(w, device, " is shorter than the index says");
  }
  return 0;
}

// The detached mount of a LOWER_EROFS step; -1, errno and w->detail.
static int mount_layer(struct walk *w, const struct stave_step *step) {
  const char *path = step_string(step, 0), *devices = path + strlen(path) + 1;
  uint64_t count = step->n[0];
  int index = open(path, O_RDONLY | O_CLOEXEC);
  if (index < 0) return -1;
  struct stat status;
  // Else the kernel would read its blocks one by one, in a context that some versions of ext4 warn about.
  if (fstat(index, &status) == 0) syscall(SYS_readahead, index, (off_t)0, (size_t)status.st_size);
  int done = check_devices(w, index, devices, count);
  close_keeping_errno(index);
  if (done < 0) return -1;

  // What is mounted: the files themselves, or the block devices that stand for them.
  const char *source = path, *device = devices;
  if (step->strings > count + 1) {
    source = step_string(step, (uint32_t)count + 1);
    device = source + strlen(source) + 1;
  }
  int fs = (int)syscall(SYS_fsopen, "erofs", FSOPEN_CLOEXEC);
  if (fs < 0) return -1;
  // A block device that can't be written is refused without `ro`.
  int failed = set_option(fs, "ro") < 0 || configure(fs, FSCONFIG_SET_STRING, "source", source, 0) < 0;
  for (uint64_t k = 0; k < count && !failed; k++, device += strlen(device) + 1)
    failed = configure(fs, FSCONFIG_SET_STRING, "device", device, 0) < 0;
  if (failed) keep_log(w, fs);
  uint64_t attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  int mount = failed ? -1 : create_mount(w, fs, attributes);
  close_keeping_errno(fs);
  return mount;
}

int lower_erofs(struct walk *w, const struct stave_step *step) {
  int mount = mount_layer(w, step);
  return mount < 0 ? -1 : add_lower(w, mount, 1);
}

int stave_mount_layer(const uint8_t *step, char *detail) {
  struct walk w = {.root = -1, .empty = -1};
  int mount = high(mount_layer(&w, (const struct stave_step *)step));
  memcpy(detail, w.detail, sizeof w.detail);
  return mount;
}

int stave_clone_tree(const char *path) { return high(open_tree_clone(AT_FDCWD, path, 0)); }

// MARK: the overlay

// Kernels before 6.7 have no `lowerdir+`: one string, in which descriptors keep the paths short.
static int overlay_by_string(struct walk *w, const struct stave_step *step, int upper, int work) {
  char data[4096], *end = data, *limit = data + sizeof data;
  *end = 0;
  for (uint32_t k = 0; k < w->lower_count; k++) {
    end = append(end, limit, k ? ":" : "lowerdir=");
    end = append_descriptor(end, limit, w->lowers[k]);
  }
  end = append_descriptor(append(end, limit, ",upperdir="), limit, upper);
  end = append_descriptor(append(end, limit, ",workdir="), limit, work);
  for (uint32_t k = 2; k < step->strings; k++) {
    // Newer than these kernels.
    if (strcmp(step_string(step, k), "uuid=null") == 0) continue;
    end = append(append(end, limit, ","), limit, step_string(step, k));
  }
  if (end >= limit - 1) {
    append(w->detail, w->detail + sizeof w->detail, "kernels before 6.7 stack fewer layers");
    errno = ENAMETOOLONG;
    return -1;
  }
  const char *place = step_string(step, 0);
  if (mount("overlay", place, "overlay", 0, data) < 0) return -1;
  int root = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
  return root >= 0 && set_attributes(root, 0, step->n[0], 0, 0) < 0 ? -1 : root;
}

// One directory option, by descriptor where the kernel (6.13) takes one, else by its /proc name.
static int set_directory(int fs, const char *key, int fd) {
  if (configure(fs, FSCONFIG_SET_FD, key, NULL, fd) == 0) return 0;
  char name[32];
  append_descriptor(name, name + sizeof name, fd);
  return configure(fs, FSCONFIG_SET_STRING, key, name, 0);
}

static int overlay_by_descriptor(struct walk *w, const struct stave_step *step, int upper, int work) {
  int fs = (int)syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC);
  if (fs < 0) return -1;
  int failed = 0;
  for (uint32_t k = 0; k < w->lower_count && !failed; k++) failed = set_directory(fs, "lowerdir+", w->lowers[k]) < 0;
  failed = failed || set_directory(fs, "upperdir", upper) < 0 || set_directory(fs, "workdir", work) < 0;
  for (uint32_t k = 2; k < step->strings && !failed; k++) {
    failed = set_option(fs, step_string(step, k)) < 0;
    if (failed && strcmp(step_string(step, k), "uuid=null") == 0) failed = 0;
  }
  if (failed) keep_log(w, fs);
  int mount = failed ? -1 : create_mount(w, fs, step->n[0]);
  close_keeping_errno(fs);
  return mount;
}

// For older kernels, which answer EINVAL, and in a user namespace (EPERM): mounts of ours get a place in this
// namespace, all of them the same, since descriptors tell them apart. Going to the new root leaves them behind.
static int attach_lowers(struct walk *w, const char *place) {
  for (uint32_t k = 0; k < w->lower_count; k++) {
    if (!w->mounted[k]) continue;
    int target = open(place, O_PATH | O_CLOEXEC);
    int attached = target < 0 ? -1 : attach(w->lowers[k], target);
    if (target >= 0) close_keeping_errno(target);
    if (attached < 0) return -1;
    w->mounted[k] = 0;
  }
  return 0;
}

// The directory in string `k`; its path is kept for the report if it can't be opened.
static int open_layer(struct walk *w, const struct stave_step *step, uint32_t k) {
  int fd = open(step_string(step, k), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) append(w->detail, w->detail + sizeof w->detail, step_string(step, k));
  return fd;
}

int root_overlay(struct walk *w, const struct stave_step *step) {
  int upper = open_layer(w, step, 0);
  int work = upper < 0 ? -1 : open_layer(w, step, 1);
  if (work < 0) return -1;
  const char *place = step_string(step, 0);
  int root = -1, attached = 0, error = 0;
  // A failed attempt may leave the mark of `volatile`, with which every later one fails.
  int fresh = faccessat(work, "work/incompat", F_OK, 0) < 0;
  for (uint64_t form = step->n[1]; form <= STAVE_OVERLAY_STRING; form++) {
    if (error && fresh) {
      unlinkat(work, "work/incompat/volatile/dirty", 0);
      unlinkat(work, "work/incompat/volatile", AT_REMOVEDIR);
      unlinkat(work, "work/incompat", AT_REMOVEDIR);
    }
    if (form >= STAVE_OVERLAY_ATTACHED && attach_lowers(w, place) < 0) {
      if (error == 0) error = errno;
      break;
    }
    if (form == STAVE_OVERLAY_STRING) {
      root = overlay_by_string(w, step, upper, work);
      attached = root >= 0;
    } else {
      root = overlay_by_descriptor(w, step, upper, work);
    }
    // Of several failures the first says what is wrong, unless the kernel was too old for it.
    if (error == 0 || errno == ENAMETOOLONG) error = errno;
    if (root >= 0 || (errno != EINVAL && errno != EPERM)) break;
  }
  if (root < 0) {
    errno = error;
    return -1;
  }
  w->detail[0] = 0;
  // Any directory of ours would do as the place; the overlay does not see what is mounted over its upper.
  if ((attached ? take_root(w, root) : adopt_root(w, root, place)) < 0) return -1;
  for (uint32_t k = 0; k < w->lower_count; k++) close(w->lowers[k]);
  close(upper);
  close(work);
  return 0;
}
