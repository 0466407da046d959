#define _GNU_SOURCE
#include "UserNamespace.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int write_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    ssize_t length = write(fd, text, strlen(text));
    int error = errno;
    close(fd);
    errno = error;
    return length < 0 ? -1 : 0;
}

// A child of clone, before execve: only calls that are safe after fork in any process.
static void write_map(const struct stave_id_map_writer *writer, const char *map, int go, int said) __attribute__((noreturn));
static void write_map(const struct stave_id_map_writer *writer, const char *map, int go, int said) {
    char byte;
    ssize_t length;
    while ((length = read(go, &byte, 1)) < 0 && errno == EINTR) {
    }
    // The process that waits for the map is gone, or has no namespace.
    if (length != 1) _exit(125);
    if (!writer->tool) _exit(write_file(map, writer->text) < 0 ? errno : 0);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(said, 2) < 0) _exit(126);
    char *environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL};
    execve(writer->tool[0], writer->tool, environment);
    _exit(127);
}

// One child that writes a map.
struct helper {
    pid_t pid;
    int go;   // write end: one byte when there is a namespace
    int said; // read end: what the tool says
};

static int start(const struct stave_id_map_writer *writer, const char *map, int others_go, struct helper *helper) {
    int go[2], said[2];
    helper->pid = -1;
    if (pipe2(go, O_CLOEXEC) < 0) return -1;
    if (pipe2(said, O_CLOEXEC) < 0) {
        close(go[0]);
        close(go[1]);
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(go[1]);
        if (others_go >= 0) close(others_go);
        write_map(writer, map, go[0], said[1]);
    }
    int error = errno;
    close(go[0]);
    close(said[1]);
    if (pid < 0) {
        close(go[1]);
        close(said[0]);
        errno = error;
        return -1;
    }
    *helper = (struct helper){.pid = pid, .go = go[1], .said = said[0]};
    return 0;
}

// Lets the child go on if there is a namespace.
static void release(struct helper *helper, int entered) {
    if (helper->pid < 0) return;
    char byte = 1;
    // One that has ended already says so when it is waited for.
    if (entered && write(helper->go, &byte, 1) < 0) entered = 0;
    close(helper->go);
}

// Waits for the child. 0, or why there is no map.
static int finish(struct helper *helper, char *said, size_t size) {
    if (helper->pid < 0) return ECHILD;
    size_t filled = 0;
    ssize_t length;
    while ((length = read(helper->said, said + filled, size - 1 - filled)) != 0) {
        if (length > 0) filled += (size_t)length;
        else if (errno != EINTR) break;
        if (filled == size - 1) break;
    }
    said[filled] = 0;
    char *newline = strchr(said, '\n');
    if (newline) *newline = 0;
    close(helper->said);
    int status = 0;
    while (waitpid(helper->pid, &status, 0) < 0)
        if (errno != EINTR) return errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int write_single(int which, uint32_t id) {
    char line[32];
    snprintf(line, sizeof line, "0 %u 1\n", id);
    if (which == 0) return write_file("/proc/self/uid_map", line);
    // Who is not privileged outside must first give up setgroups(2).
    if (write_file("/proc/self/setgroups", "deny") < 0) return -1;
    return write_file("/proc/self/gid_map", line);
}

int stave_enter_user_namespace(const struct stave_id_map_writer *uids, const struct stave_id_map_writer *gids,
                               struct stave_entered *entered) {
    const struct stave_id_map_writer *writers[2] = {uids, gids};
    struct helper helpers[2] = {{.pid = -1}, {.pid = -1}};
    uint32_t ids[2] = {geteuid(), getegid()};
    char number[16], maps[2][48];
    memset(entered, 0, sizeof *entered);
    snprintf(number, sizeof number, "%d", (int)getpid());
    for (int k = 0; k < 2; k++) {
        snprintf(maps[k], sizeof maps[k], "/proc/%s/%s", number, k ? "gid_map" : "uid_map");
        if (!writers[k]->tool && !writers[k]->text) continue;
        if (writers[k]->tool) writers[k]->tool[1] = number;
        if (start(writers[k], maps[k], k ? helpers[0].go : -1, &helpers[k]) < 0) entered->unstarted[k] = errno;
    }
    int refused = unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ? errno : 0;
    for (int k = 0; k < 2; k++) release(&helpers[k], !refused);
    for (int k = 0; k < 2; k++) entered->failed[k] = finish(&helpers[k], entered->said[k], sizeof entered->said[k]);
    if (refused) {
        entered->error = refused;
        return 0;
    }
    // Groups first: they can be written only while the process has its capabilities, which it keeps throughout.
    for (int k = 1; k >= 0; k--) {
        if (!entered->failed[k]) continue;
        if (write_single(k, ids[k]) < 0) {
            entered->error = errno;
            return -1;
        }
        entered->single[k] = 1;
    }
    if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0) {
        entered->error = errno;
        return -1;
    }
    return 0;
}

static int wait_for(pid_t pid) {
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EPERM;
}

int stave_probe_user_namespace(void) {
    pid_t pid = fork();
    if (pid < 0) return errno;
    if (pid == 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) _exit(errno);
        _exit(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ? errno : 0);
    }
    return wait_for(pid);
}

static int try_proc(void) {
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return errno;
    return mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 ? errno : 0;
}

// Children make system calls only: the process has other threads.
int stave_probe_container(int *step) {
    enum { no_namespaces = 128 };
    *step = 1;
    pid_t pid = fork();
    if (pid < 0) return errno;
    if (pid == 0) {
        if (unshare(CLONE_NEWNS | CLONE_NEWPID) < 0) _exit(no_namespaces | errno);
        pid_t first = fork();
        if (first == 0) _exit(try_proc() & 127);
        _exit(first < 0 ? no_namespaces | errno : wait_for(first));
    }
    int code = wait_for(pid);
    if (code & no_namespaces) return code & 127;
    *step = 2;
    return code;
}

uint64_t stave_effective_capabilities(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}, {0}};
    if (syscall(SYS_capget, &header, data) < 0) return 0;
    return (uint64_t)data[1].effective << 32 | data[0].effective;
}

void stave_account(uint32_t uid, char *name, char *home, unsigned size) {
    struct passwd *account = getpwuid(uid);
    snprintf(name, size, "%s", account && account->pw_name ? account->pw_name : "");
    snprintf(home, size, "%s", account && account->pw_dir ? account->pw_dir : "");
}
