// The launching side: the threads that make the clones.
#define _GNU_SOURCE
#include "launch.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { stack_size = 256 << 10, reports_size = 1 << 20 };

// A child in the memory of the launcher, which the cloning thread gives up until the child has executed its program:
// copying the memory map and then every page that either side writes would cost more than all of the walk.
struct arena {
  char *stack;      // stack_size bytes, the lowest page not to be touched
  uint8_t *reports; // reports_size bytes
};

struct request {
  const struct stave_launch *launch;
  const struct child_descriptors *fds;
  char **arguments;
  char **environment;
  struct stave_launched *launched;
  struct reports reports;
  int error;
  int done;
  struct request *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t asked = PTHREAD_COND_INITIALIZER;
static pthread_cond_t answered = PTHREAD_COND_INITIALIZER;
// What follows is under the lock.
static struct request *queue, **queue_end = &queue;
static int queued, threads, idle, sharing, was_dumpable;

static void walk(void *argument) {
  struct request *request = argument;
  stave_walk(request->launch, request->fds, request->reports.bytes ? &request->reports : NULL, request->arguments,
             request->environment);
}

#ifdef __x86_64__
enum { can_share = 1 };

// clone3(2) for a child with a stack of its own, on which it calls `function`. The pid, or a negative errno.
static long clone_on_stack(struct clone_args *arguments, void (*function)(void *), void *argument) {
  long result;
  register void (*child_function)(void *) __asm__("r12") = function;
  register void *child_argument __asm__("r13") = argument;
  __asm__ volatile("syscall\n\t"
                   "test %%rax, %%rax\n\t"
                   "jnz 1f\n\t"
                   "xor %%ebp, %%ebp\n\t"
                   "mov %%r13, %%rdi\n\t"
                   "call *%%r12\n\t"
                   "hlt\n"
                   "1:"
                   : "=a"(result)
                   : "0"((long)SYS_clone3), "D"(arguments), "S"(sizeof *arguments), "r"(child_function),
                     "r"(child_argument)
                   : "rcx", "r11", "memory", "cc");
  return result;
}
#else
enum { can_share = 0 };
static long clone_on_stack(struct clone_args *arguments, void (*function)(void *), void *argument) {
  (void)arguments, (void)function, (void)argument;
  return -ENOSYS;
}
#endif

static void clone_child(struct request *request, const struct arena *arena) {
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
  long pid;
  // A child that waits for its id maps waits for the launcher, which must go on.
  if (can_share && arena->stack && !request->launch->waits) {
    arguments.flags |= CLONE_VM | CLONE_VFORK;
    arguments.stack = (uint64_t)(uintptr_t)arena->stack;
    arguments.stack_size = stack_size;
    request->reports.bytes = arena->reports;
    request->reports.capacity = reports_size;
    pid = clone_on_stack(&arguments, walk, request);
    request->error = pid < 0 ? (int)-pid : 0;
  } else {
    pid = syscall(SYS_clone3, &arguments, sizeof arguments);
    if (pid == 0) walk(request);
    request->error = pid < 0 ? errno : 0;
  }
  request->launched->pid = (int)pid;
  request->launched->pidfd = pidfd;
  request->launched->walked = pid > 0 && request->reports.bytes;
  if (!request->launched->walked || request->reports.length == 0) return;
  // The arena serves the next one.
  request->launched->reports = malloc(request->reports.length);
  if (!request->launched->reports) {
    // What it said is lost, and may be why it will not run.
    request->error = ENOMEM;
    kill((pid_t)pid, SIGKILL);
    while (waitpid((pid_t)pid, NULL, 0) < 0 && errno == EINTR) {
    }
    close(pidfd);
    return;
  }
  memcpy(request->launched->reports, request->reports.bytes, request->reports.length);
  request->launched->report_length = request->reports.length;
}

// A child that takes other ids makes the memory it is in undumpable, which hides much of /proc/self from its owner
// outside the initial user namespace. Not while another child is in it: others of its user could look into it.
static void begin_sharing(void) {
  if (sharing++ == 0) was_dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1;
}

static void stop_sharing(void) {
  if (--sharing == 0 && was_dumpable && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 1) prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static struct arena make_arena(void) {
  struct arena arena = {0};
  char *memory = mmap(NULL, stack_size + reports_size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return arena;
  if (mprotect(memory, 4096, PROT_NONE) < 0) {
    munmap(memory, stack_size + reports_size);
    return arena;
  }
  arena.stack = memory;
  arena.reports = (uint8_t *)memory + stack_size;
  return arena;
}

static void *serve(void *unused) {
  (void)unused;
  struct arena arena = make_arena();
  pthread_mutex_lock(&lock);
  for (;;) {
    idle++;
    while (!queue) pthread_cond_wait(&asked, &lock);
    idle--;
    struct request *request = queue;
    queue = request->next;
    if (!queue) queue_end = &queue;
    queued--;
    begin_sharing();
    pthread_mutex_unlock(&lock);
    clone_child(request, &arena);
    pthread_mutex_lock(&lock);
    stop_sharing();
    request->done = 1;
    pthread_cond_broadcast(&answered);
  }
  return NULL;
}

// One more thread that clones. It lives as long as the process, since a parent-death signal follows the thread.
static int start_thread(void) {
  sigset_t all, before;
  sigfillset(&all);
  // The thread, and so every child until it executes, has all signals blocked.
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  int error = pthread_create(&thread, NULL, serve, NULL);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error) return error;
  pthread_detach(thread);
  threads++;
  return 0;
}

// Clones in the main thread, which lives as long as the process, too: a command that starts one process needs no second
// thread for it.
static int clone_here(struct request *request) {
  static struct arena arena;
  if (!arena.stack) arena = make_arena();
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_mutex_lock(&lock);
  begin_sharing();
  pthread_mutex_unlock(&lock);
  clone_child(request, &arena);
  pthread_mutex_lock(&lock);
  stop_sharing();
  pthread_mutex_unlock(&lock);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return request->error;
}

static int submit(struct request *request) {
  enum { max_threads = 32 };
  if (gettid() == getpid()) return clone_here(request);
  pthread_mutex_lock(&lock);
  int error = 0;
  if (queued >= idle && threads < max_threads) error = start_thread();
  // Another thread will do it later.
  if (threads > 0) error = 0;
  if (!error) {
    *queue_end = request;
    queue_end = &request->next;
    queued++;
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
  fds->others[0] = launched->status;
  fds->others[1] = launched->release;
  fds->others[2] = launched->received;
  fds->launcher = high((int)syscall(SYS_pidfd_open, getpid(), 0));
  // Where some filter refuses the call, only the death signal is left.
  if (fds->launcher < 0 && errno != EPERM && errno != ENOSYS) return -1;
  for (int k = 0; k < 3; k++)
    if (launch->stdio[k] >= 0 && (fds->stdio[k] = fcntl(launch->stdio[k], F_DUPFD_CLOEXEC, 10)) < 0) return -1;
  return 0;
}

int stave_spawn(const struct stave_launch *launch, struct stave_launched *launched) {
  struct child_descriptors fds = {.stdio = {-1, -1, -1}, .status = -1, .release = -1, .sender = -1, .launcher = -1,
                                  .others = {-1, -1, -1}};
  *launched = (struct stave_launched){.pid = -1, .pidfd = -1, .status = -1, .release = -1, .received = -1};
  char **environment = NULL, **arguments = pointers(launch, &environment);
  int error = arguments ? 0 : EINVAL;
  if (!error && open_channels(launch, &fds, launched) < 0) error = errno;
  if (!error) {
    struct request request = {
        .launch = launch, .fds = &fds, .arguments = arguments, .environment = environment, .launched = launched};
    error = submit(&request);
  }
  for (int k = 0; k < 3; k++) close_if_open(fds.stdio[k]);
  close_if_open(fds.status);
  close_if_open(fds.release);
  close_if_open(fds.sender);
  close_if_open(fds.launcher);
  if (error) {
    close_if_open(launched->status);
    close_if_open(launched->release);
    close_if_open(launched->received);
    *launched = (struct stave_launched){.pid = -1, .pidfd = -1, .status = -1, .release = -1, .received = -1};
  }
  free(arguments);
  return error;
}

void stave_discard_reports(struct stave_launched *launched) {
  free(launched->reports);
  launched->reports = NULL;
  launched->report_length = 0;
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
