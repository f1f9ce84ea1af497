// Loaded before libc, this makes the disk full for SQLite: while the file that
// FAULTS_FULL names exists, nothing more can be written to files in the directory of
// FAULTS_DIR. Go writes without libc, so that the log of the program goes on.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int full(int fd) {
	const char *flag = getenv("FAULTS_FULL"), *dir = getenv("FAULTS_DIR");
	char link[64], path[PATH_MAX];
	if (!flag || !dir || access(flag, F_OK) != 0) return 0;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof path - 1);
	if (n < 0) return 0;
	path[n] = 0;
	return strncmp(path, dir, strlen(dir)) == 0;
}

#define REFUSE(fd) if (full(fd)) { errno = ENOSPC; return -1; }

ssize_t write(int fd, const void *data, size_t n) {
	REFUSE(fd)
	return ((ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write"))(fd, data, n);
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t at) {
	REFUSE(fd)
	return ((ssize_t (*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite"))(fd, data, n, at);
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at) {
	REFUSE(fd)
	return ((ssize_t (*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64"))(fd, data, n, at);
}
