/* A client's session with a coordinator: what every verb that talks to one shares. */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include "base/error.h"
#include "wire/keys.h"
#include "wire/link.h"

struct client;

/* Connects and says hello; sends nothing that has to be answered yet. Where connections to a
 * TCP endpoint are refused it fails at once with ERROR_UNREACHABLE. `keys`, which must outlive
 * it, are shown; NULL: there are none. */
int client_open(void *context, const char *endpoint, const struct keys *keys,
                struct client **ret, struct error *err);
/* How long a coordinator may say nothing: before its first word, and after it. For tests; it is
 * seconds otherwise. */
void client_set_patience(struct client *client, int64_t first_ms, int64_t later_ms);
/* From now on a coordinator that was reached once and goes away, or is started anew, is looked
 * for as long as patience_ms; that it does not answer is told on stderr, once. When it is there
 * again, client_receive gives FRAME_FENCED without a message: what was asked must be asked
 * again. */
void client_keep(struct client *client, int64_t patience_ms);
/* Says goodbye, without waiting for it to be heard. Takes NULL. */
void client_close(struct client *client);

void client_send(struct client *client, enum frame_type type, const ProtobufCMessage *message);

/* Takes the next message of the coordinator, after waiting for one at most until timeout_ms
 * have passed (-1: for ever) or one of the n descriptors in `fds` becomes readable: 1 with a
 * message (free with frame_free), 0 without, -1 with ERROR_UNREACHABLE when there is no
 * coordinator, or ERROR_REFUSED when it does not want us. */
int client_receive(struct client *client, const int *fds, int n, long timeout_ms,
                   enum frame_type *ret_type, ProtobufCMessage **ret_message,
                   struct error *err);

/* Sends a question and waits for its answer, which must be of type `wanted`; a REPLY with an
 * error becomes that error. */
int client_ask(struct client *client, enum frame_type type, const ProtobufCMessage *question,
               enum frame_type wanted, ProtobufCMessage **ret_answer, struct error *err);

#endif
