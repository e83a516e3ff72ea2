/* A cluster's folder of keys:
 *
 *     coordinator.cert  .secret     the coordinator's
 *     worker.cert  .secret          for workers, all that are given this folder
 *     client.cert  .secret          for clients
 *     allowed/NAME.cert             whom the coordinator lets in; "worker", "client" among them
 *     issued/NAME/                  to be handed over to one more member: a folder for --keys
 *
 * Keys that exist are never replaced. */
#ifndef CLI_KEYRING_H
#define CLI_KEYRING_H

#include <stddef.h>

#include "wire/certificate.h"

/* Makes the folder, 0700, and its keys; what an interrupted one left is completed. ERROR_USAGE
 * when it is complete. */
int keyring_make(const char *folder, struct error *err);

/* Makes keys for one more member. */
int keyring_issue(const char *folder, const char *name, enum key_role role, struct error *err);

/* Takes a name out of those that are let in. */
int keyring_revoke(const char *folder, const char *name, struct error *err);

/* Those that are let in, by name; caller frees. A file that cannot be read is an error. */
int keyring_list(const char *folder, struct certificate **ret, size_t *ret_count,
                 struct error *err);

#endif
