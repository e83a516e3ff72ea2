/* Verbs that ask a coordinator one question and print the answer, as text or as JSON. */
#ifndef CLI_ASKING_H
#define CLI_ASKING_H

#include "base/error.h"
#include "cli/place.h"
#include "cli/verb.h"
#include "wire/frame.h"
#include "wire/mr.pb-c.h"

/* Their options begin with these. */
struct asking {
    struct place place;
    bool json;
};
/* Adds rows for these. */
void asking_options(struct asking *asking, struct option_table *table);

struct question {
    const char *verb;
    enum frame_type wanted;
    /* Makes the question of what the command line says; `into` is the struct of the options. */
    int (*prepare)(const void *into, const struct option_list *words, Mr__Query *question,
                   struct error *err);
    /* An answer of the type wanted; the exit status. */
    int (*print)(const void *into, const ProtobufCMessage *answer);
};

/* The whole verb; the exit status. */
int asking(const struct question *question, const void *into, const struct option_list *words);

#endif
