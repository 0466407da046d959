// Who the process is and what it may do. glibc's own set*id functions signal every thread of a process that is not
// here any more: only the bare system calls are used.
#include "walk.h"
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>

int drop_bounding(uint64_t keep) {
  for (unsigned capability = 0; capability < 64; capability++) {
    if (keep >> capability & 1) continue;
    // EINVAL: past the last one this kernel knows.
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0) return errno == EINVAL ? 0 : -1;
  }
  return 0;
}

int become_user(const struct stave_step *step) {
  if (!step->n[3] && syscall(SYS_setgroups, (size_t)step->n[2], step_bytes(step)) < 0) return -1;
  gid_t gid = (gid_t)step->n[1];
  uid_t uid = (uid_t)step->n[0];
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0) return -1;
  if (syscall(SYS_setresgid, gid, gid, gid) < 0) return -1;
  if (syscall(SYS_setresuid, uid, uid, uid) < 0) return -1;
  return prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
}

int set_capabilities(const struct stave_step *step) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {
      {.effective = (uint32_t)step->n[0], .permitted = (uint32_t)step->n[1], .inheritable = (uint32_t)step->n[2]},
      {.effective = (uint32_t)(step->n[0] >> 32),
       .permitted = (uint32_t)(step->n[1] >> 32),
       .inheritable = (uint32_t)(step->n[2] >> 32)},
  };
  if (syscall(SYS_capset, &header, data) < 0) return -1;
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL) return -1;
  for (unsigned capability = 0; capability < 64; capability++)
    if (step->n[3] >> capability & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) < 0) return -1;
  return 0;
}

static int set_filter(const struct stave_step *step, unsigned flags) {
  struct sock_fprog program = {
      .len = (unsigned short)(step->n[0] / sizeof(struct sock_filter)),
      .filter = (struct sock_filter *)(uintptr_t)step_bytes(step),
  };
  return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

int load_filter(const struct stave_step *step) { return set_filter(step, 0); }

int watch_calls(struct walk *w, const struct stave_step *step) {
  int listener = set_filter(step, SECCOMP_FILTER_FLAG_NEW_LISTENER);
  if (listener < 0) return -1;
  int sent = send_descriptor(w->sender, listener);
  int error = errno;
  close(listener);
  errno = error;
  return sent;
}

int limit_resource(const struct stave_step *step) {
  struct rlimit64 wanted = {.rlim_cur = step->n[1], .rlim_max = step->n[2]}, now;
  unsigned resource = (unsigned)step->n[0];
  if (syscall(SYS_prlimit64, 0, resource, &wanted, NULL) == 0) return 0;
  if (errno != EPERM) return -1;
  // A hard limit can't be raised without CAP_SYS_RESOURCE: come as near as possible, and say so.
  if (syscall(SYS_prlimit64, 0, resource, NULL, &now) < 0) return -1;
  if (wanted.rlim_max > now.rlim_max) wanted.rlim_max = now.rlim_max;
  if (wanted.rlim_cur > wanted.rlim_max) wanted.rlim_cur = wanted.rlim_max;
  syscall(SYS_prlimit64, 0, resource, &wanted, NULL);
  errno = EPERM;
  return -1;
}
