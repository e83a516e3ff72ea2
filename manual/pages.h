/* The manual pages, made of the tables of the verbs. */
#ifndef MANUAL_PAGES_H
#define MANUAL_PAGES_H

#include <stdio.h>

#include "cli/verb.h"

/* marram-VERB.1 */
void pages_verb(FILE *out, const struct verb *verb);
/* marram.1 */
void pages_overview(FILE *out);
/* marram.conf.5 */
void pages_configuration(FILE *out);

#endif
