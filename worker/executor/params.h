/* A job's parameters: its table of them checked, defaults and -p values bound into its struct.
 */
#ifndef EXECUTOR_PARAMS_H
#define EXECUTOR_PARAMS_H

#include <mr/job.h>
#include <stdbool.h>

#include "base/error.h"
#include "wire/mr.pb-c.h"

/* Row i of the table, whatever the stride of the job's header. Rows end with one without a
 * name. */
const struct mr_param *params_row(const struct mr_job *job, size_t i);

/* Binds into *ret_params, a new struct of job->params_size bytes that the job may use as long
 * as the process lives, or until params_free. With `describing`, a parameter without a value is
 * left zero; else it is an error. */
int params_bind(const struct mr_job *job, const Mr__JobSpec *spec, bool describing,
                void **ret_params, struct error *err);

/* Frees such a struct, and the texts in it. */
void params_free(void *params);

const char *params_type_name(enum mr_type type);

#endif
