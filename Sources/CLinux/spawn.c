#define _GNU_SOURCE
#include "Spawn.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

// The child is in the memory of the parent, whose thread waits: system calls only.
static int become(const struct stave_program *program) {
    struct sigaction standard;
    memset(&standard, 0, sizeof standard);
    standard.sa_handler = SIG_DFL;
    // Those that can't be set have no handler.
    for (int number = 1; number < NSIG; number++) sigaction(number, &standard, NULL);
    for (int k = 0; k < 3; k++)
        if (dup2(program->streams[k], k) < 0) return errno;
    // Fewer than are open is allowed.
    const struct rlimit files = {.rlim_cur = program->soft_files, .rlim_max = program->hard_files};
    if (program->hard_files && setrlimit(RLIMIT_NOFILE, &files) < 0) return errno;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(program->path, program->arguments, program->environment);
    return errno;
}

pid_t stave_start_program(const struct stave_program *program) {
    sigset_t all, before;
    sigfillset(&all);
    // A handler must not run in the child.
    sigprocmask(SIG_SETMASK, &all, &before);
    volatile int failed = 0;
    pid_t pid = vfork();
    if (pid == 0) {
        failed = become(program);
        _exit(127);
    }
    int error = pid < 0 ? errno : failed;
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (pid > 0 && error) waitpid(pid, NULL, 0);
    errno = error;
    return error ? -1 : pid;
}
