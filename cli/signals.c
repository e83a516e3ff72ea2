#include "cli/signals.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Whether SIGHUP is somebody else's. */
static bool hangups_taken;

static int open_signals(const int *signals, size_t n, struct error *err)
{
    sigset_t set;
    int fd;

    sigemptyset(&set);
    for (size_t i = 0; i < n; i++) {
        struct sigaction before;

        if (!sigaction(signals[i], NULL, &before) && before.sa_handler != SIG_IGN)
            sigaddset(&set, signals[i]);
    }
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        error_errno(err, ERROR_IO, "signalfd");
    return fd;
}

int signals_open(struct error *err)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

    return open_signals(signals, hangups_taken ? 2 : 3, err);
}

int signals_open_hangups(struct error *err)
{
    static const int hangup = SIGHUP;

    hangups_taken = true;
    return open_signals(&hangup, 1, err);
}

int signals_take(int fd)
{
    struct signalfd_siginfo info;

    return read(fd, &info, sizeof info) == sizeof info ? (int)info.ssi_signo : 0;
}
