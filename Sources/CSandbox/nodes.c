// Device nodes, links and the terminal of a new root.
#include "walk.h"
#include <limits.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

int make_node(struct walk *w, const struct stave_step *step) {
  const char *path = step_string(step, 0), *source = step_string(step, 1), *name;
  if (!step->n[2]) {
    char buffer[PATH_MAX];
    int parent = ensure_parent(w, path, buffer, &name);
    if (parent < 0) return -1;
    int made = mknodat(parent, name, (mode_t)step->n[0], (dev_t)step->n[1]);
    int error = errno;
    close(parent);
    if (made == 0) return 0;
    errno = error;
    if (error != EPERM) return -1;
  }
  int mount = open_tree_clone(AT_FDCWD, source, 0);
  if (mount < 0) return -1;
  int target = ensure_in_root(w, path, 1, 0);
  int done = target < 0 ? -1 : attach(mount, target);
  int error = errno;
  if (target >= 0) close(target);
  close(mount);
  errno = error;
  return done;
}

int make_symlink(struct walk *w, const struct stave_step *step) {
  char buffer[PATH_MAX];
  const char *name;
  int parent = ensure_parent(w, step_string(step, 1), buffer, &name);
  if (parent < 0) return -1;
  int made = symlinkat(step_string(step, 0), parent, name);
  int error = errno;
  close(parent);
  errno = error;
  return made == 0 || error == EEXIST ? 0 : -1;
}

int send_descriptor(int socket, int fd) {
  char byte = 0;
  struct iovec vector = {.iov_base = &byte, .iov_len = 1};
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr aligned;
  } control = {{0}};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(header), &fd, sizeof fd);
  return sendmsg(socket, &message, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

// The terminal is one of the root's own /dev/pts, so that its name means something to the process.
int make_terminal(struct walk *w, const struct stave_step *step) {
  int main = open_in_root(w, "/dev/pts/ptmx", O_RDWR | O_NOCTTY, 0);
  if (main < 0) return -1;
  int locked = 0, number = 0;
  struct winsize size = {.ws_row = (unsigned short)step->n[0], .ws_col = (unsigned short)step->n[1]};
  if (ioctl(main, TIOCSPTLCK, &locked) < 0 || ioctl(main, TIOCGPTN, &number) < 0) return -1;
  if (size.ws_row && size.ws_col && ioctl(main, TIOCSWINSZ, &size) < 0) return -1;
  int peer = ioctl(main, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (peer < 0) return -1;
  if (fchown(peer, (uid_t)step->n[2], (gid_t)-1) < 0 && errno != EINVAL && errno != EPERM) return -1;

  char name[32] = "/dev/pts/", digits[12];
  size_t end = strlen(name), count = 0;
  do digits[count++] = (char)('0' + number % 10);
  while ((number /= 10) > 0);
  while (count > 0) name[end++] = digits[--count];
  int device = open_in_root(w, name, O_PATH, 0);
  int console = device < 0 ? -1 : ensure_in_root(w, "/dev/console", 1, 0);
  int mount = console < 0 ? -1 : open_tree_clone(device, "", 0);
  if (mount < 0 || attach(mount, console) < 0) return -1;
  close(mount);
  close(console);
  close(device);

  if (ioctl(peer, TIOCSCTTY, 0) < 0) return -1;
  for (int fd = 0; fd < 3; fd++)
    if (dup2(peer, fd) < 0) return -1;
  close(peer);
  int sent = send_descriptor(w->sender, main);
  close(main);
  return sent;
}
