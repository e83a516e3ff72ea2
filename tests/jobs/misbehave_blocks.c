/* The same in blocks: what is to blame is found by feeding records one by one. */
#define INPUT MR_BLOCKS
#include "misbehave.c"
