/* The completion of bash, made of the tables of the verbs. */
#ifndef MANUAL_COMPLETION_H
#define MANUAL_COMPLETION_H

#include <stdio.h>

void completion_bash(FILE *out);

#endif
