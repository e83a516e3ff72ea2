/* Tries what each line says, and counts how it ended: "read PATH", "write PATH", "remove PATH",
 * "list PATH", "run PATH", "temporary NAME", "link NAME", "call NAME", "signal PID". What the
 * object's constructor met when it tried to read MARRAM_TEST_SECRET is counted as well, and how
 * many threads of which kind tried.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <mr/job.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct params {
    bool threads;
};

static const char *outcome(long result)
{
    return result < 0 ? strerrorname_np(errno) : "done";
}

static const char *try_open(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);

    if (fd < 0)
        return outcome(-1);
    close(fd);
    return "done";
}

static const char *try_run(const char *path)
{
    char *argv[] = {(char *)path, NULL};
    int status = 0;
    pid_t pid;

    errno = posix_spawn(&pid, path, NULL, NULL, argv, environ);
    if (errno)
        return outcome(-1);
    waitpid(pid, &status, 0);
    return WIFEXITED(status) && !WEXITSTATUS(status) ? "done" : "failed";
}

static long peek(pid_t pid)
{
    char word[8];
    struct iovec here = {word, sizeof word}, there = {&environ, sizeof word};

    return process_vm_readv(pid, &here, 1, &there, 1, 0);
}

static long set_limit_of(pid_t pid)
{
    struct rlimit limit;

    return prlimit(pid, RLIMIT_CPU, NULL, &limit);
}

static const char *try_call(const char *name)
{
    if (!strcmp(name, "inet"))
        return outcome(socket(AF_INET, SOCK_STREAM, 0));
    if (!strcmp(name, "unix"))
        return outcome(socket(AF_UNIX, SOCK_STREAM, 0));
    if (!strcmp(name, "netlink"))
        return outcome(socket(AF_NETLINK, SOCK_RAW, 0));
    if (!strcmp(name, "ptrace"))
        return outcome(ptrace(PTRACE_ATTACH, getppid(), 0, 0));
    if (!strcmp(name, "peek"))
        return outcome(peek(getppid()));
    if (!strcmp(name, "limits"))
        return outcome(set_limit_of(getppid()));
    if (!strcmp(name, "mount"))
        return outcome(mount("none", "/mnt", "tmpfs", 0, NULL));
    if (!strcmp(name, "umount"))
        return outcome(umount2("/proc", MNT_DETACH));
    if (!strcmp(name, "unshare"))
        return outcome(unshare(CLONE_NEWNS));
    if (!strcmp(name, "userns"))
        return outcome(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
    if (!strcmp(name, "setns"))
        return outcome(setns(0, 0));
    if (!strcmp(name, "reboot"))
        return outcome(syscall(SYS_reboot, 0, 0, 0, 0));
    if (!strcmp(name, "keyctl"))
        return outcome(syscall(SYS_keyctl, 0, 0, 0, 0, 0));
    if (!strcmp(name, "bpf"))
        return outcome(syscall(SYS_bpf, 0, 0, 0));
    if (!strcmp(name, "perf"))
        return outcome(syscall(SYS_perf_event_open, 0, 0, 0, 0, 0));
    if (!strcmp(name, "module"))
        return outcome(syscall(SYS_finit_module, -1, "", 0));
    if (!strcmp(name, "kexec"))
        return outcome(syscall(SYS_kexec_load, 0, 0, 0, 0));
    if (!strcmp(name, "shm"))
        return outcome(shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600));
    if (!strcmp(name, "immortal"))
        return outcome(prctl(PR_SET_PDEATHSIG, 0));
    if (!strcmp(name, "chown"))
        return outcome(chown(getenv("TMPDIR"), 12345, 12345));
    return "no such call";
}

/* 0 sends nothing, but says whether it could. */
static const char *try_signal(const char *whom)
{
    pid_t pid = !strcmp(whom, "agent")  ? getppid()
                : !strcmp(whom, "self") ? getpid()
                                        : atoi(whom);

    return outcome(kill(pid, 0));
}

static const char *try(const char *what, const char *with)
{
    const char *temporary = getenv("TMPDIR");
    char path[4096];

    snprintf(path, sizeof path, "%s/%s", temporary ? temporary : "", with);
    if (!strcmp(what, "read"))
        return try_open(with, O_RDONLY);
    if (!strcmp(what, "write"))
        return try_open(with, O_WRONLY | O_CREAT);
    if (!strcmp(what, "list"))
        return try_open(with, O_RDONLY | O_DIRECTORY);
    if (!strcmp(what, "temporary"))
        return try_open(path, O_RDWR | O_CREAT);
    if (!strcmp(what, "link"))
        return outcome(symlink("/etc/shadow", path));
    if (!strcmp(what, "remove"))
        return outcome(unlink(with));
    if (!strcmp(what, "run"))
        return try_run(with);
    if (!strcmp(what, "signal"))
        return try_signal(with);
    return try_call(with);
}

static const char *constructed = "not run";

__attribute__((constructor)) static void construct(void)
{
    const char *secret = getenv("MARRAM_TEST_SECRET");

    if (secret)
        constructed = try("read", secret);
}

static void tell(struct mr_task *task, const char *who, const char *line, const char *result)
{
    char text[4200];

    snprintf(text, sizeof text, "%s: %s: %s", who, line, result);
    mr_emit(task, mr_text(text), 1);
}

struct attempt {
    const char *what, *with, *result;
};

static void *try_apart(void *context)
{
    struct attempt *attempt = context;

    attempt->result = try(attempt->what, attempt->with);
    return NULL;
}

/* In a thread of the job's own, and in a process of its own. */
static void try_elsewhere(struct mr_task *task, const char *line, struct attempt *attempt)
{
    pthread_t thread;
    int status = 0;
    pid_t pid;

    if (!pthread_create(&thread, NULL, try_apart, attempt)) {
        pthread_join(thread, NULL);
        tell(task, "own thread", line, attempt->result);
    }
    pid = fork();
    if (!pid)
        _exit(strcmp(try(attempt->what, attempt->with), "done") != 0);
    waitpid(pid, &status, 0);
    tell(task, "child", line,
         !WIFEXITED(status)    ? "died"
         : WEXITSTATUS(status) ? "refused"
                               : "done");
}

static void map(struct mr_task *task, struct mr_bytes input)
{
    const struct params *params = mr_params(task);
    char line[4096], word[4096], *with;
    struct attempt attempt;

    snprintf(line, sizeof line, "%.*s", (int)input.len, input.ptr);
    snprintf(word, sizeof word, "%s", line);
    with = strchr(word, ' ');
    if (with)
        *with++ = '\0';
    attempt = (struct attempt){word, with ? with : "", NULL};
    tell(task, "map", line, try(attempt.what, attempt.with));
    tell(task, "constructor", "read", constructed);
    if (params->threads) {
        snprintf(word, sizeof word, "%d", (int)syscall(SYS_gettid));
        tell(task, "thread", word, "was here");
    } else {
        try_elsewhere(task, line, &attempt);
    }
}

const struct mr_job mr_job = {
    MR_HEADER,
    .name = "fences",
    .about = "tries what it should not",
    .map = map,
    .fold = MR_SUM_I64,
    .params_size = sizeof(struct params),
    .params =
        (const struct mr_param[]){
            MR_PARAM(struct params, threads, "false", "tell of threads, try nowhere else"),
            {0},
        },
};
