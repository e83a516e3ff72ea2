/* Errors as values: a code from one table, and one line of text that grows a prefix on its way
 * up.
 *
 * A function that can fail returns 0, or -1 with *err filled. Library code never logs: the
 * caller that handles an error logs it once. `err` may not be NULL. Any thread. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

enum error_code {
    ERROR_NONE,
    ERROR_USAGE,   /* the command line, or what it names, is wrong */
    ERROR_OBJECT,  /* the file is not a job object for this host */
    ERROR_INPUT,   /* an input is missing, unreadable or changed */
    ERROR_OUTPUT,  /* the output exists or cannot be written */
    ERROR_JOB,     /* user code said mr_fail, or broke a rule of the job interface */
    ERROR_CRASH,   /* user code died: a signal, exit() */
    ERROR_TIMEOUT, /* user code finished no record within the task timeout */
    ERROR_MEMORY,  /* user code used more memory than it may */
    ERROR_SPACE,   /* a disk is full: of a task, the scratch disk of its worker */
    ERROR_IO,      /* a system call failed */
    ERROR_DAMAGE,  /* stored or received bytes fail their checksum or make no sense */
    ERROR_FETCH,   /* a run could not be read from where it is kept */
    ERROR_STALE,   /* an answer from an attempt that no longer counts */
    ERROR_LOST, /* a worker or executor vanished with the task, through no fault of the task */
    ERROR_CANCELLED,   /* the user said so */
    ERROR_REFUSED,     /* authentication or a limit */
    ERROR_INTERNAL,    /* our own bug */
    ERROR_UNREACHABLE, /* no coordinator answers */
    ERROR_UNSEEN,      /* this worker does not see a file that the coordinator sees */
    ERROR_CUT,         /* this worker does not reach another one that holds a run */
    ERROR_UNSTEADY,    /* a map that ran again emitted other pairs than those that were used */
    ERROR_DISK,        /* the scratch disk of a worker fails */
    ERROR_OUTPUT_FULL, /* the disk on which the output is written is full */
    ERROR_FORMAT,      /* the bytes of an input are not what its name or its format says */
    ERROR_CODES
};

/* What follows from an error of a task attempt. */
enum error_policy {
    POLICY_GIVE_UP, /* fails the job at once: trying again cannot help */
    POLICY_BLAME,   /* costs the task one of its attempts, then is tried again */
    POLICY_RETRY,   /* tried again elsewhere at no cost to the task */
    POLICY_EXCLUDE, /* the worker gets no task of that job any more; tried elsewhere at no cost
                     */
    POLICY_REFETCH, /* the run it read is made again, then it is tried again, at no cost */
    POLICY_NO_ROOM, /* the worker gets no task at all until it has room; tried elsewhere at no
                     * cost
                     */
    POLICY_ELSEWHERE, /* tried again on a worker that reaches the others, at no cost */
};

/* A text that is too long loses its middle. */
struct error {
    enum error_code code;
    char text[1000];
};

/* Sets code and text, and returns -1 so that callers may `return error_set(...)`. */
int error_set(struct error *err, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As error_set, with ": " and errno's text behind it; ENOSPC and EDQUOT turn `code` into
 * ERROR_SPACE. */
int error_errno(struct error *err, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As error_errno, for what is written on a scratch disk: EIO and EROFS turn `code` into
 * ERROR_DISK. */
int error_scratch(struct error *err, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts a formatted prefix and ": " in front of the text; returns -1. */
int error_wrap(struct error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The table's columns: a stable lower-case name, what follows, the exit status of a command. */
const char *error_name(enum error_code code);
enum error_policy error_policy(enum error_code code);
int error_exit_status(enum error_code code);

#endif
