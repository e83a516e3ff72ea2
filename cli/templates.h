/* The files that `marram new` writes: those of cli/templates, as they were when the program was
 * built. */
#ifndef CLI_TEMPLATES_H
#define CLI_TEMPLATES_H

#include <stdbool.h>
#include <stddef.h>

enum template_language {
    TEMPLATE_ANY,
    TEMPLATE_C,
    TEMPLATE_CXX,
};

struct template_file {
    const char *name; /* to write; @NAME@ and its like stand for what project_make puts there */
    enum template_language language; /* of the projects that have it */
    bool executable;
    const char *text, *end;
};

/* All of them, in the order to write them. */
extern const struct template_file templates[];
extern const size_t templates_count;

#endif
