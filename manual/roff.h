/* Manual pages in the macros of man(7). */
#ifndef MANUAL_ROFF_H
#define MANUAL_ROFF_H

#include <stdio.h>

/* Text of any kind as one line of input: dashes, backslashes, and dots at the start are safe.
 */
void roff_text(FILE *out, const char *text, size_t n);
/* The same of a whole text without its newline. */
void roff_line(FILE *out, const char *text);

/* Paragraphs, told apart by empty lines; those that begin with `heading`, such as "Exit status:
 * ", alone, or all others. Lines are joined. */
enum roff_which { ROFF_WITH, ROFF_WITHOUT };
void roff_paragraphs(FILE *out, const char *text, const char *heading, enum roff_which which);

#endif
