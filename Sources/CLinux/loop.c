// Loop devices (loop(4)).
#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

// Not in the C library's view of kernels before 5.8.
struct stave_loop_config {
  uint32_t fd;
  uint32_t block_size;
  struct loop_info64 info;
  uint64_t reserved[8];
};
enum { loop_configure = 0x4C0A, loop_major = 7 };

static int open_device(int number) {
  char name[32];
  snprintf(name, sizeof name, "/dev/loop%d", number);
  int fd = open(name, O_RDONLY | O_CLOEXEC);
  if (fd >= 0 || errno != ENOENT) return fd;
  // The /dev of a container has no nodes of devices that came later.
  if (mknod(name, S_IFBLK | 0600, makedev(loop_major, (unsigned)number)) < 0 && errno != EEXIST) return -1;
  return open(name, O_RDONLY | O_CLOEXEC);
}

// In two steps, for kernels before 5.8. A kill between them leaves the device attached.
static int set_file(int device, int file, const struct loop_info64 *info) {
  if (ioctl(device, LOOP_SET_FD, file) < 0) return -1;
  for (int attempt = 0; attempt < 100; attempt++) {
    if (ioctl(device, LOOP_SET_STATUS64, info) == 0) return 0;
    // Pages of its former file are still being written back.
    if (errno != EAGAIN) break;
    usleep(1000);
  }
  int error = errno;
  ioctl(device, LOOP_CLR_FD, 0);
  errno = error;
  return -1;
}

int stave_attach_loop(int file, const char *name, int *number) {
  int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
  if (control < 0) return -1;
  struct stave_loop_config config;
  memset(&config, 0, sizeof config);
  config.fd = (uint32_t)file;
  config.block_size = 512;
  config.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR;
  // Only for people who list devices.
  memcpy(config.info.lo_file_name, name, strnlen(name, LO_NAME_SIZE - 1));
  int device = -1;
  // Between asking for a free device and taking it, others can take it.
  for (int attempt = 0; attempt < 1000; attempt++) {
    *number = ioctl(control, LOOP_CTL_GET_FREE);
    if (*number < 0 || (device = open_device(*number)) < 0) break;
    int done = ioctl(device, loop_configure, &config);
    if (done < 0 && (errno == EINVAL || errno == ENOTTY)) done = set_file(device, file, &config.info);
    if (done == 0) break;
    int error = errno;
    close(device);
    device = -1;
    errno = error;
    if (error != EBUSY && error != ENXIO) break;
  }
  int error = errno;
  close(control);
  errno = error;
  return device;
}
