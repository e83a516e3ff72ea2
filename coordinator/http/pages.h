/* What can be asked for: paths, the questions to the coordinator that answer them, and how its
 * answers look. */
#ifndef HTTP_PAGES_H
#define HTTP_PAGES_H

#include <stdbool.h>

#include "wire/frame.h"
#include "wire/mr.pb-c.h"

enum page_kind {
    PAGE_HEALTH,
    PAGE_METRICS,
    PAGE_CLUSTER,
    PAGE_JOBS,
    PAGE_JOB,
    PAGE_TASKS,
    PAGE_WORKERS,
    PAGE_EVENTS, /* no question: events come by themselves */
    PAGE_NONE,   /* there is no such page */
};

struct page {
    enum page_kind kind;
    uint64_t job;
};

/* PAGE_NONE when nothing is at that path. */
struct page page_at(const char *path);

/* "state" and "limit" of a list of jobs; NULL: not said. False: `limit` is no number. */
struct page_filter {
    char state[12]; /* "": any */
    uint32_t limit; /* 0: as many as fit */
};
bool page_filter(const char *state, const char *limit, struct page_filter *ret);

/* What to ask the coordinator. */
void page_question(const struct page *page, const struct page_filter *filter, Mr__Query *ret);

/* A page as it is sent. */
struct page_body {
    unsigned status;
    const char *type; /* Content-Type */
    char *text;       /* owned */
};
/* The page for an answer; NULL: the coordinator did not answer in time. */
struct page_body page_made(const struct page *page, const struct page_filter *filter,
                           enum frame_type type, const ProtobufCMessage *answer);
/* {"error": {"code": ..., "text": ...}} */
struct page_body page_error(unsigned status, const char *code, const char *text);

#endif
