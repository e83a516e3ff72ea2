/* As order.c, with a reduce. */
#define REDUCE
#include "order.c"
