/* Verbs that ask a coordinator one question and print the answer, as text or as JSON. */
#ifndef CLI_ASKING_H
#define CLI_ASKING_H

#include "base/error.h"
#include "cli/options.h"
#include "wire/frame.h"
#include "wire/mr.pb-c.h"

struct asking {
    const char *usage, *about, *notes;
    struct option_row own; /* an option of the verb's own; name NULL: none */
    enum frame_type wanted;
    /* Makes the question of what the command line says. */
    int (*prepare)(const struct option_list *words, Mr__Query *question, struct error *err);
    /* An answer of the type wanted; the exit status. */
    int (*print)(const ProtobufCMessage *answer, bool json);
};

/* The whole verb; the exit status. */
int asking(const struct asking *what, int argc, char **argv);

#endif
