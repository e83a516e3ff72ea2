/* Whether a record of the journal can have been written by a coordinator, after the records
 * before it. Its checksum was right, so what makes no sense is of another program or of a bug:
 * to go on from there could lose what was promised, or crash later and at every start. */
#ifndef COORDINATOR_JUDGE_H
#define COORDINATOR_JUDGE_H

#include "coordinator/job.h"

/* `job` is the one that the record speaks of, NULL if it is not known. ERROR_DAMAGE says what
 * makes no sense. */
int judge_record(const struct job *job, const Mr__Record *record, struct error *err);

#endif
