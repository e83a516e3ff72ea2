/* The same in blocks. */
#define INPUT MR_BLOCKS
#include "fixed_job.c"
