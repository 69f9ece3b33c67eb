/* Notes, in the file named by ORDER_LOG, in which order files are written, synced, removed, and requests leave. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

static void note(const char *what, const char *which) {
    static int file = -1;
    char line[4400];
    if (getenv("ORDER_LOG") == NULL) return;
    if (file < 0) file = open(getenv("ORDER_LOG"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    int length = snprintf(line, sizeof line, "%s %s\n", what, which);
    ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    if (real(file, line, length) < 0) abort();
}

static void note_file(const char *what, int file) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    if (path[0] == '/') note(what, path);
}

#define WATCH_WRITE(name, offset_type) \
    ssize_t name(int file, const void *content, size_t size, offset_type offset) { \
        ssize_t (*real)(int, const void *, size_t, offset_type) = dlsym(RTLD_NEXT, #name); \
        ssize_t written = real(file, content, size, offset); \
        note_file("write", file); \
        return written; \
    }

WATCH_WRITE(pwrite, off_t)
WATCH_WRITE(pwrite64, off64_t)

ssize_t write(int file, const void *content, size_t size) {
    ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    ssize_t written = real(file, content, size);
    note_file("write", file);
    return written;
}

int fsync(int file) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
    int result = real(file);
    note_file("sync", file);
    return result;
}

int fdatasync(int file) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fdatasync");
    int result = real(file);
    note_file("sync", file);
    return result;
}

int unlink(const char *path) {
    int (*real)(const char *) = dlsym(RTLD_NEXT, "unlink");
    int result = real(path);
    note("remove", path);
    return result;
}

ssize_t send(int file, const void *content, size_t size, int flags) {
    ssize_t (*real)(int, const void *, size_t, int) = dlsym(RTLD_NEXT, "send");
    char line[64] = "";
    for (size_t i = 0; i < size && i < sizeof line - 1 && ((const char *) content)[i] != '\r'; i++)
        line[i] = ((const char *) content)[i];
    note("send", line);
    return real(file, content, size, flags);
}
