// Walks a spawn plan between clone3(2) and execve(2).
//
// A program is a sequence of steps, each a `struct stave_step`, then `strings` NUL-terminated strings (or, for SECCOMP
// and USER, raw bytes), padded with zeros to a multiple of 8. The child makes system calls only: no allocation, no
// locks, no library state. What it can't do it reports as a `struct stave_report` and the bytes of a path or message;
// there is no report of kind FAILED when the program was executed.
#ifndef STAVE_CSANDBOX_H
#define STAVE_CSANDBOX_H

#include <stddef.h>
#include <stdint.h>

// The operations: what they take in `n` and in their strings.
enum stave_op {
  STAVE_OP_DEATH_SIGNAL = 1,  // n0 signal when the launching process ends
  STAVE_OP_WAIT_PARENT,       // until the id maps are written
  STAVE_OP_WRITE_FILE,        // s0 path outside the root, s1 content
  STAVE_OP_UNSHARE,           // n0 CLONE_NEW*
  STAVE_OP_JOIN,              // n0 CLONE_NEW*, s0 path of the namespace
  STAVE_OP_PRIVATE_MOUNTS,    // n0 propagation, MS_PRIVATE or MS_SLAVE
  STAVE_OP_ROOT_DIRECTORY,    // n0 attributes set; s0 path
  STAVE_OP_LOWER_TREE,        // s0 directory: the next lower of the overlay, top first
  STAVE_OP_LOWER_EROFS,       // n0 number of devices; s0 index, devices; then, if any, what to mount in their place
  STAVE_OP_LOWER_MOUNT,       // n0 descriptor of a detached mount that the launcher made
  STAVE_OP_ROOT_OVERLAY,      // n0 attributes, n1 enum stave_overlay_form; s0 upper, s1 work, options
  STAVE_OP_MOUNT,             // n0 attributes; s0 target, s1 type, options; n1 != 0: bind s1's host tree if refused
  STAVE_OP_BIND,              // n0 attributes set, n1 attributes cleared, n2 recursive, n3 propagation; s0, s1 target
  STAVE_OP_NODE,              // n0 mode and type, n1 device number, n2 != 0: bind only; s0 path, s1 node of the host
  STAVE_OP_SYMLINK,           // s0 content, s1 path
  STAVE_OP_TERMINAL,          // n0 rows, n1 columns, n2 owner: a new terminal becomes 0, 1 and 2
  STAVE_OP_MASK,              // s0 path
  STAVE_OP_READONLY,          // s0 path
  STAVE_OP_SYSCTL,            // s0 path below the root, s1 value
  STAVE_OP_LOOPBACK,          //
  STAVE_OP_HOSTNAME,          // s0
  STAVE_OP_DOMAINNAME,        // s0
  STAVE_OP_READONLY_ROOT,     //
  STAVE_OP_PIVOT,             // the root becomes /, nothing of the host stays
  STAVE_OP_KEYRING,           // a session keyring of its own
  STAVE_OP_RLIMIT,            // n0 resource, n1 soft, n2 hard
  STAVE_OP_WORKING_DIRECTORY, // s0, made if missing
  STAVE_OP_UMASK,             // n0
  STAVE_OP_BOUNDING,          // n0 capabilities kept in the bounding set
  STAVE_OP_SECCOMP,           // n0 length of the raw bytes, an array of struct sock_filter
  STAVE_OP_WATCH,             // n0 length of the raw bytes, as SECCOMP: its listener goes to the launcher
  STAVE_OP_USER,              // n0 uid, n1 gid, n2 number of raw uint32_t group ids; n3 != 0: leave groups alone
  STAVE_OP_CAPABILITIES,      // n0 effective, n1 permitted, n2 inheritable, n3 ambient
  STAVE_OP_NO_NEW_PRIVILEGES, //
  STAVE_OP_EXECUTE,           // n0 number of arguments; arguments, then environment
};

// What a step may do without failing the launch.
enum stave_flag {
  STAVE_FLAG_TOLERATE = 1,   // any error becomes a warning
  STAVE_FLAG_MISSING_OK = 2, // ENOENT and ENOTDIR are silent
  STAVE_FLAG_NO_LINKS = 4,   // no symbolic link on the way to the target
};

// The most lowers an overlay has (Linux, fs/overlayfs/params.h, OVL_MAX_STACK).
enum { STAVE_MAX_LOWERS = 500 };

// How lowers reach an overlay. Kernels before 6.7 take them in one string only, those before 6.14 no detached mounts.
enum stave_overlay_form {
  STAVE_OVERLAY_ANY,      // the first that the kernel takes
  STAVE_OVERLAY_ATTACHED, // mounts are attached first
  STAVE_OVERLAY_STRING,   // attached, and in one string
};

struct stave_step {
  uint32_t size; // of the whole step, a multiple of 8
  uint16_t op;
  uint16_t flags;
  uint32_t strings;
  uint32_t reserved;
  uint64_t n[4];
};

enum stave_report_kind { STAVE_REPORT_CREATED = 1, STAVE_REPORT_WARNING = 2, STAVE_REPORT_FAILED = 3 };

// `length` bytes follow: the path that was created, or what the kernel said beyond `error`.
struct stave_report {
  uint32_t kind;
  int32_t error;
  uint32_t step;
  uint32_t length;
};

struct stave_launch {
  const uint8_t *program;
  size_t size;
  uint64_t clone_flags; // CLONE_NEW*
  int cgroup;           // a cgroup v2 directory to start in, or -1
  int stdio[3];         // -1 for /dev/null
  int waits;            // whether the program has a WAIT_PARENT step
  int sends;            // whether it has a TERMINAL or WATCH step
};

// Descriptors are close-on-exec and the caller's to close; -1 where the launch has none.
struct stave_launched {
  int pid;
  int pidfd;
  int status;   // read end; without news if the program is `walked`
  int walked;   // whether the child has become the program, or has ended
  uint8_t *reports; // what it said then, to be discarded by the caller
  size_t report_length;
  int release;  // write end: one byte lets WAIT_PARENT go on
  int received; // socket on which the terminal's other side arrives, and after it the listener
};

// Starts a child that walks the program. 0, or an errno: then there is no child.
// Unless it waits for its id maps, the child walks in the launcher's memory, and this returns when it has walked. The
// clone is made by a thread that lives as long as the process, since a parent-death signal follows the thread.
int stave_spawn(const struct stave_launch *launch, struct stave_launched *launched);
void stave_discard_reports(struct stave_launched *launched);

// The descriptor that arrived on `socket`, without waiting; -1 and errno if there is none.
int stave_receive_descriptor(int socket);

// Mounts, detached, the layer of a LOWER_EROFS step for the caller. A descriptor that children inherit, or -1 and errno
// (0 if `detail` alone says what is wrong); `detail` has room for 512 bytes and gets what the kernel said.
int stave_mount_layer(const uint8_t *step, char *detail);
// A detached copy of the mount at the directory `path`, likewise.
int stave_clone_tree(const char *path);

// A system call that a WATCH step's filter let a watcher know of.
struct stave_watched {
  uint64_t number;  // how many there were with it; 0 for none
  uint32_t ids[32]; // what it asked for
  uint32_t count;   // of `ids`
  uint64_t age;     // milliseconds since it was made
  char name[16];    // chown
  char path[256];   // of the file, empty for calls without one
};

struct stave_watch;

// Watches a duplicate of `listener` on a thread of its own: calls are kept and go on. NULL and errno on failure.
struct stave_watch *stave_watch_start(int listener);
void stave_watch_last(struct stave_watch *watch, struct stave_watched *last);
// Lets the watch go; its thread ends with the processes that it watches.
void stave_watch_end(struct stave_watch *watch);

// What the processes of a control group may do with devices: `access` of 1 make, 2 read, 4 write.
struct stave_device_rule {
  uint32_t type; // 1 block, 2 character, 0 both
  int32_t major; // -1 for all
  int32_t minor;
  uint32_t minors; // instead of `minor`, if not 0: a bit for each of the first 32
  uint32_t access;
};

// A program that allows only what a rule allows: its descriptor, or -1 and errno.
int stave_load_device_guard(const struct stave_device_rule *rules, size_t count);
// Puts the processes in the cgroup v2 directory `cgroup` under `program`. 0, or -1 and errno.
int stave_attach_device_guard(int cgroup, int program);

#endif
