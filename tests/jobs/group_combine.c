/* The same with a combiner, which is given whole keys. */
#define COMBINE
#include "group_job.c"
