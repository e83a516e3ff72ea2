#include "cli/check_journal.h"

#include <inttypes.h>
#include <stdio.h>

#include "coordinator/journal.h"

int check_journal(const char *state)
{
    struct journal_facts facts;
    struct error err;

    if (journal_check(state, &facts, &err)) {
        fprintf(stderr, "marram coordinator: %s\n", err.text);
        return error_exit_status(err.code);
    }
    printf("the journal in '%s' is good: generation %" PRIu64 ", %" PRIu64
           " records in its snapshot, %" PRIu64 " in its log, %" PRIu64 " bytes\n",
           state, facts.generation, facts.snapshot_records, facts.log_records, facts.bytes);
    if (facts.torn)
        printf("its last %" PRIu64
               " bytes are of a record that was not finished: it counts for "
               "nothing, and goes at the next start\n",
               facts.torn);
    return 0;
}
