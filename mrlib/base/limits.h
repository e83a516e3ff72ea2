/* Every limit that a user or a peer can meet, in one place. Sizes in bytes. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#include <stdint.h>

enum {
    LIMIT_PARTS = 1024 * 16, /* reduce tasks of a job (-r) */
    LIMIT_MAPS = 1 << 20,    /* map tasks of a job */
    LIMIT_JOBS = 10000,      /* jobs of a coordinator that have not ended */
    LIMIT_MEMBERS = 16384,   /* workers and clients of a coordinator, less if files are */
    LIMIT_INPUTS = 1 << 16,  /* inputs that a submission names (-i) */
    LIMIT_GIVEN = 1024,      /* parameters that a submission gives (-p) */
    LIMIT_VALUE = 64 << 10,  /* length of a parameter's value */
    LIMIT_TITLE = 1024,      /* length of what the user calls a job (--name) */
    LIMIT_PATH = 4095,       /* length of a path */
    LIMIT_UNREAD = 16 << 20, /* bytes of answers that a client has not taken yet */
    LIMIT_LOGS = 1 << 20,    /* of a job's last outputs in all: what one answer has room for */
    LIMIT_ATTEMPTS = 4,      /* blamed attempts of one task before the job fails */
    LIMIT_SKIPS = 10000,     /* bad records and keys that a job may do without */
    LIMIT_SILENCE_S = 600,   /* without a finished record, by default */
    LIMIT_THREADS = 256,     /* threads of a worker */
    LIMIT_WORKERS_OF_RUN = 64, /* --workers of `marram run` */
    LIMIT_COUNTERS = 64,       /* counters that a job declares */
    LIMIT_PARAMS = 64,         /* parameters that a job declares */
    LIMIT_BLOBS = 64,          /* files that travel with a job */
    LIMIT_NAME = 64,           /* length of job, counter and parameter names */
    LIMIT_ENDPOINT = 256,      /* length of an address that peers connect to */
    LIMIT_LOG_TAIL = 8192,     /* of an executor's last output that is kept for its error */
    LIMIT_FIXED = 1 << 20,     /* bytes of a record of the input format fixed:N */
    LIMIT_FIELDS = 1024,       /* fields that a job reads by name */
    LIMIT_CHUNK = 1 << 20,     /* input bytes that a thread takes at a time ... */
    LIMIT_PIECE = 256 << 10,   /* ... and of these, read at a time: they stay in its cache */
    LIMIT_BLOCK = 256 << 10,   /* raw bytes of a run's block, but for a single larger record */
    LIMIT_PACKED = 16 << 20,   /* raw bytes of a block that may be compressed */
};

#define LIMIT_OBJECT  ((uint64_t)256 << 20) /* a job object */
#define LIMIT_RECORD  ((uint64_t)1 << 30) /* an input record, a key, a value: record/limit.h */
#define LIMIT_SPLIT   ((uint64_t)256 << 20) /* largest adaptive split */
#define LIMIT_RANGE   ((uint64_t)1 << 44)   /* numbers of a range: input */
#define LIMIT_WINDOW  ((uint64_t)128 << 20) /* of a zstd frame: record/limit.h */
#define LIMIT_MESSAGE ((uint64_t)1 << 20)   /* a control message */

#endif
