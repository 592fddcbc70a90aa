/* Stands before the calls of one process that change files, and makes the n-th of a kind fail, or wait.
 *
 *   SHIM_PATH    only files below this folder (without a slash at its end)
 *   SHIM_CALL    sync (fsync, fdatasync), write (write, pwrite), name (rename, link, unlink), make (open to create, ftruncate)
 *   SHIM_NTH     which of them, from 1; 0: none
 *   SHIM_ERROR   the number of the error; 0: none; -1: half of what was to be written is written
 *   SHIM_DELAY   milliseconds that call waits
 *   SHIM_SWITCH  calls count only while this file exists
 *   SHIM_LOG     a line for each call that counts: what it was, and whether it was struck
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const char *folder, *kind, *turned_on;
static long wanted, failure, delay;
static int record = -1;
static atomic_long counted;

__attribute__((constructor)) static void begin(void) {
    folder = getenv("SHIM_PATH");
    kind = getenv("SHIM_CALL");
    turned_on = getenv("SHIM_SWITCH");
    wanted = getenv("SHIM_NTH") ? atol(getenv("SHIM_NTH")) : 0;
    failure = getenv("SHIM_ERROR") ? atol(getenv("SHIM_ERROR")) : 0;
    delay = getenv("SHIM_DELAY") ? atol(getenv("SHIM_DELAY")) : 0;
    const char *log = getenv("SHIM_LOG");
    if (log)
        record = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

static int below(const char *path) {
    size_t length = folder ? strlen(folder) : 0;
    return length > 0 && strncmp(path, folder, length) == 0 && path[length] == '/';
}

static int file_is_below(int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return 0;
    path[length] = 0;
    /* A folder itself is synced for the names in it. */
    return below(path) || (folder && strcmp(path, folder) == 0);
}

/* Whether this call is to fail: the number of its error, -1 for a short write, 0 for going on. */
static long strike(const char *of, const char *call) {
    if (!kind || strcmp(kind, of) != 0 || (turned_on && access(turned_on, F_OK) != 0))
        return 0;
    int is_struck = atomic_fetch_add(&counted, 1) + 1 == wanted;
    if (record >= 0) {
        char line[64];
        int length = snprintf(line, sizeof line, "%s %s\n", call, is_struck ? "struck" : "passed");
        if (syscall(SYS_write, record, line, length) < 0)
            return 0;
    }
    if (!is_struck)
        return 0;
    if (delay > 0) {
        struct timespec time = {delay / 1000, delay % 1000 * 1000000};
        nanosleep(&time, NULL);
    }
    return failure;
}

#define FIND(name)                                                                                                     \
    do {                                                                                                               \
        if (!real)                                                                                                     \
            real = (__typeof__(real))dlsym(RTLD_NEXT, name);                                                           \
    } while (0)

#define SYNC(name)                                                                                                     \
    int name(int fd) {                                                                                                 \
        static int (*real)(int);                                                                                       \
        int before = errno;                                                                                            \
        long error = file_is_below(fd) ? strike("sync", #name) : 0;                                                    \
        errno = before;                                                                                                \
        if (error > 0) {                                                                                               \
            errno = error;                                                                                             \
            return -1;                                                                                                 \
        }                                                                                                              \
        FIND(#name);                                                                                                   \
        return real(fd);                                                                                               \
    }
SYNC(fsync)
SYNC(fdatasync)

ssize_t write(int fd, const void *bytes, size_t length) {
    static ssize_t (*real)(int, const void *, size_t);
    int before = errno;
    long error = fd > 2 && file_is_below(fd) ? strike("write", "write") : 0;
    errno = before;
    if (error > 0) {
        errno = error;
        return -1;
    }
    FIND("write");
    return real(fd, bytes, error < 0 && length > 1 ? length / 2 : length);
}

#define PWRITE(name)                                                                                                   \
    ssize_t name(int fd, const void *bytes, size_t length, off64_t at) {                                               \
        static ssize_t (*real)(int, const void *, size_t, off64_t);                                                    \
        int before = errno;                                                                                            \
        long error = file_is_below(fd) ? strike("write", #name) : 0;                                                   \
        errno = before;                                                                                                \
        if (error > 0) {                                                                                               \
            errno = error;                                                                                             \
            return -1;                                                                                                 \
        }                                                                                                              \
        FIND(#name);                                                                                                   \
        return real(fd, bytes, error < 0 && length > 1 ? length / 2 : length, at);                                     \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define FAIL_IF(struck)                                                                                                \
    do {                                                                                                               \
        int before = errno;                                                                                            \
        long error = (struck);                                                                                         \
        errno = before;                                                                                                \
        if (error > 0) {                                                                                               \
            errno = error;                                                                                             \
            return -1;                                                                                                 \
        }                                                                                                              \
    } while (0)

int rename(const char *from, const char *to) {
    static int (*real)(const char *, const char *);
    FAIL_IF(below(from) ? strike("name", "rename") : 0);
    FIND("rename");
    return real(from, to);
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
    static int (*real)(int, const char *, int, const char *, int);
    FAIL_IF(below(to) ? strike("name", "link") : 0);
    FIND("linkat");
    return real(from_folder, from, to_folder, to, flags);
}

int unlink(const char *path) {
    static int (*real)(const char *);
    FAIL_IF(below(path) ? strike("name", "unlink") : 0);
    FIND("unlink");
    return real(path);
}

int ftruncate64(int fd, off64_t length) {
    static int (*real)(int, off64_t);
    FAIL_IF(file_is_below(fd) ? strike("make", "ftruncate") : 0);
    FIND("ftruncate64");
    return real(fd, length);
}

int open64(const char *path, int flags, ...) {
    static int (*real)(const char *, int, ...);
    va_list rest;
    va_start(rest, flags);
    int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0;
    va_end(rest);
    FAIL_IF((flags & O_CREAT) && below(path) ? strike("make", "open") : 0);
    FIND("open64");
    return real(path, flags, mode);
}
