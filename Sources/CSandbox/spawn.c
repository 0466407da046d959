// The launching side: one thread that makes every clone.
#define _GNU_SOURCE
#include "launch.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

struct request {
  const struct stave_launch *launch;
  const struct child_descriptors *fds;
  char **arguments;
  char **environment;
  int pid;
  int pidfd;
  int error;
  int done;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t asked = PTHREAD_COND_INITIALIZER;
static pthread_cond_t answered = PTHREAD_COND_INITIALIZER;
static struct request *pending;
static int running;

static void clone_child(struct request *request) {
  int pidfd = -1;
  struct clone_args arguments = {
      .flags = request->launch->clone_flags | CLONE_PIDFD,
      .pidfd = (uint64_t)(uintptr_t)&pidfd,
      .exit_signal = SIGCHLD,
  };
  if (request->launch->cgroup >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = (uint64_t)request->launch->cgroup;
  }
  long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid == 0) stave_walk(request->launch, request->fds, request->arguments, request->environment);
  request->error = pid < 0 ? errno : 0;
  request->pid = (int)pid;
  request->pidfd = pidfd;
}

static void *serve(void *unused) {
  (void)unused;
  pthread_mutex_lock(&lock);
  for (;;) {
    while (!pending) pthread_cond_wait(&asked, &lock);
    struct request *request = pending;
    pending = NULL;
    clone_child(request);
    request->done = 1;
    pthread_cond_broadcast(&answered);
  }
  return NULL;
}

static int submit(struct request *request) {
  pthread_mutex_lock(&lock);
  int error = 0;
  if (!running) {
    sigset_t all, before;
    sigfillset(&all);
    // The thread, and so every child until it executes, has all signals blocked.
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    error = pthread_create(&thread, NULL, serve, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!error) {
      pthread_detach(thread);
      running = 1;
    }
  }
  while (!error && pending) pthread_cond_wait(&answered, &lock);
  if (!error) {
    pending = request;
    pthread_cond_signal(&asked);
    while (!request->done) pthread_cond_wait(&answered, &lock);
    error = request->error;
  }
  pthread_mutex_unlock(&lock);
  return error;
}

// The pointer arrays of the EXECUTE step, in one allocation: `*environment` lies in it.
static char **pointers(const struct stave_launch *launch, char ***environment) {
  size_t offset = 0;
  const struct stave_step *step = NULL;
  while (offset < launch->size) {
    step = (const struct stave_step *)(launch->program + offset);
    if (step->op == STAVE_OP_EXECUTE) break;
    offset += step->size;
  }
  if (!step || step->op != STAVE_OP_EXECUTE || step->n[0] == 0 || step->n[0] > step->strings) return NULL;
  char **all = calloc((size_t)step->strings + 2, sizeof *all);
  if (!all) return NULL;
  char *text = (char *)(uintptr_t)(step + 1);
  size_t place = 0;
  for (uint32_t k = 0; k < step->strings; k++) {
    if (k == step->n[0]) place++;
    all[place++] = text;
    text += strlen(text) + 1;
  }
  *environment = all + step->n[0] + 1;
  return all;
}

int high(int fd) {
  if (fd < 0) return fd;
  int moved = fcntl(fd, F_DUPFD_CLOEXEC, 10);
  int error = errno;
  close(fd);
  errno = error;
  return moved;
}

static void close_if_open(int fd) {
  if (fd >= 0) close(fd);
}

static int open_channels(const struct stave_launch *launch, struct child_descriptors *fds,
                         struct stave_launched *launched) {
  int pair[2];
  if (pipe2(pair, O_CLOEXEC) < 0) return -1;
  launched->status = pair[0];
  if ((fds->status = high(pair[1])) < 0) return -1;
  if (launch->waits) {
    if (pipe2(pair, O_CLOEXEC) < 0) return -1;
    launched->release = pair[1];
    if ((fds->release = high(pair[0])) < 0) return -1;
  }
  if (launch->sends) {
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) return -1;
    launched->received = pair[0];
    if ((fds->sender = high(pair[1])) < 0) return -1;
  }
  for (int k = 0; k < 3; k++)
    if (launch->stdio[k] >= 0 && (fds->stdio[k] = fcntl(launch->stdio[k], F_DUPFD_CLOEXEC, 10)) < 0) return -1;
  return 0;
}

int stave_spawn(const struct stave_launch *launch, struct stave_launched *launched) {
  struct child_descriptors fds = {.stdio = {-1, -1, -1}, .status = -1, .release = -1, .sender = -1};
  *launched = (struct stave_launched){.pid = -1, .pidfd = -1, .status = -1, .release = -1, .received = -1};
  char **environment = NULL, **arguments = pointers(launch, &environment);
  int error = arguments ? 0 : EINVAL;
  if (!error && open_channels(launch, &fds, launched) < 0) error = errno;
  if (!error) {
    struct request request = {.launch = launch, .fds = &fds, .arguments = arguments, .environment = environment};
    error = submit(&request);
    launched->pid = request.pid;
    launched->pidfd = request.pidfd;
  }
  for (int k = 0; k < 3; k++) close_if_open(fds.stdio[k]);
  close_if_open(fds.status);
  close_if_open(fds.release);
  close_if_open(fds.sender);
  if (error) {
    close_if_open(launched->status);
    close_if_open(launched->release);
    close_if_open(launched->received);
    *launched = (struct stave_launched){.pid = -1, .pidfd = -1, .status = -1, .release = -1, .received = -1};
  }
  free(arguments);
  return error;
}

int stave_receive_descriptor(int socket) {
  char byte;
  struct iovec vector = {.iov_base = &byte, .iov_len = 1};
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr aligned;
  } control = {{0}};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  ssize_t length = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (length < 0) return -1;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
    errno = ENOENT;
    return -1;
  }
  int fd;
  memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return fd;
}
