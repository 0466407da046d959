// Entering a user namespace in place, while the process has one thread.
#ifndef STAVE_USER_NAMESPACE_H
#define STAVE_USER_NAMESPACE_H

#include <stdint.h>

// How one of the two id maps is to be written, by a process that stays outside.
struct stave_id_map_writer {
  // The program and its arguments after the process's number, NULL at the end: newuidmap, "0", "1000", "1"... NULL for
  // none. The second place is free: the number is put there.
  char **tool;
  // Else what is written by the process itself; NULL for none.
  const char *text;
};

// What came of it.
struct stave_entered {
  int error;        // of unshare(2): nothing else was done then
  int unstarted[2];   // per map, uid and gid: 0, or the errno of starting who was to write it
  int failed[2];      // per map: 0, or an exit code or errno of who was to write it
  char said[2][256];  // what it said about that
  int single[2];      // whether that map has now one id
};

// Makes the process root of new user and mount namespaces. The maps are written by `uids` and `gids`; one that can't be
// is made of one id: 0 is who the process was. 0, or -1 where the process is not what it was and can't go on: `error`
// says why.
int stave_enter_user_namespace(const struct stave_id_map_writer *uids, const struct stave_id_map_writer *gids,
                               struct stave_entered *entered);

// 0 if a child of this process could mount in new user and mount namespaces, else its errno.
int stave_probe_user_namespace(void);

// Tries in children what every container needs: new mount and pid namespaces (`step` 1) and a new /proc (2). 0, or an
// errno.
int stave_probe_container(int *step);

// The capabilities of the calling thread, a bit each (capabilities(7)).
uint64_t stave_effective_capabilities(void);

// The name and home of the account `uid` (getpwuid(3)), each at most `size` bytes; empty if there is none.
void stave_account(uint32_t uid, char *name, char *home, unsigned size);

#endif
