// Starting an ordinary program, with what posix_spawn(3) can't set.
#ifndef STAVE_SPAWN_H
#define STAVE_SPAWN_H

#include <stdint.h>
#include <sys/types.h>

struct stave_program {
  const char *path;
  char *const *arguments;   // with the program's name, NULL at the end
  char *const *environment; // likewise
  int streams[3];           // what become 0, 1 and 2; above 2
  uint64_t soft_files;      // RLIMIT_NOFILE; a `hard_files` of 0 leaves it as it is
  uint64_t hard_files;
};

// Starts the program with no signal blocked or ignored. Its number, or -1 and errno if it can't be started.
pid_t stave_start_program(const struct stave_program *program);

#endif
