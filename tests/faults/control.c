/* Stands before an actor's calls for time and for syncing, as a file tells it: see src/faults/control.rs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct control {
    long long clock_offset_ns; /* added to the wall clock */
    long long syncs_to_fail;   /* so many of the next syncs answer EIO */
    long long syncs_failed;    /* counted here */
    long long sync_delay_us;   /* each sync waits so long first */
};

static struct control *control;
static int (*true_clock)(clockid_t, struct timespec *);
static int (*true_sync)(int);
static int (*true_datasync)(int);

__attribute__((constructor)) static void begin(void) {
    true_clock = dlsym(RTLD_NEXT, "clock_gettime");
    true_sync = dlsym(RTLD_NEXT, "fsync");
    true_datasync = dlsym(RTLD_NEXT, "fdatasync");
    const char *path = getenv("FAULTS_CONTROL");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *found = mmap(0, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (found != MAP_FAILED)
        control = found;
}

static long long look(long long *field) { return __atomic_load_n(field, __ATOMIC_SEQ_CST); }

int clock_gettime(clockid_t clock, struct timespec *now) {
    int answer = true_clock ? true_clock(clock, now) : (int)syscall(SYS_clock_gettime, clock, now);
    if (answer == 0 && control && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        long long offset = look(&control->clock_offset_ns);
        now->tv_sec += offset / 1000000000;
        now->tv_nsec += offset % 1000000000;
        if (now->tv_nsec >= 1000000000)
            now->tv_sec++, now->tv_nsec -= 1000000000;
        if (now->tv_nsec < 0)
            now->tv_sec--, now->tv_nsec += 1000000000;
    }
    return answer;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec precise;
    int answer = clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return answer;
}

time_t time(time_t *into) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (into)
        *into = now.tv_sec;
    return now.tv_sec;
}

static int interfere(void) {
    if (!control)
        return 0;
    long long wait = look(&control->sync_delay_us);
    if (wait > 0)
        usleep((useconds_t)wait);
    long long left = look(&control->syncs_to_fail);
    while (left > 0)
        if (__atomic_compare_exchange_n(&control->syncs_to_fail, &left, left - 1, 0, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST)) {
            __atomic_add_fetch(&control->syncs_failed, 1, __ATOMIC_SEQ_CST);
            errno = EIO;
            return -1;
        }
    return 0;
}

int fsync(int file) { return interfere() ? -1 : true_sync ? true_sync(file) : (int)syscall(SYS_fsync, file); }

int fdatasync(int file) {
    return interfere() ? -1 : true_datasync ? true_datasync(file) : (int)syscall(SYS_fdatasync, file);
}
