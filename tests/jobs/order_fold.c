/* As order.c, with a fold. */
#define FOLD
#include "order.c"
