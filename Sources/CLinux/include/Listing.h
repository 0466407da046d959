// Whole directories and small files in few system calls: what a build context of many files is read by.
#ifndef STAVE_LISTING_H
#define STAVE_LISTING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// An entry of a directory: what lstat(2) tells, and where its texts stand in the listing's `text`.
struct stave_entry {
  uint64_t inode, device, links;
  int64_t size, mtime, ctime;  // seconds
  int64_t blocks;              // of 512 bytes, allocated
  uint32_t mtime_ns, ctime_ns;
  uint32_t mode, uid, gid, major, minor;
  uint32_t name, name_length;  // ends with a NUL
  uint32_t link, link_length;  // a symbolic link's target
};

struct stave_listing {
  struct stave_entry *entries;
  size_t count, capacity;
  char *text;
  size_t text_count, text_capacity;
};

// Adds the entries of the open directory `fd`, without . and .., to `listing`, which is zeroed at first, and sorts them
// by the bytes of their names. What vanishes meanwhile is left out. -1 and errno on failure.
int stave_list(int fd, struct stave_listing *listing);
void stave_listing_free(struct stave_listing *listing);
// A hash of all entries.
uint64_t stave_listing_fingerprint(const struct stave_listing *listing);

// Opens the regular file `name` of the directory `fd`, which is `entry` of its listing, reads up to `size` bytes and
// closes it. `capability`, if not NULL, tells whether it has the attribute security.capability. The number of bytes, or
// -1 and errno: ESTALE if the file is not as it was listed.
ssize_t stave_read_entry(int fd, const struct stave_entry *entry, const char *name, void *buffer, size_t size,
                         int *capability);

// sync_file_range(2): begins to write the range to the disk, without waiting.
void stave_write_back(int fd, int64_t offset, int64_t count);

#endif
