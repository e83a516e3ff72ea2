#include "worker/executor/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/memory.h"

/* The system's header may be older than the kernel. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ULL << 15)
#endif

/* struct landlock_ruleset_attr as it is from ABI 6 on; before ABI 4 it was one word, then two.
 */
struct ruleset {
    uint64_t files, network, scoped;
};

enum { ABI_REFER = 2, ABI_TRUNCATE = 3, ABI_NETWORK = 4, ABI_IOCTL = 5, ABI_SCOPE = 6 };

#define READS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define RUNS  (READS | LANDLOCK_ACCESS_FS_EXECUTE)
#define OF_FILES                                                  \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | \
     LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_TRUNCATE | \
     LANDLOCK_ACCESS_FS_IOCTL_DEV)
/* No programs, and nothing but files and folders: the agent opens some of what is written. */
#define WRITES                                                             \
    (READS | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE | \
     LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |      \
     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REFER)
#define DEVICE                                                      \
    (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | \
     LANDLOCK_ACCESS_FS_TRUNCATE | LANDLOCK_ACCESS_FS_IOCTL_DEV)

static const char *const programs[] = {"/usr",   "/bin",   "/sbin",   "/lib",
                                       "/lib32", "/lib64", "/libx32", "/opt"};
/* What libraries look at. Of /etc no more: shadow lies there, and perhaps the cluster's keys.
 */
static const char *const looked_at[] = {"/proc",
                                        "/sys",
                                        "/etc/ld.so.cache",
                                        "/etc/ld.so.preload",
                                        "/etc/passwd",
                                        "/etc/group",
                                        "/etc/nsswitch.conf",
                                        "/etc/localtime",
                                        "/etc/timezone",
                                        "/etc/locale.alias",
                                        "/etc/alternatives",
                                        "/etc/mime.types",
                                        "/etc/ssl/certs"};
static const char *const devices[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random",
                                      "/dev/urandom"};

static long offered(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

static struct ruleset everything(long abi)
{
    struct ruleset all = {.files = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1};

    if (abi >= ABI_REFER)
        all.files |= LANDLOCK_ACCESS_FS_REFER;
    if (abi >= ABI_TRUNCATE)
        all.files |= LANDLOCK_ACCESS_FS_TRUNCATE;
    if (abi >= ABI_NETWORK)
        all.network = 3; /* to bind, to connect */
    if (abi >= ABI_IOCTL)
        all.files |= LANDLOCK_ACCESS_FS_IOCTL_DEV;
    if (abi >= ABI_SCOPE)
        all.scoped = 3; /* abstract sockets, signals */
    return all;
}

static size_t size_of(long abi)
{
    return (abi >= ABI_SCOPE ? 3 : abi >= ABI_NETWORK ? 2 : 1) * sizeof(uint64_t);
}

/* What is not there needs no rule. */
static void allow(int rules, const struct ruleset *all, const char *path, uint64_t rights)
{
    cleanup_close int fd = open(path, O_PATH | O_CLOEXEC);
    struct landlock_path_beneath_attr rule = {.allowed_access = rights & all->files,
                                              .parent_fd = fd};
    struct stat st;

    if (fd < 0 || fstat(fd, &st))
        return;
    if (!S_ISDIR(st.st_mode))
        rule.allowed_access &= OF_FILES;
    syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

/* The paths of a list from the environment. */
static void allow_list(int rules, const struct ruleset *all, const char *name, uint64_t rights)
{
    const char *list = getenv(name);
    cleanup_free char *words = memory_text(list ? list : "");
    char *rest = NULL;

    for (char *path = strtok_r(words, ":", &rest); path; path = strtok_r(NULL, ":", &rest))
        allow(rules, all, path, rights);
}

static void allow_all(int rules, const struct ruleset *all, const char *scratch,
                      const char *object)
{
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
        allow(rules, all, programs[i], RUNS);
    for (size_t i = 0; i < sizeof looked_at / sizeof *looked_at; i++)
        allow(rules, all, looked_at[i], READS);
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
        allow(rules, all, devices[i], DEVICE);
    /* Backtraces and sanitizers read it. */
    allow(rules, all, "/proc/self/exe", LANDLOCK_ACCESS_FS_READ_FILE);
    allow(rules, all, object, READS);
    allow(rules, all, scratch, WRITES);
    allow_list(rules, all, "LD_LIBRARY_PATH", READS);
    allow_list(rules, all, "MARRAM_JOB_READS", RUNS);
    allow_list(rules, all, "MARRAM_JOB_WRITES", WRITES | RUNS);
}

static void say_why(char *ret, size_t size)
{
    snprintf(ret, size, "none: %s",
             errno == ENOSYS       ? "this kernel does not know it"
             : errno == EOPNOTSUPP ? "it is turned off in this kernel"
                                   : strerror(errno));
}

void landlock_look(char *ret, size_t size)
{
    long abi = offered();

    if (abi < 0)
        say_why(ret, size);
    else
        snprintf(ret, size, "abi %ld", abi);
}

void landlock_apply(const char *scratch, const char *object, char *ret, size_t size)
{
    long abi = offered();
    struct ruleset all = everything(abi);
    cleanup_close int rules = -1;

    if (abi >= 0)
        rules = (int)syscall(SYS_landlock_create_ruleset, &all, size_of(abi), 0);
    if (rules < 0) {
        say_why(ret, size);
        return;
    }
    allow_all(rules, &all, scratch, object);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_landlock_restrict_self, rules, 0))
        say_why(ret, size);
    else
        snprintf(ret, size, "abi %ld", abi);
}
