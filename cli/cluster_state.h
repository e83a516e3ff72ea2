/* The processes of a local cluster, as kept in DIR/cluster.json: with the times at which they
 * started, so that a number that was given to another process since is never taken for one of
 * them. */
#ifndef CLI_CLUSTER_STATE_H
#define CLI_CLUSTER_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

enum { CLUSTER_NAME = 32 };

struct process {
    char name[CLUSTER_NAME]; /* "coordinator", "worker-1" */
    pid_t pid;
    uint64_t started; /* clock ticks since boot */
    bool leaves;      /* it was asked to hand over its work and end */
};

struct cluster {
    char *dir; /* absolute */
    int lock;  /* the folder, held with flock(2) */
    char endpoint[256];
    uint64_t threads, memory;  /* of each worker; 0: not known */
    struct process *processes; /* the coordinator first */
    size_t count, capacity;
};

/* The folder to use: what --dir says, or the default; absolute. Caller frees. */
char *cluster_dir(const char *option);

/* Opens the folder and reads the file. 1, 0 when there is no file (or no folder, and it is not
 * to be made), -1. While somebody changes a cluster, others are refused. */
enum cluster_access {
    CLUSTER_PEEK, /* without waiting for who changes it: what it says may be over at once */
    CLUSTER_LOOK,
    CLUSTER_CHANGE,
    CLUSTER_MAKE
};
int cluster_open(struct cluster *cluster, const char *dir, enum cluster_access access,
                 struct error *err);
/* Takes a closed one, all zero but for `lock` of -1. */
void cluster_close(struct cluster *cluster);

/* Adds a process that just started, and writes the file. */
int cluster_add(struct cluster *cluster, const char *name, pid_t pid, struct error *err);
/* Forgets the process at `index`, which has ended, and its log; does not write the file. */
void cluster_remove(struct cluster *cluster, size_t index);
int cluster_save(const struct cluster *cluster, struct error *err);

/* Removes what `up` and the processes put into the folder, and the folder if nothing else is
 * there. */
int cluster_clear(struct cluster *cluster, struct error *err);

/* The folder of its keys. Caller frees. */
char *cluster_keys(const struct cluster *cluster);

/* Path of a process's log. Caller frees. */
char *cluster_log(const struct cluster *cluster, const char *name);

/* Zombies count as ended. */
bool process_lives(const struct process *process);
/* A pidfd, readable once the process has ended; -1 when it has already. */
int process_open(const struct process *process);

#endif
