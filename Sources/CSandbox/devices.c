// The device guard of a cgroup v2 directory: a BPF program that the kernel asks before a device is opened or made.
#define _GNU_SOURCE
#include "CSandbox.h"
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { max_rules = 128, per_rule = 13, fixed = 16 };

#define INSN(CODE, DST, SRC, OFF, IMM) \
  ((struct bpf_insn){.code = (CODE), .dst_reg = (DST), .src_reg = (SRC), .off = (OFF), .imm = (IMM)})

int stave_load_device_guard(const struct stave_device_rule *rules, size_t count) {
  struct bpf_insn program[fixed + max_rules * per_rule];
  if (count > max_rules) {
    errno = E2BIG;
    return -1;
  }
  size_t n = 0;
  // r2 type, r3 access, r4 major, r5 minor of struct bpf_cgroup_dev_ctx.
  program[n++] = INSN(BPF_LDX | BPF_MEM | BPF_W, 2, 1, 0, 0);
  program[n++] = INSN(BPF_ALU | BPF_MOV | BPF_X, 3, 2, 0, 0);
  program[n++] = INSN(BPF_ALU | BPF_AND | BPF_K, 2, 0, 0, 0xffff);
  program[n++] = INSN(BPF_ALU | BPF_RSH | BPF_K, 3, 0, 0, 16);
  program[n++] = INSN(BPF_LDX | BPF_MEM | BPF_W, 4, 1, 4, 0);
  program[n++] = INSN(BPF_LDX | BPF_MEM | BPF_W, 5, 1, 8, 0);
  for (size_t k = 0; k < count; k++) {
    const struct stave_device_rule *rule = &rules[k];
    // What does not match jumps to the next rule.
    size_t jumps[6], pending = 0;
    if (rule->type) {
      jumps[pending++] = n;
      program[n++] = INSN(BPF_JMP | BPF_JNE | BPF_K, 2, 0, 0, (int)rule->type);
    }
    if (rule->major >= 0) {
      jumps[pending++] = n;
      program[n++] = INSN(BPF_JMP | BPF_JNE | BPF_K, 4, 0, 0, rule->major);
    }
    if (rule->minors) {
      jumps[pending++] = n;
      program[n++] = INSN(BPF_JMP | BPF_JGT | BPF_K, 5, 0, 0, 31);
      program[n++] = INSN(BPF_ALU64 | BPF_MOV | BPF_K, 6, 0, 0, 1);
      program[n++] = INSN(BPF_ALU64 | BPF_LSH | BPF_X, 6, 5, 0, 0);
      program[n++] = INSN(BPF_ALU | BPF_AND | BPF_K, 6, 0, 0, (int)rule->minors);
      jumps[pending++] = n;
      program[n++] = INSN(BPF_JMP | BPF_JEQ | BPF_K, 6, 0, 0, 0);
    } else if (rule->minor >= 0) {
      jumps[pending++] = n;
      program[n++] = INSN(BPF_JMP | BPF_JNE | BPF_K, 5, 0, 0, rule->minor);
    }
    if ((rule->access & 7) != 7) {
      program[n++] = INSN(BPF_ALU | BPF_MOV | BPF_X, 6, 3, 0, 0);
      program[n++] = INSN(BPF_ALU | BPF_AND | BPF_K, 6, 0, 0, (int)(~rule->access & 7));
      jumps[pending++] = n;
      program[n++] = INSN(BPF_JMP | BPF_JNE | BPF_K, 6, 0, 0, 0);
    }
    program[n++] = INSN(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 1);
    program[n++] = INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
    while (pending > 0) {
      size_t jump = jumps[--pending];
      program[jump].off = (short)(n - jump - 1);
    }
  }
  program[n++] = INSN(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0);
  program[n++] = INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);

  union bpf_attr load;
  memset(&load, 0, sizeof load);
  load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  load.insns = (uint64_t)(uintptr_t)program;
  load.insn_cnt = (uint32_t)n;
  load.license = (uint64_t)(uintptr_t) "Apache-2.0";
  // Descriptors of BPF programs are close-on-exec.
  return (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
}

int stave_attach_device_guard(int cgroup, int program) {
  union bpf_attr attach;
  memset(&attach, 0, sizeof attach);
  attach.target_fd = (uint32_t)cgroup;
  attach.attach_bpf_fd = (uint32_t)program;
  attach.attach_type = BPF_CGROUP_DEVICE;
  attach.attach_flags = BPF_F_ALLOW_MULTI;
  return (int)syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach);
}
