// Between the launcher (spawn.c) and the child (walk.c).
#ifndef STAVE_LAUNCH_H
#define STAVE_LAUNCH_H

#include "CSandbox.h"

// All at least 10, so that putting the standard streams in place overwrites none.
struct child_descriptors {
  int stdio[3];
  int status;
  int release;
  int sender;
  int launcher; // pidfd of the launcher
  // The launcher's ends of the three channels, which the child closes: they must end when the launcher does. -1 for
  // none.
  int others[3];
};

// Moves `fd` above the standard streams: there it keeps its number in a child. -1 and errno if it can't, or is -1.
int high(int fd);
// What a child in the launcher's memory says, in place of the status pipe.
struct reports {
  uint8_t *bytes;
  size_t capacity;
  size_t length;
};

// Never returns. Without `reports`, the child says through the status pipe what it has to say.
void stave_walk(const struct stave_launch *launch, const struct child_descriptors *fds, struct reports *reports,
                char **arguments, char **environment) __attribute__((noreturn));

#endif
