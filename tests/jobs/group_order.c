/* The same in total order: the ranges of the parts go by the prefix, too. */
#define FLAGS MR_TOTAL_ORDER
#include "group_job.c"
