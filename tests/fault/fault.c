/* Makes the disk of one folder fail on demand: preloaded into the hub by the fault stories.
 *
 * FAULT_DIR      the folder whose files are to fail
 * FAULT_CONTROL  a file outside it; while it exists its first word tells what fails:
 *                  full      every call that writes or grows a file says ENOSPC
 *                  fsync     fsync and fdatasync say EIO
 *                  write     every call that writes or grows a file says EIO
 *                  hang      fsync and fdatasync do not come back before the file is gone
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static int control(char *word, size_t size) {
    const char *path = getenv("FAULT_CONTROL");
    if (!path)
        return 0;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t length = syscall(SYS_read, fd, word, size - 1);
    syscall(SYS_close, fd);
    word[length > 0 ? length : 0] = 0;
    return length > 0;
}

static int inside(int fd) {
    const char *dir = getenv("FAULT_DIR");
    char link[64], path[4096];
    if (!dir)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return 0;
    path[length] = 0;
    return strncmp(path, dir, strlen(dir)) == 0;
}

/* The error of a call that writes or grows a file, or 0. */
static int write_fault(int fd) {
    char word[16];
    int saved = errno, fault = 0;
    if (control(word, sizeof word) && inside(fd)) {
        if (!strncmp(word, "full", 4))
            fault = ENOSPC;
        if (!strncmp(word, "write", 5))
            fault = EIO;
    }
    errno = saved;
    return fault;
}

static int sync_fault(int fd) {
    char word[16];
    int saved = errno, fault = 0;
    if (control(word, sizeof word) && inside(fd) && !strncmp(word, "fsync", 5))
        fault = EIO;
    while (control(word, sizeof word) && inside(fd) && !strncmp(word, "hang", 4))
        usleep(10000);
    errno = saved;
    return fault;
}

#define REAL(type, name, ...)                                                                      \
    static type (*real)(__VA_ARGS__);                                                              \
    if (!real)                                                                                     \
        real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

#define FAIL(fault)                                                                                \
    do {                                                                                           \
        int code = (fault);                                                                        \
        if (code) {                                                                                \
            errno = code;                                                                          \
            return -1;                                                                             \
        }                                                                                          \
    } while (0)

ssize_t write(int fd, const void *bytes, size_t count) {
    REAL(ssize_t, "write", int, const void *, size_t);
    FAIL(write_fault(fd));
    return real(fd, bytes, count);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    FAIL(write_fault(fd));
    return real(fd, parts, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
    FAIL(write_fault(fd));
    return real(fd, bytes, count, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    FAIL(write_fault(fd));
    return real(fd, bytes, count, at);
}

int ftruncate(int fd, off_t length) {
    REAL(int, "ftruncate", int, off_t);
    FAIL(write_fault(fd));
    return real(fd, length);
}

int ftruncate64(int fd, off64_t length) {
    REAL(int, "ftruncate64", int, off64_t);
    FAIL(write_fault(fd));
    return real(fd, length);
}

int fallocate(int fd, int mode, off_t at, off_t length) {
    REAL(int, "fallocate", int, int, off_t, off_t);
    FAIL(write_fault(fd));
    return real(fd, mode, at, length);
}

int fallocate64(int fd, int mode, off64_t at, off64_t length) {
    REAL(int, "fallocate64", int, int, off64_t, off64_t);
    FAIL(write_fault(fd));
    return real(fd, mode, at, length);
}

int posix_fallocate(int fd, off_t at, off_t length) {
    REAL(int, "posix_fallocate", int, off_t, off_t);
    int fault = write_fault(fd);
    return fault ? fault : real(fd, at, length);
}

int fsync(int fd) {
    REAL(int, "fsync", int);
    FAIL(sync_fault(fd));
    return real(fd);
}

int fdatasync(int fd) {
    REAL(int, "fdatasync", int);
    FAIL(sync_fault(fd));
    return real(fd);
}
