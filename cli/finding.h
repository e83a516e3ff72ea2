/* What `marram doctor` finds: a line a check, and how to mend it. */
#ifndef CLI_FINDING_H
#define CLI_FINDING_H

#include <stdbool.h>
#include <stddef.h>

enum finding_state { FINDING_OK, FINDING_WARNING, FINDING_FAILED };

struct finding {
    const char *check; /* "files" */
    enum finding_state state;
    char *text, *mend; /* mend: NULL when there is nothing to do */
};

struct findings {
    struct finding *items;
    size_t count, capacity;
};

/* `mend` is copied; NULL: nothing is to be done. */
void findings_add(struct findings *findings, const char *check, enum finding_state state,
                  const char *mend, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
size_t findings_count(const struct findings *findings, enum finding_state state);
/* As lines, or as one JSON object, on stdout. */
void findings_print(const struct findings *findings, bool json);
void findings_done(struct findings *findings);

#endif
