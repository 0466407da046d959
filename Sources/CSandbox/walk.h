// What the parts of the walker share. It runs in the child, after clone3 and before execve; mounts of layers are made
// in the launcher too.
#ifndef STAVE_WALK_H
#define STAVE_WALK_H

#define _GNU_SOURCE
#include "CSandbox.h"
#include "launch.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct walk {
  int status;   // write end of the status pipe
  struct reports *reports; // in its place, or NULL
  int release;  // read end of the release pipe, or -1
  int sender;   // socket to hand descriptors over, or -1
  int launcher; // its pidfd
  int root;     // the new root, O_PATH; -1 before there is one
  dev_t root_device;
  int lowers[STAVE_MAX_LOWERS]; // of the overlay, top first
  uint8_t mounted[STAVE_MAX_LOWERS]; // whether the lower is a detached mount of ours
  uint32_t lower_count;
  int empty; // an attached, empty, read-only tmpfs for masks, or -1
  uint32_t index;
  char **arguments;
  char **environment;
  char detail[512]; // what the kernel said about the last failure
};

// String `k` of a step.
const char *step_string(const struct stave_step *step, uint32_t k);
// Raw bytes of a step.
const uint8_t *step_bytes(const struct stave_step *step);
void report(struct walk *w, uint32_t kind, int error, const char *text);

// O_PATH descriptor of `path` inside the root, which no link leaves. -1 and errno.
int open_in_root(struct walk *w, const char *path, uint64_t flags, uint64_t resolve);
// As open_in_root, making what is missing: directories, and the last component a file if `file`.
int ensure_in_root(struct walk *w, const char *path, int file, uint64_t resolve);
// The directory that holds the last component of `path`, made if missing; `*name` is that component.
int ensure_parent(struct walk *w, const char *path, char *buffer, const char **name);

// Each 0, or -1 and errno.
int root_directory(struct walk *w, const struct stave_step *step);
int lower_tree(struct walk *w, const struct stave_step *step);
int lower_mount(struct walk *w, const struct stave_step *step);
int lower_erofs(struct walk *w, const struct stave_step *step);
int root_overlay(struct walk *w, const struct stave_step *step);
int mount_fs(struct walk *w, const struct stave_step *step);
int mount_bind(struct walk *w, const struct stave_step *step);
int mount_mask(struct walk *w, const struct stave_step *step);
int mount_readonly(struct walk *w, const struct stave_step *step);
int make_node(struct walk *w, const struct stave_step *step);
int make_symlink(struct walk *w, const struct stave_step *step);
int make_terminal(struct walk *w, const struct stave_step *step);
int pivot(struct walk *w);
int set_attributes(int fd, int recursive, uint64_t set, uint64_t clear, uint64_t propagation);
int attach(int mount, int target);
// Takes `mount` as the root, attached at `place` by the first, attached already for the second. The descriptor stays
// open.
int adopt_root(struct walk *w, int mount, const char *place);
int take_root(struct walk *w, int mount);
// A mount of the configured `fs`; -1, errno, and in w->detail what the file system said.
int create_mount(struct walk *w, int fs, uint64_t attributes);
int configure(int fs, unsigned command, const char *key, const void *value, int aux);
// Sets `k=v` or `k`. `option` is NUL-terminated; its key may have at most 63 bytes.
int set_option(int fs, const char *option);
// Keeps in w->detail what the file system logged about a failure.
void keep_log(struct walk *w, int fs);
// Appends to a text that ends at `end` what fits before `limit`, and returns the new end.
char *append(char *end, char *limit, const char *text);
void close_keeping_errno(int fd);
int open_tree_clone(int dirfd, const char *path, int recursive);

int drop_bounding(uint64_t keep);
int become_user(const struct stave_step *step);
int set_capabilities(const struct stave_step *step);
int send_descriptor(int socket, int fd);
int watch_calls(struct walk *w, const struct stave_step *step);
int load_filter(const struct stave_step *step);
int limit_resource(const struct stave_step *step);
int execute(struct walk *w);

#endif
