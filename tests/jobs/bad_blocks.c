/* As bad.c, in blocks of whole lines. */
#define INPUT MR_BLOCKS
#include "bad.c"
