/* Loaded before the C library (LD_PRELOAD): counts the calls that a process makes on files below a
   folder, and at one of them kills the process, tears a write, or fails. The clock can jump, too. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { COUNT, KILL, TEAR, FULL, FAIL, JUMP };

static char folder[4096];
static int kind = COUNT;
static long at, count, jump;
static char watched[4096]; /* by file descriptor */

/* From now on, `what` happens at call number `when` on files below `where`. */
void faults_arm(const char *where, int what, long when, long seconds) {
  snprintf(folder, sizeof folder, "%s", where);
  kind = what;
  at = when;
  jump = seconds;
  count = 0;
}

long faults_count(void) { return count; }

/* For a command: FAULTS="kind call seconds folder". */
__attribute__((constructor)) static void from_environment(void) {
  const char *given = getenv("FAULTS");
  int what, begin;
  long when, seconds;
  if (given && sscanf(given, "%d %ld %ld %n", &what, &when, &seconds, &begin) == 3)
    faults_arm(given + begin, what, when, seconds);
}

static int below(const char *path) {
  size_t length = strlen(folder);
  return length && path && strncmp(path, folder, length) == 0;
}

static int is_watched(int file) { return file >= 0 && file < 4096 && watched[file]; }

static void die(void) { kill(getpid(), SIGKILL); for (;;) pause(); }

/* Counts a call; -1 if it is to fail. `grows`: it may need room on the disk. */
static int before(int grows) {
  count++;
  if (kind == KILL && count == at) die();
  if ((kind == FULL && count >= at && grows) || (kind == FAIL && count == at)) {
    errno = kind == FULL ? ENOSPC : EIO;
    return -1;
  }
  return 0;
}

static void after(void) { if (kind == TEAR && count == at) die(); }

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int opened(int file, int watch) {
  if (file >= 0 && file < 4096) watched[file] = watch;
  return file;
}

#define OPEN(name)                                                                \
  int name(const char *path, int flags, ...) {                                    \
    va_list more;                                                                 \
    va_start(more, flags);                                                        \
    int mode = va_arg(more, int), watch = below(path);                            \
    va_end(more);                                                                 \
    if (watch && before(flags & O_CREAT)) return -1;                              \
    int file = opened(REAL(name)(path, flags, mode), watch);                      \
    if (watch) after();                                                           \
    return file;                                                                  \
  }
OPEN(open)
OPEN(open64)

int close(int file) {
  opened(file, 0);
  return REAL(close)(file);
}

ssize_t write(int file, const void *from, size_t size) {
  if (!is_watched(file)) return REAL(write)(file, from, size);
  if (before(1)) return -1;
  size_t now = kind == TEAR && count == at ? size / 2 : size;
  ssize_t done = REAL(write)(file, from, now);
  after();
  return done;
}

ssize_t read(int file, void *to, size_t size) {
  if (is_watched(file) && before(0)) return -1;
  ssize_t done = REAL(read)(file, to, size);
  if (is_watched(file)) after();
  return done;
}

#define ON_FILE(name, grows)                                                      \
  int name(int file) {                                                            \
    if (!is_watched(file)) return REAL(name)(file);                               \
    if (before(grows)) return -1;                                                 \
    int done = REAL(name)(file);                                                  \
    after();                                                                      \
    return done;                                                                  \
  }
ON_FILE(fsync, 1)

#define ON_PATH(name, grows, arguments, values)                                   \
  int name arguments {                                                            \
    if (!below(path)) return REAL(name) values;                                   \
    if (before(grows)) return -1;                                                 \
    int done = REAL(name) values;                                                 \
    after();                                                                      \
    return done;                                                                  \
  }
ON_PATH(rename, 1, (const char *path, const char *to), (path, to))
ON_PATH(unlink, 0, (const char *path), (path))
ON_PATH(mkdir, 1, (const char *path, mode_t mode), (path, mode))

int flock(int file, int operation) {
  if (!is_watched(file)) return REAL(flock)(file, operation);
  if (before(0)) return -1;
  int done = REAL(flock)(file, operation);
  after();
  return done;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int done = REAL(clock_gettime)(clock, now);
  if (kind == JUMP && count >= at && clock == CLOCK_REALTIME) now->tv_sec += jump;
  return done;
}

time_t time(time_t *now) {
  struct timespec value;
  clock_gettime(CLOCK_REALTIME, &value);
  if (now) *now = value.tv_sec;
  return value.tv_sec;
}
