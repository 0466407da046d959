// Watches the system calls of a container that a user namespace of a single id refuses: they go on as if nobody looked,
// but what they asked for is known when the container fails.
#define _GNU_SOURCE
#include "CSandbox.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SECCOMP_USER_NOTIF_FLAG_CONTINUE
#define SECCOMP_USER_NOTIF_FLAG_CONTINUE 1u
#endif

struct stave_watch {
  pthread_mutex_t lock;
  int listener;
  int owners; // the thread and the caller
  struct stave_watched last;
  uint64_t time; // of the last
};

static uint64_t milliseconds(void) {
  struct timespec now = {0};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int open_of(uint32_t pid, const char *name) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%u/%s", pid, name);
  return open(path, O_RDONLY | O_CLOEXEC);
}

// Copies the string at `address` of the process; as much of it as can be read.
static void read_string(uint32_t pid, uint64_t address, char *out, size_t size) {
  out[0] = 0;
  int memory = open_of(pid, "mem");
  if (memory < 0) return;
  ssize_t length = pread(memory, out, size - 1, (off_t)address);
  close(memory);
  out[length > 0 ? length : 0] = 0;
}

static void read_descriptor(uint32_t pid, uint64_t fd, char *out, size_t size) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%u/fd/%d", pid, (int)fd);
  ssize_t length = readlink(path, out, size - 1);
  out[length > 0 ? length : 0] = 0;
}

// The groups of a setgroups(2), at most as many as there is room for.
static void read_groups(struct stave_watched *call, uint32_t pid, uint64_t count, uint64_t address) {
  size_t room = sizeof call->ids / sizeof call->ids[0];
  call->count = count < room ? (uint32_t)count : (uint32_t)room;
  int memory = open_of(pid, "mem");
  ssize_t length = memory < 0 ? -1 : pread(memory, call->ids, call->count * sizeof call->ids[0], (off_t)address);
  if (memory >= 0) close(memory);
  call->count = length > 0 ? (uint32_t)((size_t)length / sizeof call->ids[0]) : 0;
}

static void understand(struct stave_watched *call, uint32_t pid, const struct seccomp_data *data) {
  const __u64 *n = data->args;
  memset(call, 0, sizeof *call);
  int path = -1, fd = -1, first = 0, count = 1;
  const char *name = "?";
  int is64 = data->arch == 0xc000003e;
  switch (is64 ? (data->nr & 0x3fffffff) : data->nr + 1000) {
  case 92: case 1000 + 212: name = "chown"; path = 0; first = 1; count = 2; break;
  case 94: case 1000 + 198: name = "lchown"; path = 0; first = 1; count = 2; break;
  case 93: case 1000 + 207: name = "fchown"; fd = 0; first = 1; count = 2; break;
  case 260: case 1000 + 298: name = "fchownat"; path = 1; first = 2; count = 2; break;
  case 105: case 1000 + 213: name = "setuid"; break;
  case 106: case 1000 + 214: name = "setgid"; break;
  case 113: case 1000 + 203: name = "setreuid"; count = 2; break;
  case 114: case 1000 + 204: name = "setregid"; count = 2; break;
  case 117: case 1000 + 208: name = "setresuid"; count = 3; break;
  case 119: case 1000 + 210: name = "setresgid"; count = 3; break;
  case 116: case 1000 + 206: name = "setgroups"; count = 0; break;
  }
  snprintf(call->name, sizeof call->name, "%s", name);
  for (int k = 0; k < count; k++) call->ids[k] = (uint32_t)n[first + k];
  call->count = (uint32_t)count;
  if (count == 0) read_groups(call, pid, n[0], n[1]);
  if (path >= 0) read_string(pid, n[path], call->path, sizeof call->path);
  if (path == 1 && call->path[0] == 0) fd = 0;
  if (fd >= 0) read_descriptor(pid, n[fd], call->path, sizeof call->path);
}

static void let_go(struct stave_watch *watch) {
  pthread_mutex_lock(&watch->lock);
  int left = --watch->owners;
  pthread_mutex_unlock(&watch->lock);
  if (left) return;
  pthread_mutex_destroy(&watch->lock);
  free(watch);
}

static void answer(struct stave_watch *watch, const struct seccomp_notif *asked) {
  struct stave_watched call;
  understand(&call, asked->pid, &asked->data);
  // What was read is of this very call only if the caller still waits.
  int valid = ioctl(watch->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &asked->id) == 0;
  if (valid) {
    pthread_mutex_lock(&watch->lock);
    call.number = watch->last.number + 1;
    watch->last = call;
    watch->time = milliseconds();
    pthread_mutex_unlock(&watch->lock);
  }
  // The kernel decides, as it would have without us: nothing is granted here, so a caller that changes its arguments
  // meanwhile gains nothing.
  struct seccomp_notif_resp go_on = {.id = asked->id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
  ioctl(watch->listener, SECCOMP_IOCTL_NOTIF_SEND, &go_on);
}

static void *serve(void *context) {
  struct stave_watch *watch = context;
  struct seccomp_notif_sizes sizes = {0};
  syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes);
  size_t size = sizes.seccomp_notif > sizeof(struct seccomp_notif) ? sizes.seccomp_notif : sizeof(struct seccomp_notif);
  struct seccomp_notif *asked = calloc(1, size);
  struct pollfd ready = {.fd = watch->listener, .events = POLLIN};
  while (asked) {
    if (poll(&ready, 1, -1) < 0) {
      if (errno == EINTR) continue;
      break;
    }
    // Nobody is left who could call.
    if (!(ready.revents & POLLIN)) break;
    memset(asked, 0, size);
    if (ioctl(watch->listener, SECCOMP_IOCTL_NOTIF_RECV, asked) == 0) answer(watch, asked);
    else if (errno != EINTR && errno != ENOENT) break;
  }
  free(asked);
  close(watch->listener);
  let_go(watch);
  return NULL;
}

struct stave_watch *stave_watch_start(int listener) {
  struct stave_watch *watch = calloc(1, sizeof *watch);
  if (!watch) return NULL;
  pthread_mutex_init(&watch->lock, NULL);
  watch->listener = fcntl(listener, F_DUPFD_CLOEXEC, 3);
  watch->owners = 2;
  int error = watch->listener < 0 ? errno : 0;
  if (!error) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    error = pthread_create(&thread, NULL, serve, watch);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!error) pthread_detach(thread);
  }
  if (error) {
    if (watch->listener >= 0) close(watch->listener);
    pthread_mutex_destroy(&watch->lock);
    free(watch);
    errno = error;
    return NULL;
  }
  return watch;
}

void stave_watch_last(struct stave_watch *watch, struct stave_watched *last) {
  pthread_mutex_lock(&watch->lock);
  *last = watch->last;
  last->age = milliseconds() - watch->time;
  pthread_mutex_unlock(&watch->lock);
}

void stave_watch_end(struct stave_watch *watch) { let_go(watch); }
