#include "worker/executor/syscalls.h"

#include <errno.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* By what they would reach. A name that this machine does not have is skipped. */
static const int forbidden[] = {
    /* other processes */
    SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
    SCMP_SYS(process_madvise), SCMP_SYS(process_mrelease), SCMP_SYS(pidfd_getfd),
    SCMP_SYS(kcmp), SCMP_SYS(migrate_pages), SCMP_SYS(move_pages),
    /* the tree of files, and ways around it */
    SCMP_SYS(mount), SCMP_SYS(umount), SCMP_SYS(umount2), SCMP_SYS(pivot_root),
    SCMP_SYS(chroot), SCMP_SYS(move_mount), SCMP_SYS(open_tree), SCMP_SYS(fsopen),
    SCMP_SYS(fsconfig), SCMP_SYS(fsmount), SCMP_SYS(fspick), SCMP_SYS(mount_setattr),
    SCMP_SYS(open_by_handle_at), SCMP_SYS(quotactl), SCMP_SYS(quotactl_fd),
    SCMP_SYS(fanotify_init), SCMP_SYS(mknod), SCMP_SYS(mknodat), SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register),
    /* namespaces, keys, the machine */
    SCMP_SYS(setns), SCMP_SYS(unshare), SCMP_SYS(add_key), SCMP_SYS(request_key),
    SCMP_SYS(keyctl), SCMP_SYS(bpf), SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd),
    SCMP_SYS(lookup_dcookie), SCMP_SYS(reboot), SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load),
    SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(delete_module),
    SCMP_SYS(create_module), SCMP_SYS(swapon), SCMP_SYS(swapoff), SCMP_SYS(acct),
    SCMP_SYS(syslog), SCMP_SYS(vhangup), SCMP_SYS(iopl), SCMP_SYS(ioperm),
    SCMP_SYS(settimeofday), SCMP_SYS(stime), SCMP_SYS(clock_settime), SCMP_SYS(clock_adjtime),
    SCMP_SYS(adjtimex), SCMP_SYS(sethostname), SCMP_SYS(setdomainname),
    /* the network, and sockets of this machine that somebody powerful listens at */
    SCMP_SYS(socket),
    /* memory that outlives the process */
    SCMP_SYS(shmget), SCMP_SYS(semget), SCMP_SYS(msgget), SCMP_SYS(mq_open)};

/* Calls that name a process in their first argument. */
static const int directed[] = {SCMP_SYS(kill),
                               SCMP_SYS(tkill),
                               SCMP_SYS(tgkill),
                               SCMP_SYS(rt_sigqueueinfo),
                               SCMP_SYS(rt_tgsigqueueinfo),
                               SCMP_SYS(pidfd_open)};

static const uint64_t namespaces[] = {
    0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000,
};

/* 0, or a negative errno; a call that this machine does not have is none to forbid. */
static int forbid_where(scmp_filter_ctx filter, int call, struct scmp_arg_cmp argument)
{
    int result = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM), call, 1, &argument);

    return result == -EDOM || result == -EINVAL ? 0 : result;
}

/* The agent, its group, and whoever is there. */
static int spare_others(scmp_filter_ctx filter, int agent_pid)
{
    const uint64_t word = 0xffffffff;
    const uint32_t targets[] = {(uint32_t)agent_pid, (uint32_t)-getpgid(agent_pid),
                                (uint32_t)-1};
    int result = 0;

    for (size_t i = 0; i < sizeof directed / sizeof *directed; i++)
        for (size_t k = 0; !result && k < sizeof targets / sizeof *targets; k++)
            if (agent_pid > 0 || k == 2)
                result = forbid_where(filter, directed[i],
                                      SCMP_A0(SCMP_CMP_MASKED_EQ, word, targets[k]));
    /* The limits of others; the signal that comes when the agent dies. */
    if (!result)
        result = forbid_where(filter, SCMP_SYS(prlimit64), SCMP_A0(SCMP_CMP_NE, 0));
    if (!result)
        result = forbid_where(filter, SCMP_SYS(prctl), SCMP_A0(SCMP_CMP_EQ, PR_SET_PDEATHSIG));
    return result;
}

/* clone3 hides its flags behind a pointer; libraries fall back to clone where it is missing. */
static int forbid_namespaces(scmp_filter_ctx filter)
{
    int result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);

    for (size_t i = 0; !result && i < sizeof namespaces / sizeof *namespaces; i++)
        result = forbid_where(filter, SCMP_SYS(clone),
                              SCMP_A0(SCMP_CMP_MASKED_EQ, namespaces[i], namespaces[i]));
    return result;
}

static int fill(scmp_filter_ctx filter, int agent_pid)
{
    int result = 0;

    /* Without it the processor would forget what it predicts, which costs every program. */
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
    seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(EPERM));
    for (size_t i = 0; !result && i < sizeof forbidden / sizeof *forbidden; i++) {
        result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), forbidden[i], 0);
        if (result == -EDOM)
            result = 0;
    }
    if (!result)
        result = forbid_namespaces(filter);
    return result ? result : spare_others(filter, agent_pid);
}

void syscalls_forbid(int agent_pid, char *ret, size_t size)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int result = filter ? fill(filter, agent_pid) : -ENOMEM;

    if (!result)
        result = seccomp_load(filter);
    seccomp_release(filter);
    if (result)
        snprintf(ret, size, "none: %s", strerror(-result));
    else
        snprintf(ret, size, "on");
}
