/* Rows of the history's table, from and to jobs. The thread of the connection. */
#ifndef COORDINATOR_HISTORY_ROW_H
#define COORDINATOR_HISTORY_ROW_H

#include <sqlite3.h>

#include "coordinator/history.h"

#define HISTORY_COLUMNS                                                               \
    "id, name, object, output, state, submitted, seconds, maps, maps_done, reduces, " \
    "reduces_done, parts, failed_attempts, priority, error_code, error, counters, failures"
enum { HISTORY_COLUMN_COUNT = 18 };

/* Binds all columns, in the order above. The job must outlive the statement's step. */
void history_row_bind(sqlite3_stmt *statement, const struct history_job *job);

/* The row on which the statement stands; the caller frees. What makes no sense is left out. */
struct history_job *history_row_read(sqlite3_stmt *statement);

#endif
