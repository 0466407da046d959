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
};

// Moves `fd` above the standard streams: there it keeps its number in a child. -1 and errno if it can't, or is -1.
int high(int fd);
// Never returns.
void stave_walk(const struct stave_launch *launch, const struct child_descriptors *fds, char **arguments,
                char **environment) __attribute__((noreturn));

#endif
