#define _GNU_SOURCE
#include "Listing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

// Room for `more` bytes of text. Offsets are 32 bits.
static int reserve_text(struct stave_listing *l, size_t more) {
    size_t want = l->text_count + more;
    if (want > UINT32_MAX) {
        errno = EOVERFLOW;
        return -1;
    }
    if (want <= l->text_capacity) return 0;
    size_t capacity = l->text_capacity * 2;
    if (capacity < want) capacity = want;
    char *text = realloc(l->text, capacity);
    if (!text) return -1;
    l->text = text;
    l->text_capacity = capacity;
    return 0;
}

static struct stave_entry *new_entry(struct stave_listing *l) {
    if (l->count == l->capacity) {
        size_t capacity = l->capacity ? l->capacity * 2 : 32;
        struct stave_entry *entries = realloc(l->entries, capacity * sizeof *entries);
        if (!entries) return NULL;
        l->entries = entries;
        l->capacity = capacity;
    }
    return &l->entries[l->count];
}

// Puts the target of the link `name` into the text. 0, -1 and errno.
static int add_target(int fd, const char *name, struct stave_listing *l, struct stave_entry *e) {
    if (reserve_text(l, 4096)) return -1;
    ssize_t n = readlinkat(fd, name, l->text + l->text_count, 4096);
    if (n < 0) return -1;
    e->link = (uint32_t)l->text_count;
    e->link_length = (uint32_t)n;
    l->text_count += (size_t)n;
    return 0;
}

// Adds one entry as it is now. 0, -1 and errno: EINVAL if it was replaced meanwhile.
static int add_once(int fd, const char *name, struct stave_listing *l) {
    struct stat s;
    if (fstatat(fd, name, &s, AT_SYMLINK_NOFOLLOW)) return errno == ENOENT ? 0 : -1;
    struct stave_entry *e = new_entry(l);
    size_t length = strlen(name);
    if (!e || reserve_text(l, length + 1)) return -1;
    *e = (struct stave_entry){
        .inode = s.st_ino, .device = s.st_dev, .links = s.st_nlink, .size = s.st_size, .mtime = s.st_mtim.tv_sec,
        .ctime = s.st_ctim.tv_sec, .mtime_ns = (uint32_t)s.st_mtim.tv_nsec, .ctime_ns = (uint32_t)s.st_ctim.tv_nsec,
        .mode = s.st_mode, .blocks = s.st_blocks, .uid = s.st_uid, .gid = s.st_gid, .major = major(s.st_rdev), .minor = minor(s.st_rdev),
        .name = (uint32_t)l->text_count, .name_length = (uint32_t)length,
    };
    memcpy(l->text + l->text_count, name, length + 1);
    l->text_count += length + 1;
    if (S_ISLNK(s.st_mode) && add_target(fd, name, l, e)) return errno == ENOENT ? 0 : -1;
    l->count++;
    return 0;
}

// Adds one entry. 0, -1 and errno.
static int add(int fd, const char *name, struct stave_listing *l) {
    for (int tries = 0;; tries++) {
        if (!add_once(fd, name, l)) return 0;
        // A link that something else took the place of: there is an entry, of another kind.
        if (errno != EINVAL || tries == 100) return -1;
    }
}

static int compare(const void *a, const void *b, void *text) {
    const struct stave_entry *x = a, *y = b;
    uint32_t n = x->name_length < y->name_length ? x->name_length : y->name_length;
    int order = memcmp((char *)text + x->name, (char *)text + y->name, n);
    return order ? order : x->name_length < y->name_length ? -1 : x->name_length > y->name_length;
}

int stave_list(int fd, struct stave_listing *l) {
    char buffer[32768] __attribute__((aligned(16)));
    while (1) {
        long count = syscall(SYS_getdents64, fd, buffer, sizeof buffer);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return -1;
        if (count == 0) break;
        for (long at = 0; at < count;) {
            struct dirent64 *d = (struct dirent64 *)(buffer + at);
            at += d->d_reclen;
            if (d->d_name[0] == '.' && (!d->d_name[1] || (d->d_name[1] == '.' && !d->d_name[2]))) continue;
            if (add(fd, d->d_name, l)) return -1;
        }
    }
    // Many are kept: no more room than is used.
    struct stave_entry *fit = l->count ? realloc(l->entries, l->count * sizeof *fit) : NULL;
    if (fit) {
        l->entries = fit;
        l->capacity = l->count;
    }
    char *text = l->text_count ? realloc(l->text, l->text_count) : NULL;
    if (text) {
        l->text = text;
        l->text_capacity = l->text_count;
    }
    qsort_r(l->entries, l->count, sizeof *l->entries, compare, l->text);
    return 0;
}

void stave_listing_free(struct stave_listing *l) {
    free(l->entries);
    free(l->text);
    memset(l, 0, sizeof *l);
}

// FNV-1a by words.
static uint64_t mix(uint64_t hash, uint64_t value) { return ((hash ^ value) * 0x100000001b3u) ^ (hash >> 29); }

uint64_t stave_listing_fingerprint(const struct stave_listing *l) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < l->count; i++) {
        const struct stave_entry *e = &l->entries[i];
        const uint64_t values[] = {e->inode, e->device, e->links, (uint64_t)e->size, (uint64_t)e->mtime, (uint64_t)e->ctime,
                                   (uint64_t)e->mtime_ns << 32 | e->ctime_ns, (uint64_t)e->mode << 32 | e->uid, e->gid};
        for (size_t k = 0; k < sizeof values / sizeof *values; k++) hash = mix(hash, values[k]);
        for (uint32_t k = 0; k < e->name_length; k++) hash = mix(hash, (unsigned char)l->text[e->name + k]);
    }
    return hash;
}

// Whether the open file is still what was listed.
static int is_same(int file, const struct stave_entry *e) {
    struct stat s;
    return !fstat(file, &s) && s.st_ino == e->inode && s.st_dev == e->device && s.st_size == e->size
        && s.st_mtim.tv_sec == e->mtime && (uint32_t)s.st_mtim.tv_nsec == e->mtime_ns && s.st_ctim.tv_sec == e->ctime
        && (uint32_t)s.st_ctim.tv_nsec == e->ctime_ns;
}

// Reads the file up to `size` bytes. A regular file gives less than was asked for at its end only.
static ssize_t read_some(int file, char *buffer, size_t size) {
    ssize_t n;
    do n = read(file, buffer, size);
    while (n < 0 && errno == EINTR);
    return n;
}

ssize_t stave_read_entry(int fd, const struct stave_entry *entry, const char *name, void *buffer, size_t size,
                         int *capability) {
    int file = openat(fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (file < 0) return -1;
    ssize_t n = read_some(file, buffer, size);
    int error = errno;
    if (n >= 0 && capability) *capability = fgetxattr(file, "security.capability", NULL, 0) >= 0;
    if (n >= 0 && !is_same(file, entry)) {
        n = -1;
        error = ESTALE;
    }
    close(file);
    errno = error;
    return n;
}

void stave_write_back(int fd, int64_t offset, int64_t count) {
    sync_file_range(fd, offset, count, SYNC_FILE_RANGE_WRITE);
}
