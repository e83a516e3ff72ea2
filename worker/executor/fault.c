#include "worker/executor/fault.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"

enum { STACK_SIZE = 128 << 10, FRAMES_MAX = 26, FRAMES_SKIPPED = 3, GUARD_SECONDS = 2 };

static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP};

static _Thread_local struct slot *here;
static _Thread_local void *stack_memory; /* lives as long as the thread, as the process */
static void (*told)(const struct slot *slot);

/* One frame a line. dladdr and snprintf are not promised to be safe here; should one of them
 * hang, the alarm ends the process, and the slot has named the signal already. */
__attribute__((noinline)) static void write_trace(struct slot *slot)
{
    void *frames[FRAMES_MAX];
    int n = backtrace(frames, FRAMES_MAX);
    size_t used = 0;

    for (int i = FRAMES_SKIPPED; i < n && used + 128 < SLOT_TRACE; i++) {
        const char *file = "?", *slash;
        char symbol[64] = "";
        Dl_info info = {0};

        dladdr(frames[i], &info);
        if (info.dli_fname) {
            slash = strrchr(info.dli_fname, '/');
            file = slash ? slash + 1 : info.dli_fname;
        }
        if (info.dli_sname)
            snprintf(symbol, sizeof symbol, "%.40s+0x%zx ", info.dli_sname,
                     (size_t)((char *)frames[i] - (char *)info.dli_saddr));
        used += (size_t)snprintf(slot->trace + used, SLOT_TRACE - used,
                                 "  #%d %s(%.60s+0x%zx)\n", i - FRAMES_SKIPPED, symbol, file,
                                 (size_t)((char *)frames[i] - (char *)info.dli_fbase));
    }
}

/* What is sent to the process the kernel gives to any thread that takes it, though another one
 * may have sent it: no record is named for that. Of replays there is one thread. */
static bool is_of_this_thread(const siginfo_t *info)
{
    return info->si_code > 0 || info->si_code == SI_TKILL || told;
}

static void handle(int number, siginfo_t *info, void *context)
{
    (void)context;
    alarm(GUARD_SECONDS);
    if (here && !here->fault && is_of_this_thread(info)) {
        here->fault = (uint32_t)number;
        write_trace(here);
        if (told)
            told(here);
    }
    signal(number, SIG_DFL);
    raise(number);
}

/* exit() is not how a task ends. The executor itself leaves by _exit alone. */
static void exited(void)
{
    if (!here || here->fault || here->phase == SLOT_IDLE)
        return;
    here->fault = SLOT_EXITED;
    if (told)
        told(here);
}

void fault_tell(void (*tell)(const struct slot *slot))
{
    told = tell;
}

void fault_install(void)
{
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    void *frame;

    /* The first call loads a library, which a handler may not do. */
    backtrace(&frame, 1);
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, NULL);
    signal(SIGALRM, SIG_DFL);
    atexit(exited);
}

void fault_watch(struct slot *slot)
{
    stack_t stack = {.ss_size = STACK_SIZE};

    here = slot;
    if (stack_memory)
        return;
    stack.ss_sp = stack_memory = memory_new(STACK_SIZE);
    check(!sigaltstack(&stack, NULL));
}
