/* A client that asks and asks, hears nothing of what is answered, and never ends by itself.
 *
 *     flood ENDPOINT
 *
 * Prints a line once it has sent 10,000 questions; kill it when you like. */
#include <stdio.h>

#include "wire/bytes.h"
#include "wire/hello.h"
#include "wire/link.h"
#include "wire/mr.pb-c.h"

enum { ENOUGH = 10000, TEND = 100 };

int main(int argc, char **argv)
{
    void *context = link_context_new();
    Mr__Query query = MR__QUERY__INIT;
    struct link *link;
    struct error err;
    Mr__Hello hello;

    if (argc != 2 || !context || link_connect(context, argv[1], &link, &err)) {
        fprintf(stderr, "usage: flood ENDPOINT\n");
        return 2;
    }
    hello_fill(&hello, MR__ROLE__CLIENT);
    hello.name = bytes_of("flood");
    link_send(link, 0, FRAME_HELLO, &hello.base);
    query.question = MR__QUESTION__ALL_WORKERS;
    for (unsigned long sent = 1;; sent++) {
        link_send_once(link, 0, FRAME_QUERY, &query.base);
        if (sent % TEND == 0)
            link_tend(link);
        if (sent == ENOUGH) {
            puts("flooding");
            fflush(stdout);
        }
    }
}
